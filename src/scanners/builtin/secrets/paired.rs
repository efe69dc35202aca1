//! Says whether a password stands beside its user: `id/pw: svc/…`, `user = svc` on the line before,
//! `?user=svc&password=…`. A pair is worth more than the word alone, so weaker values count.

use std::ops::Range;

use super::assignment::{Assigned, at};
use super::class::FileClass;

/// How far before the name its user may stand.
const USER_REACH: usize = 200;

/// How a name is joined to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paired {
    /// `id/pw`: the value holds both.
    Slash,
    /// A parameter among others: `;Password=`, `&password=`.
    Parameter,
    /// A user is assigned shortly before.
    Before,
}

/// Looks around the name.
pub(super) fn context(bytes: &[u8], name: &Range<usize>, class: FileClass) -> Option<Paired> {
    let before = name
        .start
        .checked_sub(1)
        .map_or(0, |index| at(bytes, index));
    if before == b'/' && is_user(word_ending(bytes, name.start - 1)) {
        return Some(Paired::Slash);
    }
    if matches!(before, b'&' | b';' | b'?') && at(bytes, name.end) == b'=' {
        return Some(Paired::Parameter);
    }
    if class != FileClass::Document {
        return None;
    }
    let window = bytes.get(name.start.saturating_sub(USER_REACH)..name.start)?;
    has_user(window).then_some(Paired::Before)
}

/// Returns the class to judge by: prose with pairs in it is a list of accounts.
pub(super) fn class(paired: Option<Paired>, class: FileClass) -> FileClass {
    match (paired, class) {
        (Some(_), FileClass::Document) => FileClass::Ini,
        (Some(Paired::Parameter), FileClass::Code) => FileClass::Yaml,
        _ => class,
    }
}

/// Of `svc/value` keeps what follows the separator.
pub(super) fn second(bytes: &[u8], assigned: Assigned) -> Assigned {
    let value = bytes.get(assigned.value.clone()).unwrap_or_default();
    let from = value
        .iter()
        .position(|byte| b"/:,".contains(byte))
        .map_or(assigned.value.start, |at| assigned.value.start + at + 1);
    Assigned {
        value: from..assigned.value.end,
        ..assigned
    }
}

/// Returns the word that ends at a place.
fn word_ending(bytes: &[u8], end: usize) -> &[u8] {
    let start = (end.saturating_sub(16)..end)
        .rev()
        .take_while(|&index| at(bytes, index).is_ascii_alphanumeric())
        .last()
        .unwrap_or(end);
    bytes.get(start..end).unwrap_or_default()
}

fn is_user(word: &[u8]) -> bool {
    [
        &b"id"[..],
        b"user",
        b"username",
        b"userid",
        b"login",
        b"account",
        b"uid",
    ]
    .iter()
    .any(|known| word.eq_ignore_ascii_case(known))
}

/// Finds `user = `, `username: ` or `login ` at the start of a word, a separator after it.
fn has_user(window: &[u8]) -> bool {
    let mut start = 0;
    for end in 0..=window.len() {
        if at(window, end).is_ascii_alphanumeric() || at(window, end) == b'_' {
            continue;
        }
        let word = window.get(start..end).unwrap_or_default();
        let last = word.rsplit(|&byte| byte == b'_').next().unwrap_or(word);
        let next = window
            .get(end..)
            .unwrap_or_default()
            .iter()
            .find(|byte| !b" \t\"'\\]".contains(byte));
        if is_user(last) && matches!(next, Some(b'=' | b':')) {
            return true;
        }
        start = end + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Paired> {
        let start = text.find("pw").unwrap();
        context(text.as_bytes(), &(start..start + 2), FileClass::Document)
    }

    #[test]
    fn a_user_makes_a_pair() {
        assert_eq!(of("ID/pw: svc/value"), Some(Paired::Slash));
        assert_eq!(of("x?user=svc&pw=value"), Some(Paired::Parameter));
        assert_eq!(
            of("db_user = 'svc'\n// note\npw = 'value'"),
            Some(Paired::Before)
        );
        assert_eq!(of("\"username\": \"svc\", \"pw\""), Some(Paired::Before));
    }

    #[test]
    fn a_word_for_users_alone_makes_none() {
        assert_eq!(of("the user chooses a pw: value"), None);
        assert_eq!(of("and/pw: value"), None);
        assert_eq!(of("abuser: 1\npw: value"), None);
    }
}
