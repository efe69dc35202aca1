//! Opaque places in a list, as URL-safe text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A text that was not handed out as the place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor")]
pub struct InvalidCursor;

pub(super) fn encode(kind: char, number: i64, text: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind}{number}:{text}"))
}

/// Takes a cursor apart; the text after the colon may be anything.
pub(super) fn decode(kind: char, cursor: &str) -> Result<(i64, String), InvalidCursor> {
    let bytes = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_not_base64| InvalidCursor)?;
    let text = String::from_utf8(bytes).map_err(|_not_text| InvalidCursor)?;
    let (number, rest) = text
        .strip_prefix(kind)
        .and_then(|text| text.split_once(':'))
        .ok_or(InvalidCursor)?;
    let number = number.parse().map_err(|_not_a_number| InvalidCursor)?;
    Ok((number, rest.to_owned()))
}
