//! The line formats of contract/config-ops.md 5.

use std::io::{self, Write};
use std::sync::Mutex;

use chrono::{DateTime, Local, Utc};
use serde_json::{Map, Value};
use slog::{Drain, KV, Key, OwnedKVList, Record, Serializer};

use super::level_name;
use crate::config::LogFormat;
use crate::domain::{Clock, SystemClock};

/// Writes one line a record; a line that cannot be written is lost, never an error.
pub struct LineDrain<W> {
    format: LogFormat,
    clock: Box<dyn Clock>,
    output: Mutex<W>,
}

impl LineDrain<io::Stderr> {
    /// Writes to stderr.
    #[must_use]
    pub fn stderr(format: LogFormat) -> Self {
        Self::new(format, Box::new(SystemClock), io::stderr())
    }
}

impl<W: Write + Send + 'static> LineDrain<W> {
    /// Writes to `output` with the time of `clock`.
    pub fn new(format: LogFormat, clock: Box<dyn Clock>, output: W) -> Self {
        Self {
            format,
            clock,
            output: Mutex::new(output),
        }
    }

    fn line(&self, record: &Record<'_>, inherited: &OwnedKVList) -> String {
        let mut fields = Fields::default();
        // The inherited list gives the newest first; a record's own fields win over it.
        let collected = inherited
            .serialize(record, &mut fields)
            .and_then(|()| record.kv().serialize(record, &mut fields));
        debug_assert!(collected.is_ok(), "collecting fields cannot fail");
        let logger = fields
            .logger
            .take()
            .unwrap_or_else(|| record.module().replace("::", "."));
        match self.format {
            LogFormat::Text => text(&self.clock.now(), record, &logger, &fields),
            LogFormat::Json => json(&self.clock.now(), record, logger, fields),
        }
    }
}

fn text(now: &DateTime<Utc>, record: &Record<'_>, logger: &str, fields: &Fields) -> String {
    let mut line = format!(
        "{} [{}] {logger}: {}",
        now.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S,%3f"),
        level_name(record.level()),
        one_line(&record.msg().to_string()),
    );
    for (name, value) in &fields.values {
        let shown = match value {
            Value::String(text) => one_line(text),
            other => other.to_string(),
        };
        // Messages of the reference name some of their fields themselves.
        let field = format!(" {name}={shown}");
        if !line.contains(&field) {
            line.push_str(&field);
        }
    }
    line
}

fn json(now: &DateTime<Utc>, record: &Record<'_>, logger: String, fields: Fields) -> String {
    let mut object: std::collections::BTreeMap<String, Value> = fields.values.into_iter().collect();
    object.insert("level".into(), level_name(record.level()).into());
    object.insert("logger".into(), logger.into());
    object.insert("message".into(), record.msg().to_string().into());
    object.insert(
        "ts".into(),
        now.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string().into(),
    );
    serde_json::to_string(&object).unwrap_or_default()
}

/// Keeps a value from forging a second line in text logs.
fn one_line(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars()
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_default().collect()
                } else {
                    vec![c]
                }
            })
            .collect()
    } else {
        text.to_owned()
    }
}

impl<W: Write + Send + 'static> Drain for LineDrain<W> {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        let mut line = self.line(record, values);
        line.push('\n');
        if let Ok(mut output) = self.output.lock() {
            // One write a line: lines of several threads do not mix. Nobody can be told of a failure.
            let _lost = output.write_all(line.as_bytes()).is_err();
        }
        Ok(())
    }
}

#[derive(Default)]
struct Fields {
    logger: Option<String>,
    values: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, key: Key, value: Value) -> slog::Result {
        if key == "logger" {
            // The innermost name comes first and wins.
            self.logger
                .get_or_insert(value.as_str().unwrap_or_default().to_owned());
        } else {
            self.values.insert(key.to_string(), value);
        }
        Ok(())
    }
}

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        self.put(key, value.to_string().into())
    }
    fn emit_str(&mut self, key: Key, value: &str) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_bool(&mut self, key: Key, value: bool) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_u16(&mut self, key: Key, value: u16) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_u32(&mut self, key: Key, value: u32) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_u64(&mut self, key: Key, value: u64) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_usize(&mut self, key: Key, value: usize) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_i32(&mut self, key: Key, value: i32) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_i64(&mut self, key: Key, value: i64) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_f64(&mut self, key: Key, value: f64) -> slog::Result {
        self.put(key, value.into())
    }
    fn emit_none(&mut self, key: Key) -> slog::Result {
        self.put(key, Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slog::{Logger, info, o};

    use super::*;
    use crate::telemetry::named;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> DateTime<Utc> {
            "2026-11-23T12:48:35.856869Z".parse().unwrap()
        }
    }

    fn heard(format: LogFormat, say: impl FnOnce(&Logger)) -> String {
        let output = Shared::default();
        let drain = LineDrain::new(format, Box::new(Fixed), output.clone()).fuse();
        say(&named(&Logger::root(drain, o!()), "securescan.request"));
        String::from_utf8(output.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_have_sorted_keys_and_the_contracts_fields() {
        let line = heard(
            LogFormat::Json,
            |log| info!(log, "request"; "status" => 200, "path" => "/health"),
        );
        insta::assert_snapshot!(line.trim_end(), @r#"{"level":"INFO","logger":"securescan.request","message":"request","path":"/health","status":200,"ts":"2026-11-23T12:48:35.856869+00:00"}"#);
    }

    #[test]
    fn a_field_that_the_message_names_is_not_said_twice() {
        let line = heard(LogFormat::Text, |log| {
            info!(log, "scan.start scan_id=s1"; "scan_id" => "s1", "event" => "scan.start");
        });
        assert!(
            line.ends_with("scan.start scan_id=s1 event=scan.start\n"),
            "{line}"
        );
    }

    #[test]
    fn a_value_cannot_forge_a_second_text_line() {
        let line = heard(
            LogFormat::Text,
            |log| info!(log, "request"; "path" => "/a\n2026 [INFO] x: y"),
        );
        assert_eq!(line.matches('\n').count(), 1);
        assert!(
            line.contains("[INFO] securescan.request: request path=/a\\n2026"),
            "{line}"
        );
    }
}
