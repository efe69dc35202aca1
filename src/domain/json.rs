//! JSON text as the reference writes it: ASCII only, with or without spaces.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Returns JSON with `", "` and `": "` separators and non-ASCII escaped: the form of stored columns
/// and of SSE data.
///
/// Compat: contract/config-ops.md 6; the reference's filters search for `"value"` inside the text.
///
/// # Errors
///
/// When `value` has map keys that are not text, or a `Serialize` of its own that fails.
pub fn spaced_ascii(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, &SPACED)
}

/// Returns compact JSON with non-ASCII escaped: the form of webhook bodies.
///
/// # Errors
///
/// As [`spaced_ascii`].
pub fn compact_ascii(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, &COMPACT)
}

fn write(value: &impl Serialize, separators: &'static Separators) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(
        &mut bytes,
        Ascii { separators },
    ))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

struct Separators {
    item: &'static [u8],
    colon: &'static [u8],
}

static SPACED: Separators = Separators {
    item: b", ",
    colon: b": ",
};
static COMPACT: Separators = Separators {
    item: b",",
    colon: b":",
};

struct Ascii {
    separators: &'static Separators,
}

impl Ascii {
    fn separate<W: ?Sized + io::Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(self.separators.item)
        }
    }
}

impl Formatter for Ascii {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.separators.colon)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| !matches!(c, ' '..='~')) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = special.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_two_forms_differ_only_in_spaces() {
        let value =
            json!({"a": [1, 2.0, null], "é\u{7f}": {"😀": "\"\n\u{1}"}, "empty": [], "none": {}});
        assert_eq!(
            spaced_ascii(&value).unwrap(),
            r#"{"a": [1, 2.0, null], "\u00e9\u007f": {"\ud83d\ude00": "\"\n\u0001"}, "empty": [], "none": {}}"#
        );
        assert_eq!(
            compact_ascii(&value).unwrap(),
            r#"{"a":[1,2.0,null],"\u00e9\u007f":{"\ud83d\ude00":"\"\n\u0001"},"empty":[],"none":{}}"#
        );
    }
}
