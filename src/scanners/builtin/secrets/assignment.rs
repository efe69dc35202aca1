//! Reads `name = value` in the spellings of some thirty languages and formats, without a regex.
//!
//! The keyword automaton stops at every `key`, `token` and `pass` of a source tree, so the first
//! question must be cheap: does an assignment follow at all? Only then is the value cut out.

use std::ops::Range;

use super::class::FileClass;

/// Longest name that is read, to either side of the keyword.
const NAME_REACH: usize = 64;
/// Longest run of blanks around an operator (aligned columns).
const BLANKS_REACH: usize = 64;
/// Longest value.
pub(super) const VALUE_REACH: usize = 512;

/// What joins name and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `=`, `:=`, `=>`, `||=` …
    Equals,
    /// `:`
    Colon,
    /// Second argument, or the value beside a name: `define('NAME', 'value')`.
    Comma,
    /// `<name>value</name>`
    Element,
    /// `password value`
    Space,
    /// "the password is 'value'"
    Said,
    /// `==`, `!=`
    Comparison,
    /// `setPassword("value")`
    Call,
}

/// A value that a name is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) operator: Operator,
    pub(super) value: Range<usize>,
    pub(super) is_quoted: bool,
}

/// Returns the byte, or 0 outside the text: no name, operator or value holds a NUL.
pub(super) fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Returns where the name around a keyword ends.
pub(super) fn name_end(bytes: &[u8], from: usize) -> usize {
    let mut end = from;
    while end < from + NAME_REACH && is_name_byte(at(bytes, end)) {
        end += 1;
    }
    end
}

/// Returns where the name around a keyword starts.
pub(super) fn name_start(bytes: &[u8], from: usize) -> usize {
    let mut start = from;
    while start > 0 && from - start < NAME_REACH && is_name_byte(at(bytes, start - 1)) {
        start -= 1;
    }
    // `--password`: the hyphens are no part of the name.
    while start < from && at(bytes, start) == b'-' {
        start += 1;
    }
    start
}

fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    let mut position = from;
    while position < from + BLANKS_REACH && matches!(at(bytes, position), b' ' | b'\t') {
        position += 1;
    }
    position
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let mut position = from;
    while position < from + BLANKS_REACH && at(bytes, position).is_ascii_whitespace() {
        position += 1;
    }
    position
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

fn starts_with(bytes: &[u8], at: usize, text: &[u8]) -> bool {
    bytes
        .get(at..at + text.len())
        .is_some_and(|part| part.eq_ignore_ascii_case(text))
}

/// Reads what is assigned to the name that spans `name`, if anything is.
pub(super) fn after(bytes: &[u8], name: Range<usize>, class: FileClass) -> Option<Assigned> {
    let (position, is_closed) = skip_closing(bytes, name.end);
    if !is_closed && at(bytes, position) == b'(' {
        return call(bytes, position + 1);
    }
    if let Some(found) = element(bytes, &name, position, is_closed) {
        return Some(found);
    }
    let blanks_end = skip_blanks(bytes, position);
    let (operator, value_at) = operator(bytes, &name, position, blanks_end, is_closed, class)?;
    let is_tight = blanks_end == position && !matches!(at(bytes, value_at), b' ' | b'\t');
    value(bytes, value_at, operator, class, is_tight)
}

/// Skips what closes a quoted or indexed name: `"`, `\"`, `']`, `[32]`.
fn skip_closing(bytes: &[u8], end: usize) -> (usize, bool) {
    let mut position = end;
    let mut is_closed = false;
    if at(bytes, position) == b'\\' && is_quote(at(bytes, position + 1)) {
        position += 2;
        is_closed = true;
    } else if is_quote(at(bytes, position)) {
        position += 1;
        is_closed = true;
    }
    if at(bytes, position) == b']' {
        position += 1;
    } else if !is_closed && at(bytes, position) == b'[' {
        let close = (position + 1..position + 6).find(|&index| !at(bytes, index).is_ascii_digit());
        if let Some(close) = close.filter(|&close| at(bytes, close) == b']') {
            position = close + 1;
        }
    }
    (position, is_closed)
}

/// `setPassword("value")`: only a lone literal counts.
fn call(bytes: &[u8], position: usize) -> Option<Assigned> {
    let found = quoted(bytes, skip_blanks(bytes, position), Operator::Call)?;
    let after = skip_blanks(bytes, found.value.end + 1);
    (at(bytes, after) == b')').then_some(found)
}

/// `<name attr="x">value<`, `name="key">value<`, `<key>name</key> <string>value<`.
fn element(
    bytes: &[u8],
    name: &Range<usize>,
    position: usize,
    is_closed: bool,
) -> Option<Assigned> {
    let before = name
        .start
        .checked_sub(1)
        .map_or(0, |index| at(bytes, index));
    if at(bytes, position) == b'<' && at(bytes, position + 1) == b'/' {
        let tag_end = (position..position + 20).find(|&index| at(bytes, index) == b'>')?;
        let next = skip_space(bytes, tag_end + 1);
        let tag = [&b"<string>"[..], b"<value>", b"<data>", b"<constant>"]
            .into_iter()
            .find(|tag| starts_with(bytes, next, tag))?;
        return text_of_element(bytes, next + tag.len());
    }
    let opens_element = before == b'<'
        || (before == b':' && name.start >= 2 && at(bytes, name.start - 2).is_ascii_alphanumeric());
    if opens_element && !is_closed {
        let limit = position + 96;
        let tag_end =
            (position..limit).find(|&index| matches!(at(bytes, index), b'>' | b'<' | b'\n' | 0))?;
        let is_attribute_list = position == tag_end || matches!(at(bytes, position), b' ' | b'\t');
        if at(bytes, tag_end) == b'>'
            && is_attribute_list
            && at(bytes, tag_end - 1) != b'/'
            && at(bytes, tag_end - 1) != b'='
        {
            return text_of_element(bytes, tag_end + 1);
        }
        return None;
    }
    if is_closed && at(bytes, position) == b'>' {
        return text_of_element(bytes, position + 1);
    }
    None
}

fn text_of_element(bytes: &[u8], start: usize) -> Option<Assigned> {
    let inner = skip_space(bytes, start);
    let start = if starts_with(bytes, start, b"<![CDATA[") {
        start + 9
    } else if starts_with(bytes, inner, b"<value>") {
        inner + 7
    } else {
        start
    };
    let rest = bytes.get(start..bytes.len().min(start + VALUE_REACH))?;
    let end = memchr::memchr2(b'<', b']', rest)?;
    trimmed(bytes, start..start + end, Operator::Element)
}

/// Shrinks a bare value to what is not white space.
fn trimmed(bytes: &[u8], range: Range<usize>, operator: Operator) -> Option<Assigned> {
    let text = bytes.get(range.clone())?;
    let start = range.start + (text.len() - text.trim_ascii_start().len());
    let end = range.end - (text.len() - text.trim_ascii_end().len());
    (start < end).then_some(Assigned {
        operator,
        value: start..end,
        is_quoted: false,
    })
}

/// Recognises the operator and returns where the value may start.
fn operator(
    bytes: &[u8],
    name: &Range<usize>,
    position: usize,
    blanks_end: usize,
    is_closed: bool,
    class: FileClass,
) -> Option<(Operator, usize)> {
    let next = at(bytes, blanks_end + 1);
    match at(bytes, blanks_end) {
        b'=' => match next {
            b'=' => Some((
                Operator::Comparison,
                blanks_end + 2 + usize::from(at(bytes, blanks_end + 2) == b'='),
            )),
            b'>' => Some((Operator::Equals, blanks_end + 2)),
            b'~' => None,
            _ => Some((Operator::Equals, blanks_end + 1)),
        },
        b'!' if next == b'=' => Some((
            Operator::Comparison,
            blanks_end + 2 + usize::from(at(bytes, blanks_end + 2) == b'='),
        )),
        b':' => after_colon(bytes, blanks_end),
        b'?' | b'.' | b'+' if next == b'=' => Some((Operator::Equals, blanks_end + 2)),
        b'<' if next == b'-' => Some((Operator::Equals, blanks_end + 2)),
        b'|' | b'?' if next == at(bytes, blanks_end) && at(bytes, blanks_end + 2) == b'=' => {
            Some((Operator::Equals, blanks_end + 3))
        }
        b',' if is_closed => Some((Operator::Comma, named_value(bytes, blanks_end + 1))),
        // A row of a table: `name,value`.
        b',' if class == FileClass::Document && blanks_end == position => {
            Some((Operator::Equals, blanks_end + 1))
        }
        b'{' if is_closed => declared_default(bytes, blanks_end + 1),
        b')' if is_closed => fallback(bytes, blanks_end + 1),
        b'v' | b'V' if is_closed && starts_with(bytes, blanks_end, b"value=") => {
            Some((Operator::Equals, blanks_end + 6))
        }
        b'\r' | b'\n' => next_line(bytes, blanks_end),
        first if blanks_end > position && !is_closed => {
            after_blank(bytes, name, blanks_end, first, class)
        }
        _ => None,
    }
}

/// `"name", "value": "…"`: a list of named values; otherwise the value follows the comma.
fn named_value(bytes: &[u8], position: usize) -> usize {
    let next = skip_space(bytes, position);
    for label in [
        &b"\"value\":"[..],
        b"\"value\" :",
        b"'value':",
        b"value:",
        b"\"Value\":",
        b"value=",
        b"\"defaultValue\":",
    ] {
        if starts_with(bytes, next, label) {
            return next + label.len();
        }
    }
    position
}

/// `getenv("NAME") || "value"`, `env("NAME") or "value"`.
fn fallback(bytes: &[u8], position: usize) -> Option<(Operator, usize)> {
    let next = skip_blanks(bytes, position);
    for word in [&b"||"[..], b"or ", b"??", b"?:"] {
        if starts_with(bytes, next, word) {
            return Some((Operator::Comma, next + word.len()));
        }
    }
    None
}

/// `- name: NAME` with `value: …` on the next line.
fn next_line(bytes: &[u8], position: usize) -> Option<(Operator, usize)> {
    let next = skip_space(bytes, position);
    starts_with(bytes, next, b"value:").then_some((Operator::Colon, next + 6))
}

/// Terraform's `variable "name" {` with `default = "…"` among the next lines.
fn declared_default(bytes: &[u8], position: usize) -> Option<(Operator, usize)> {
    const BLOCK: usize = 240;
    let block = bytes.get(position..bytes.len().min(position + BLOCK))?;
    let block = block.get(..memchr::memchr(b'}', block).unwrap_or(block.len()))?;
    let word = memchr::memmem::find(block, b"default")?;
    let equals = skip_blanks(bytes, position + word + b"default".len());
    (at(bytes, equals) == b'=').then_some((Operator::Equals, equals + 1))
}

fn after_colon(bytes: &[u8], colon: usize) -> Option<(Operator, usize)> {
    let next = at(bytes, colon + 1);
    if next == b':' {
        let last = colon + 2 + usize::from(at(bytes, colon + 2) == b':');
        return (at(bytes, last) == b'=').then_some((Operator::Equals, last + 1));
    }
    if next == b'=' {
        return Some((Operator::Equals, colon + 2));
    }
    // `name: Type = "value"`
    let start = skip_blanks(bytes, colon + 1);
    if at(bytes, start).is_ascii_alphabetic() || at(bytes, start) == b'&' {
        let is_type = |byte: u8| byte.is_ascii_alphanumeric() || b"_.<>[]?|&' ,\"".contains(&byte);
        let mut end = start;
        while end < start + 48 && is_type(at(bytes, end)) {
            end += 1;
        }
        if at(bytes, end) == b'=' && at(bytes, end + 1) != b'=' && at(bytes, end - 1) == b' ' {
            return Some((Operator::Equals, end + 1));
        }
    }
    Some((Operator::Colon, colon + 1))
}

/// A blank is an operator where the format or the word before the name says so.
fn after_blank(
    bytes: &[u8],
    name: &Range<usize>,
    position: usize,
    first: u8,
    class: FileClass,
) -> Option<(Operator, usize)> {
    // Go: `name string = "value"`.
    for word in [&b"string"[..], b"[]byte", b"*string", b"NVARCHAR", b"text"] {
        if starts_with(bytes, position, word) {
            let next = skip_blanks(bytes, position + word.len());
            if at(bytes, next) == b'=' && at(bytes, next + 1) != b'=' {
                return Some((Operator::Equals, next + 1));
            }
        }
    }
    if let Some(found) = in_prose(bytes, position, class) {
        return Some(found);
    }
    let word = bytes.get(name.clone()).unwrap_or_default();
    let line_word = word_before(bytes, name.start);
    let is_option = name.start >= 2 && at(bytes, name.start - 1) == b'-';
    let is_setting = [
        &b"setenv"[..],
        b"ENV",
        b"ARG",
        b"set",
        b"export",
        b"-x",
        b"setx",
    ]
    .iter()
    .any(|known| line_word.eq_ignore_ascii_case(known));
    let is_directive = [
        &b"requirepass"[..],
        b"masterauth",
        b"ldap_password",
        b"bindpw",
        b"rpcpassword",
        b"authpass",
        b"auth_pass",
    ]
    .iter()
    .any(|known| word.eq_ignore_ascii_case(known));
    let is_sql = is_quote(first)
        && word
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b' ')
        && word.len() >= 8;
    // `#define NAME "value"`; Clojure's `:name "value"`.
    let is_definition = is_quote(first)
        && (line_word == b"#define"
            || name
                .start
                .checked_sub(1)
                .is_some_and(|index| at(bytes, index) == b':'));
    let is_statement = starts_with(word, 0, b"identified by") && is_quote(first);
    (class == FileClass::Credential
        || is_option
        || (is_setting && class.is_lenient())
        || (is_directive && class.is_lenient())
        || is_sql
        || is_statement
        || is_definition)
        .then_some((Operator::Space, position))
}

/// "the password is 'x'" wherever it is quoted; in prose also "password of svc is x" and
/// "password for svc: x".
fn in_prose(bytes: &[u8], position: usize, class: FileClass) -> Option<(Operator, usize)> {
    if starts_with(bytes, position, b"is ") {
        return match class {
            _ if is_quote(at(bytes, position + 3)) => Some((Operator::Said, position + 3)),
            FileClass::Document => Some((Operator::Space, position + 3)),
            _ => None,
        };
    }
    if class != FileClass::Document {
        return None;
    }
    let whose = [&b"of "[..], b"for ", b"in "]
        .into_iter()
        .find(|word| starts_with(bytes, position, word))?;
    let mut end = position + whose.len();
    while is_name_byte(at(bytes, end)) && end < position + NAME_REACH {
        end += 1;
    }
    if at(bytes, end) == b':' {
        return Some((Operator::Colon, end + 1));
    }
    starts_with(bytes, end, b" is ").then_some((Operator::Space, end + 4))
}

/// Returns the word before a position, blanks between.
fn word_before(bytes: &[u8], position: usize) -> &[u8] {
    let mut end = position;
    while end > 0 && position - end < 8 && matches!(at(bytes, end - 1), b' ' | b'\t') {
        end -= 1;
    }
    let mut start = end;
    while start > 0 && end - start < 16 && !at(bytes, start - 1).is_ascii_whitespace() {
        start -= 1;
    }
    bytes.get(start..end).unwrap_or_default()
}

/// Cuts the value out.
fn value(
    bytes: &[u8],
    from: usize,
    operator: Operator,
    class: FileClass,
    is_tight: bool,
) -> Option<Assigned> {
    let mut start = skip_blanks(bytes, from);
    let is_code = matches!(
        class,
        FileClass::Code | FileClass::SettingsCode | FileClass::Config
    );
    if operator == Operator::Colon && class.takes_bare_values() {
        start = block_scalar(bytes, start);
    }
    let may_wrap = is_code && matches!(operator, Operator::Equals | Operator::Colon);
    if may_wrap && matches!(at(bytes, start), b'\r' | b'\n') {
        let next = skip_space(bytes, start);
        if !is_quote(at(bytes, next)) {
            return None;
        }
        start = next;
    }
    if at(bytes, start) == b'(' && is_quote(at(bytes, start + 1)) {
        start += 1;
    }
    if let Some(found) = quoted(bytes, start, operator) {
        return Some(found);
    }
    if !class.takes_bare_values()
        || is_quote(at(bytes, start))
        || operator == Operator::Comparison
        || operator == Operator::Comma
    {
        return None;
    }
    bare(bytes, start, operator, class, is_tight)
}

/// YAML's `name: |` and `name: >-`: the value stands alone on the next line.
fn block_scalar(bytes: &[u8], start: usize) -> usize {
    if !matches!(at(bytes, start), b'|' | b'>') {
        return start;
    }
    let sign = start + 1 + usize::from(matches!(at(bytes, start + 1), b'-' | b'+'));
    if matches!(at(bytes, sign), b'\r' | b'\n') {
        skip_space(bytes, sign)
    } else {
        start
    }
}

/// Reads a literal with its prefix (`b"`, `r'`, `@"`, `\"`).
fn quoted(bytes: &[u8], from: usize, operator: Operator) -> Option<Assigned> {
    let mut start = from;
    if matches!(at(bytes, start), b'@' | b'L' | b'$') && at(bytes, start + 1) == b'"' {
        start += 1;
    }
    for _ in 0..2 {
        let is_prefix = matches!(
            at(bytes, start),
            b'b' | b'r' | b'u' | b'f' | b'B' | b'R' | b'U' | b'F'
        );
        if is_prefix && (is_quote(at(bytes, start + 1)) || is_quote(at(bytes, start + 2))) {
            start += 1;
        }
    }
    let is_escaped = at(bytes, start) == b'\\' && is_quote(at(bytes, start + 1));
    start += usize::from(is_escaped);
    let quote = at(bytes, start);
    if !is_quote(quote) {
        return None;
    }
    start += 1;
    if at(bytes, start) == quote && at(bytes, start + 1) == quote {
        start += 2;
    }
    let mut end = start;
    loop {
        let byte = at(bytes, end);
        if byte == quote || (is_escaped && byte == b'\\' && at(bytes, end + 1) == quote) {
            break;
        }
        if matches!(byte, b'\n' | b'\r' | 0) || end - start > VALUE_REACH {
            return None;
        }
        end += 1 + usize::from(byte == b'\\' && !is_escaped);
    }
    (start < end).then_some(Assigned {
        operator,
        value: start..end,
        is_quoted: true,
    })
}

/// Reads a value without quotes.
fn bare(
    bytes: &[u8],
    start: usize,
    operator: Operator,
    class: FileClass,
    is_tight: bool,
) -> Option<Assigned> {
    let rest = bytes.get(start..bytes.len().min(start + VALUE_REACH))?;
    let line_end = memchr::memchr2(b'\n', 0, rest).unwrap_or(rest.len());
    let line = rest.get(..line_end)?;
    let is_word = class == FileClass::Shell
        || operator == Operator::Space
        || (is_tight && operator == Operator::Equals && class != FileClass::Env)
        || class == FileClass::Document;
    let length = if is_word {
        let stops: &[u8] = if class == FileClass::Ini || class == FileClass::Credential {
            b"\"'`<>"
        } else {
            b";|()<>\"'`,&}]\\"
        };
        line.iter()
            .position(|byte| byte.is_ascii_whitespace() || stops.contains(byte))
            .unwrap_or(line.len())
    } else {
        end_of_setting(line)
    };
    let found = trimmed(bytes, start..start + length, operator)?;
    let text = bytes.get(found.value.clone())?;
    // `name: word and more words` is prose; `f(x)` is a call.
    let is_call = text.contains(&b'(') && text.last() == Some(&b')');
    (!text.iter().any(u8::is_ascii_whitespace) && !is_call && !is_quote(at(text, 0)))
        .then_some(found)
}

/// Returns the length of a line's value without comment and separators at its end.
fn end_of_setting(line: &[u8]) -> usize {
    let mut end = line
        .windows(2)
        .position(|pair| matches!(pair, b" #" | b"\t#" | b" ;" | b"\t;"))
        .unwrap_or(line.len());
    while end > 0
        && matches!(
            at(line, end - 1),
            b' ' | b'\t' | b'\r' | b',' | b';' | b'}' | b']'
        )
    {
        end -= 1;
    }
    // Flow style: `{ user: a, password: b, port: 1 }`.
    let head = line.get(..end).unwrap_or_default();
    head.windows(2)
        .position(|pair| pair == b", ")
        .unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::string_slice,
        reason = "the texts are ASCII and made by the tests"
    )]
    fn read(text: &str, class: FileClass) -> Option<String> {
        let start = text.to_ascii_lowercase().find("pass").unwrap_or(0);
        let name = name_start(text.as_bytes(), start)..name_end(text.as_bytes(), start);
        after(text.as_bytes(), name, class).map(|found| text[found.value].to_owned())
    }

    #[test]
    fn assignments_of_many_languages_are_read() {
        for (text, class) in [
            (r#"password = "V4lue""#, FileClass::Code),
            (r#""password": "V4lue","#, FileClass::Config),
            (r#"\"password\": \"V4lue\","#, FileClass::Code),
            (r"define('DB_PASSWORD', 'V4lue');", FileClass::Code),
            (r":password => 'V4lue'", FileClass::Code),
            (r#"var password string = "V4lue""#, FileClass::Code),
            (r#"password := "V4lue""#, FileClass::Code),
            (r#"let password: &'static str = "V4lue";"#, FileClass::Code),
            (r#"const password: string = "V4lue";"#, FileClass::Code),
            (r#"char password[] = "V4lue";"#, FileClass::Code),
            (r"$config['password'] = 'V4lue';", FileClass::Code),
            (r#"setPassword("V4lue")"#, FileClass::Code),
            (r"connect(host='h', password=b'V4lue')", FileClass::Code),
            (r#"os.getenv("DB_PASSWORD", "V4lue")"#, FileClass::Code),
            (r"<Pass>V4lue</Pass>", FileClass::Config),
            (r#"<Pass encoding="base64">V4lue</Pass>"#, FileClass::Config),
            (r#"<add key="Password" value="V4lue" />"#, FileClass::Config),
            (
                r#"<property name="password">V4lue</property>"#,
                FileClass::Config,
            ),
            (
                "<key>Password</key>\n  <string>V4lue</string>",
                FileClass::Config,
            ),
            ("password: V4lue", FileClass::Yaml),
            ("password: V4lue  # comment", FileClass::Yaml),
            ("- name: DB_PASSWORD\n  value: V4lue", FileClass::Yaml),
            (
                r#"{"name": "DB_PASSWORD", "value": "V4lue"}"#,
                FileClass::Config,
            ),
            ("{ user: a, password: V4lue, port: 1 }", FileClass::Yaml),
            ("password=V4lue", FileClass::Ini),
            ("password = V4lue", FileClass::Ini),
            ("export DB_PASSWORD=V4lue", FileClass::Shell),
            ("setenv DB_PASSWORD V4lue", FileClass::Shell),
            ("ENV DB_PASSWORD V4lue", FileClass::Shell),
            ("tool --password V4lue --now", FileClass::Shell),
            ("machine h login l password V4lue", FileClass::Credential),
            ("ALTER USER x PASSWORD 'V4lue'", FileClass::Code),
        ] {
            assert_eq!(read(text, class).as_deref(), Some("V4lue"), "{text}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_not_read() {
        for text in [
            "the password is stored",
            "def password(self):",
            "password.reset()",
            "check_password(user, pw)",
            "password: String,",
            "if password:",
            "password = get_password()",
            "password = other",
            "# password: see below",
        ] {
            assert_eq!(read(text, FileClass::Code), None, "{text}");
        }
    }
}
