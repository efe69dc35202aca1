//! Judges assigned values by what the name promises and the kind of file: no provider, no fixed form.

use super::assignment::{Assigned, Operator};
use super::class::FileClass;
use super::entropy::{Makeup, is_random, shannon, share_of_words, wordlike};
use super::placeholder::{is_placeholder, is_template, is_trivial};
use super::promise::{Promise, is_password_word, words};
use super::rules::Confidence;

/// Judges a value; `None` when it is none worth a person's time.
pub(super) fn judge(
    name: &[u8],
    promise: Promise,
    assigned: &Assigned,
    value: &[u8],
    class: FileClass,
) -> Option<Confidence> {
    if value.len() < 4 || value.len() > 400 || class == FileClass::Machine || is_reference(value) {
        return None;
    }
    let takes_echoes = matches!(
        class,
        FileClass::Credential | FileClass::Env | FileClass::Ini
    );
    if (!takes_echoes && echoes(name, value))
        || (assigned.operator == Operator::Call && name.ends_with(b"pass"))
    {
        return None;
    }
    let is_weak_context =
        matches!(assigned.operator, Operator::Comparison | Operator::Call) && !class.is_lenient();
    if is_placeholder(value)
        && !(class == FileClass::Credential && !is_template(value) && is_typed(value))
    {
        return None;
    }
    // `('ssh_pass', 'become_password')`: a list of names.
    let is_name = value.contains(&b'_')
        && value
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    if is_name
        && (assigned.operator == Operator::Comma
            || words(value).iter().any(|word| is_password_word(word)))
    {
        return None;
    }
    match promise {
        Promise::Password => password(value, class, assigned, is_weak_context),
        Promise::Secret if value.len() < 16 || !is_random(value, 16) => {
            let makeup = Makeup::of(value);
            let is_mixed = makeup.digits > 0 && makeup.letters() > 0;
            (is_mixed && (class.is_lenient() || value.len() >= 8))
                .then(|| password(value, class, assigned, is_weak_context))?
                .map(|_| Confidence::Low)
        }
        Promise::Secret | Promise::SecretKey | Promise::Token | Promise::ApiKey => {
            let shortest = if class.is_lenient() { 10 } else { 16 };
            let confidence = if value.len() >= 24 {
                Confidence::Medium
            } else {
                Confidence::Low
            };
            is_random(value, shortest).then_some(confidence)
        }
        Promise::Key => key(value, class),
    }
}

/// A name ending in `key` or `salt` alone promises little: the value must be long and random, and in
/// program text base64 (a hash of a cache key is hex).
fn key(value: &[u8], class: FileClass) -> Option<Confidence> {
    let makeup = Makeup::of(value);
    if value.starts_with(b"AAAA")
        || value.starts_with(b"MII")
        || value.starts_with(b"MFkw")
        || value.starts_with(b"MCow")
        || value.starts_with(b"ssh-")
    {
        return None;
    }
    if matches!(
        class,
        FileClass::Env | FileClass::Credential | FileClass::SettingsCode
    ) {
        return is_random(value, 20).then_some(Confidence::Low);
    }
    let is_base64 = value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
    (is_base64
        && makeup.length >= 40
        && makeup.hex < makeup.length
        && makeup.digits > 0
        && makeup.lower > 4
        && makeup.upper > 4
        && shannon(value) >= 4.3
        && is_random(value, 40))
    .then_some(Confidence::Low)
}

/// A value in a credential file that a person typed, however silly.
fn is_typed(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    ![
        &b"your"[..],
        b"change",
        b"xxxx",
        b"***",
        b"example",
        b"placeholder",
        b"enter",
        b"insert",
        b"here",
    ]
    .iter()
    .any(|part| memchr::memmem::find(&lower, part).is_some())
}

/// Judges a value that a person may have chosen.
fn password(
    value: &[u8],
    class: FileClass,
    assigned: &Assigned,
    is_weak_context: bool,
) -> Option<Confidence> {
    let makeup = Makeup::of(value);
    if class == FileClass::Credential {
        return (makeup.spaces == 0 && !is_literal(value)).then_some(if is_trivial(value) {
            Confidence::Low
        } else {
            Confidence::High
        });
    }
    if is_algorithm(value) || is_literal(value) {
        return None;
    }
    if assigned.operator == Operator::Said {
        let is_said = makeup.length >= 5
            && makeup.spaces + makeup.foreign == 0
            && (makeup.digits > 0 || !is_trivial(value))
            && value
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!@#$%&*_-".contains(byte));
        return is_said.then_some(Confidence::Low);
    }
    if is_trivial(value) {
        // `password=pass123` in an ini file is silly and real.
        let is_silly = matches!(class, FileClass::Ini | FileClass::SettingsCode)
            && makeup.digits > 0
            && makeup.letters() >= 4
            && makeup.length >= 7
            && makeup.symbols == 0;
        return (is_silly && !value.to_ascii_lowercase().starts_with(b"test"))
            .then_some(Confidence::Low);
    }
    if makeup.spaces > 0 || makeup.foreign > 0 {
        let is_phrase = makeup.spaces > 2
            || makeup.digits == 0
            || makeup.kinds() < 4
            || share_of_words(value) > 0.4;
        return (!is_phrase && makeup.foreign == 0 && assigned.is_quoted)
            .then_some(Confidence::Low);
    }
    if is_random(value, 12) {
        return Some(Confidence::High);
    }
    if class.is_lenient() && !is_weak_context {
        lenient_password(value, makeup, class)
    } else {
        strict_password(value, makeup, class, assigned)
    }
}

/// Settings: most values after a password's name are passwords.
fn lenient_password(value: &[u8], makeup: Makeup, class: FileClass) -> Option<Confidence> {
    let takes_words = matches!(
        class,
        FileClass::Env | FileClass::Ini | FileClass::Shell | FileClass::SettingsCode
    );
    if makeup.length < 5 || is_dotted_name(value) {
        return None;
    }
    if makeup.digits > 0 && makeup.letters() > 0 {
        return (takes_words || !is_slug(value)).then_some(Confidence::Medium);
    }
    if makeup.letters() == 0 {
        return (takes_words
            && makeup.length >= 6
            && makeup.symbols <= 1
            && value.iter().all(u8::is_ascii_digit))
        .then_some(Confidence::Low);
    }
    if value.iter().any(|byte| b"!@#$%^&*?~".contains(byte))
        && makeup.length >= 6
        && !b"@#&?$%!*~".contains(&value.first().copied().unwrap_or(0))
    {
        return Some(Confidence::Medium);
    }
    if takes_words || is_run_together(makeup) {
        return Some(Confidence::Low);
    }
    (makeup.length >= 8 && wordlike(value).is_some_and(|share| share < 0.45))
        .then_some(Confidence::Low)
}

/// `thisisthedoor`: no label or name runs so many letters together.
const fn is_run_together(makeup: Makeup) -> bool {
    makeup.lower >= 13 && makeup.lower == makeup.length
}

/// Program text and prose: most values after a password's name are samples, labels and names.
fn strict_password(
    value: &[u8],
    makeup: Makeup,
    class: FileClass,
    assigned: &Assigned,
) -> Option<Confidence> {
    let shortest = if class == FileClass::Document && !assigned.is_quoted {
        8
    } else {
        6
    };
    if makeup.length < shortest
        || is_slug(value)
        || is_dotted_name(value)
        || value.iter().any(|byte| b"<>(){}[]|\\:;,=".contains(byte))
    {
        return None;
    }
    if makeup.digits > 0 && makeup.letters() > 0 {
        let head = value
            .iter()
            .rev()
            .skip_while(|byte| byte.is_ascii_digit() || b"!@#$".contains(byte))
            .count();
        let is_word_with_number = share_of_words(value.get(..head).unwrap_or(value)) >= 0.6
            && !value
                .get(..head)
                .unwrap_or(value)
                .iter()
                .any(u8::is_ascii_digit);
        let is_chosen = assigned.is_quoted
            && (makeup.length >= 10
                || (makeup.length >= 8 && (makeup.digits >= 2 || makeup.kinds() >= 3)));
        return (!is_word_with_number || is_chosen).then_some(if makeup.kinds() >= 3 {
            Confidence::Medium
        } else {
            Confidence::Low
        });
    }
    let has_symbol = value
        .iter()
        .skip(1)
        .any(|byte| b"!@#$%^&*?~".contains(byte));
    let is_prose = class == FileClass::Document && assigned.is_quoted;
    if is_prose && is_run_together(makeup) {
        return Some(Confidence::Low);
    }
    if has_symbol
        && (makeup.kinds() >= 3
            || (is_prose && value.last().is_some_and(u8::is_ascii_alphanumeric)))
        && makeup.length >= 8
        && value.first().is_some_and(u8::is_ascii_alphanumeric)
    {
        return (is_prose || share_of_words(value) < 0.7).then_some(Confidence::Low);
    }
    (makeup.symbols == 0
        && makeup.digits == 0
        && makeup.length >= 12
        && wordlike(value).is_some_and(|share| share < 0.42))
    .then_some(Confidence::Low)
}

/// `reset-password-2`, `user_password`: words joined by separators.
fn is_slug(value: &[u8]) -> bool {
    let mut parts = 0;
    let is_words = value
        .split(|byte| b"_-./ ".contains(byte))
        .filter(|part| !part.is_empty())
        .all(|part| {
            parts += 1;
            part.iter().all(u8::is_ascii_digit)
                || (part.iter().all(u8::is_ascii_alphabetic)
                    && (part.len() <= 3 || share_of_words(part) >= 0.6))
        });
    is_words && parts > 1
}

fn is_dotted_name(value: &[u8]) -> bool {
    value.contains(&b'.')
        && value.split(|&byte| byte == b'.').all(|part| {
            !part.is_empty()
                && !part.first().is_some_and(u8::is_ascii_digit)
                && part
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
                && (part.len() < 3 || share_of_words(part) >= 0.5)
        })
}

/// Paths, addresses, UUIDs, versions: values that point elsewhere.
fn is_reference(value: &[u8]) -> bool {
    let starts = |prefix: &[u8]| value.starts_with(prefix);
    let is_path = (starts(b"/")
        && value.iter().filter(|&&byte| byte == b'/').count() > 1
        && share_of_words(value) > 0.4)
        || starts(b"./")
        || starts(b"../")
        || starts(b"~/")
        || starts(b"\\\\")
        || (value.get(1) == Some(&b':') && value.get(2) == Some(&b'\\'));
    is_path
        || (value.contains(&b'/') && share_of_words(value) > 0.5)
        || memchr::memmem::find(value, b"://").is_some()
        || starts(b"arn:")
        || starts(b"data:")
        || starts(b"vault:")
        || starts(b"op://")
        || starts(b"ENC[")
        || starts(b"!")
        || starts(b"secret/")
        || starts(b"enc:")
        || starts(b"ssm:")
        || starts(b"-----")
        || starts(b"sha256-")
        || starts(b"sha512-")
        || starts(b"sha384-")
        || starts(b"sha1-")
        || starts(b"sha256:")
        || starts(b"projects/")
        || is_uuid(value)
        || has_file_extension(value)
        || value.iter().filter(|&&byte| byte == b'|').count() > 1
        || is_expression(value)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(index, byte)| {
            if matches!(index, 8 | 13 | 18 | 23) {
                *byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
}

fn has_file_extension(value: &[u8]) -> bool {
    const EXTENSIONS: [&[u8]; 24] = [
        b"txt",
        b"json",
        b"yml",
        b"yaml",
        b"xml",
        b"pem",
        b"key",
        b"crt",
        b"cer",
        b"p12",
        b"pfx",
        b"jks",
        b"py",
        b"js",
        b"ts",
        b"html",
        b"php",
        b"md",
        b"png",
        b"svg",
        b"env",
        b"tsx",
        b"java",
        b"properties",
    ];
    value
        .iter()
        .rposition(|&byte| byte == b'.')
        .and_then(|dot| value.get(dot + 1..))
        .is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// `self.get_token()`, `config.get('x')`, `var->name`, `a::b`.
fn is_expression(value: &[u8]) -> bool {
    memchr::memmem::find(value, b"()").is_some()
        || memchr::memmem::find(value, b"->").is_some()
        || memchr::memmem::find(value, b"::").is_some()
        || memchr::memmem::find(value, b"=>").is_some()
        || [
            &b"process.env"[..],
            b"os.environ",
            b"ENV[",
            b"env.",
            b"secrets.",
            b"var.",
            b"local.",
            b"data.",
            b"module.",
            b"self.",
            b"this.",
            b"args.",
            b"config.",
            b"settings.",
            b"options.",
            b"req.",
            b"request.",
            b"params.",
            b"ctx.",
        ]
        .iter()
        .any(|prefix| value.starts_with(prefix) && is_dotted_name(value))
}

/// The value says what the name says: `"password": "userPassword"`.
fn echoes(name: &[u8], value: &[u8]) -> bool {
    let plain = |text: &[u8]| -> Vec<u8> {
        text.iter()
            .filter(|byte| byte.is_ascii_alphabetic())
            .map(u8::to_ascii_lowercase)
            .collect()
    };
    let (name, value) = (plain(name), plain(value));
    !value.is_empty()
        && (name == value
            || (value.len() >= 6 && memchr::memmem::find(&name, &value).is_some())
            || (name.len() >= 5
                && memchr::memmem::find(&value, &name).is_some()
                && value.len() < name.len() + 10))
}

fn is_algorithm(value: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(value).to_ascii_lowercase();
    [
        "sha1", "sha2", "sha5", "sha-", "md5", "hs256", "rs256", "es256", "hs512", "bcrypt",
        "scrypt", "argon2", "pbkdf2", "aes", "base64", "utf8", "utf-8", "oauth2", "x509", "rsa2",
        "pkcs", "rfc", "iso-", "latin1", "h2", "ed25519", "grant", "mysql_", "2fa", "oidc", "http",
        "varchar", "int(", "char(",
    ]
    .iter()
    .any(|prefix| lower.starts_with(prefix))
}

fn is_literal(value: &[u8]) -> bool {
    [
        &b"true"[..],
        b"false",
        b"null",
        b"none",
        b"nil",
        b"undefined",
        b"yes",
        b"no",
        b"on",
        b"off",
        b"optional",
        b"required",
        b"disable",
        b"disabled",
        b"enabled",
    ]
    .iter()
    .any(|word| value.eq_ignore_ascii_case(word))
}
