//! `kind: Secret` manifests: whatever the keys under `data` are called, their values are secrets.

use std::ops::Range;

use super::assignment::at;
use super::placeholder::is_template;
use super::validity::decoded;

/// How far from `kind` the values may be, to either side: twice this stays within a window's context.
const REACH: usize = 2000;
/// Shorter values tell nothing: `YmFyCg==` is "bar".
const SHORTEST: usize = 10;

/// Finds the base64 values of the manifest whose `kind` stands at a place.
pub(super) fn values(bytes: &[u8], kind_at: usize, mut found: impl FnMut(Range<usize>)) {
    // `kind: SecretStore` is another thing.
    let word_end = (kind_at..kind_at + 32)
        .find(|&index| at(bytes, index).eq_ignore_ascii_case(&b's'))
        .map_or(kind_at, |start| start + b"secret".len());
    if at(bytes, word_end).is_ascii_alphanumeric() {
        return;
    }
    let document = document(bytes, kind_at);
    let mut inside = None;
    let mut wants_block = false;
    let mut start = document.start;
    for line in bytes
        .get(document)
        .unwrap_or_default()
        .split(|&byte| byte == b'\n')
    {
        let from = start;
        start += line.len() + 1;
        let text = line.trim_ascii();
        let indent = line.len() - line.trim_ascii_start().len();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        if text == b"data:" {
            inside = Some(indent);
            continue;
        }
        if inside.is_none_or(|outer| indent <= outer) {
            inside = None;
            continue;
        }
        let value_at = match memchr::memchr(b':', text) {
            Some(_) if wants_block => 0,
            Some(colon) => colon + 1,
            None => 0,
        };
        let value = text.get(value_at..).unwrap_or_default();
        wants_block = matches!(value.trim_ascii(), b"|" | b">" | b"|-" | b">-");
        if wants_block {
            continue;
        }
        let lead = value
            .iter()
            .take_while(|byte| b" \t\"'".contains(byte))
            .count();
        let body: &[u8] = value
            .get(lead..)
            .unwrap_or_default()
            .split(|byte| b" \"'".contains(byte))
            .next()
            .unwrap_or_default();
        if is_secret(body) {
            let begin = from + indent + value_at + lead;
            found(begin..begin + body.len());
        }
    }
}

/// Returns the YAML document around a place.
fn document(bytes: &[u8], place: usize) -> Range<usize> {
    let earliest = place.saturating_sub(REACH);
    let latest = bytes.len().min(place + REACH);
    let head = bytes.get(earliest..place).unwrap_or_default();
    let tail = bytes.get(place..latest).unwrap_or_default();
    let start = memchr::memmem::rfind(head, b"\n---").map_or(earliest, |at| earliest + at + 4);
    let end = memchr::memmem::find(tail, b"\n---").map_or(latest, |at| place + at);
    start..end
}

fn is_secret(value: &[u8]) -> bool {
    value.len() >= SHORTEST
        && !is_template(value)
        && decoded(value).is_some_and(|text| {
            !text.starts_with(b"-----BEGIN CERTIFICATE")
                && !text.starts_with(b"-----BEGIN PUBLIC")
                && !is_template(&text)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut all = Vec::new();
        let kind = text.to_ascii_lowercase().find("kind:").unwrap();
        values(text.as_bytes(), kind, |range| all.push(range));
        all.into_iter()
            .filter_map(|range| text.get(range))
            .collect()
    }

    #[test]
    fn data_before_and_after_the_kind_counts() {
        let value = "c3ZjOmh1bnRlcjJob3JzZQ==";
        for text in [
            format!("kind: Secret\ndata:\n  # note\n  any: {value}\n"),
            format!("data:\n\tany: '{value}'\nkind: \"secret\"\n"),
            format!("kind: Secret\ndata:\n  .cfg: |\n    {value}\ntype: Opaque\n"),
        ] {
            assert_eq!(found(&text), [value], "{text}");
        }
    }

    #[test]
    fn other_kinds_and_empty_values_do_not() {
        for text in [
            "kind: SecretStore\ndata:\n  any: c3ZjOmh1bnRlcjJob3JzZQ==\n",
            "kind: Secret\ndata:\n  any: \"\"\n  two: {{ .Values.x }}\n",
            "kind: Secret\ndata:\n  any: YmFyCg==\n",
            "kind: Secret\nmetadata:\n  any: c3ZjOmh1bnRlcjJob3JzZQ==\n",
            "data:\n  any: c3ZjOmh1bnRlcjJob3JzZQ==\n---\nkind: Secret\n",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
