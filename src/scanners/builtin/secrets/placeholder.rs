//! Recognises values that stand for a secret instead of being one.
//!
//! Only the captured value is looked at: neither the path nor the rest of the line may hide a real
//! secret (a `# TODO rotate` beside a token makes it no less a token).

use super::entropy::Makeup;

/// Parts that no generated secret holds but by chance of 1 in many millions.
const MARKERS: [&str; 44] = [
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "change_this",
    "change-this",
    "changethis",
    "replace_me",
    "replaceme",
    "replace-me",
    "replace_with",
    "replace-with",
    "replace_this",
    "your_",
    "your-",
    "<your",
    "yoursecret",
    "yourpass",
    "yourtoken",
    "yourapi",
    "yourkey",
    "_here",
    "-here",
    "keyhere",
    "tokenhere",
    "insert_",
    "insert-",
    "enter_",
    "enter-",
    "todo",
    "fixme",
    "dummy",
    "redacted",
    "xxxx",
    "****",
    "....",
    "not-a-real",
    "not_a_real",
    "notareal",
    "my_secret",
    "my-secret",
    "sample_",
    "removed",
];

/// Parts that open an interpolation or a template in some language.
const TEMPLATES: [&str; 26] = [
    "${", "{{", "}}", "$(", "<%", "%>", "#{", "%(", "@{", "$[", "\\(", "%{", "[[", "]]", "__{",
    "{0}", "{1}", "<<", "${{", "\"+", "'+", // A regular expression for the secret.
    "]{", "[^", "[0-9", "[a-z", "[A-Z",
];

/// Values and stems (what is left without digits and symbols) that everybody writes when any
/// password will do. Sorted, for binary search.
const TRIVIAL: [&str; 236] = [
    "abc",
    "abcd",
    "abcde",
    "abcdef",
    "access",
    "accesskey",
    "accesstoken",
    "account",
    "admin",
    "administrator",
    "adminpass",
    "adminpassword",
    "algorithm",
    "alice",
    "anonymous",
    "any",
    "anypassword",
    "anything",
    "apikey",
    "apitoken",
    "app",
    "asdf",
    "asdfasdf",
    "auth",
    "authkey",
    "authtoken",
    "aws",
    "bad",
    "badpass",
    "badpassword",
    "bar",
    "basic",
    "baz",
    "bcrypt",
    "bearer",
    "blah",
    "blank",
    "bob",
    "bogus",
    "boolean",
    "cert",
    "certificate",
    "changed",
    "changeit",
    "changeme",
    "client",
    "clientsecret",
    "code",
    "config",
    "cookie",
    "correct",
    "credential",
    "credentials",
    "custom",
    "data",
    "database",
    "db",
    "dbpass",
    "dbpassword",
    "default",
    "defaultpassword",
    "demo",
    "dev",
    "development",
    "digest",
    "disabled",
    "docker",
    "dragon",
    "drupal",
    "dummy",
    "eggs",
    "email",
    "empty",
    "enabled",
    "encrypted",
    "error",
    "expected",
    "fake",
    "fakepassword",
    "fakesecret",
    "faketoken",
    "false",
    "field",
    "file",
    "first",
    "fixture",
    "foo",
    "foobar",
    "foobarbaz",
    "generated",
    "gibberish",
    "guest",
    "ham",
    "hash",
    "hashed",
    "header",
    "hello",
    "helloworld",
    "hidden",
    "hmac",
    "hs",
    "id",
    "iloveyou",
    "input",
    "invalid",
    "invalidpassword",
    "invalidtoken",
    "joomla",
    "jwt",
    "key",
    "label",
    "letmein",
    "local",
    "localhost",
    "login",
    "masked",
    "md",
    "minioadmin",
    "mock",
    "mocked",
    "mongodb",
    "monkey",
    "mypass",
    "mypassword",
    "mysecret",
    "mysecretkey",
    "mysql",
    "mytoken",
    "name",
    "newpass",
    "newpassword",
    "no",
    "none",
    "notused",
    "null",
    "number",
    "object",
    "oldpassword",
    "one",
    "optional",
    "options",
    "oracle",
    "p",
    "pa",
    "param",
    "pass",
    "pass_word",
    "passphrase",
    "passw",
    "passwd",
    "password",
    "passwords",
    "path",
    "placeholder",
    "plain",
    "plaintext",
    "postgres",
    "postgresql",
    "private",
    "privatekey",
    "prod",
    "production",
    "public",
    "pw",
    "pwd",
    "qwerty",
    "rabbitmq",
    "random",
    "raw",
    "read",
    "redacted",
    "redis",
    "refresh",
    "refreshtoken",
    "required",
    "rightpassword",
    "root",
    "rootpassword",
    "rsa",
    "s",
    "salt",
    "sample",
    "secret",
    "secretkey",
    "secretpassword",
    "secrets",
    "secrettoken",
    "sesame",
    "session",
    "sha",
    "some",
    "somepassword",
    "somesecret",
    "something",
    "sometoken",
    "spam",
    "staging",
    "str",
    "string",
    "stub",
    "supersecret",
    "superuser",
    "swordfish",
    "test",
    "tester",
    "testing",
    "testkey",
    "testpass",
    "testpassword",
    "testsecret",
    "testtoken",
    "text",
    "token",
    "toor",
    "topsecret",
    "true",
    "trustno",
    "type",
    "ubuntu",
    "undefined",
    "unknown",
    "unused",
    "user",
    "username",
    "userpassword",
    "utf",
    "vagrant",
    "valid",
    "value",
    "welcome",
    "whatever",
    "wordpress",
    "wrong",
    "wrongpassword",
    "x",
    "xxx",
];

/// Tells whether the value is a template, a hint to a person or a pattern typed to fill a field.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    if value.is_empty() || is_template(value) || is_patterned(value) {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    MARKERS
        .iter()
        .any(|marker| memchr::memmem::find(&lower, marker.as_bytes()).is_some())
        || (lower.starts_with(b"your") && lower.len() < 40)
        || (lower.starts_with(b"my") && lower.len() < 20 && Makeup::of(value).digits == 0)
}

/// Tells whether the value is filled in by a program: interpolation, template or mark-up.
pub(super) fn is_template(value: &[u8]) -> bool {
    let wrapped = |open: u8, close: u8| {
        value.len() >= 2 && value.first() == Some(&open) && value.last() == Some(&close)
    };
    if wrapped(b'<', b'>')
        || wrapped(b'[', b']')
        || wrapped(b'{', b'}')
        || wrapped(b'%', b'%')
        || wrapped(b'_', b'_')
        || wrapped(b'@', b'@')
    {
        return true;
    }
    if value.first() == Some(&b'$')
        && value
            .get(1)
            .is_some_and(|next| next.is_ascii_alphabetic() || *next == b'_')
        && value.get(1..).is_some_and(|name| {
            name.iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_->[]'.".contains(byte))
        })
    {
        return true;
    }
    if TEMPLATES
        .iter()
        .any(|part| memchr::memmem::find(value, part.as_bytes()).is_some())
    {
        return true;
    }
    // printf and strftime: `%s`, `%d`, `%v`; `{name}` as in format strings.
    value
        .windows(2)
        .any(|pair| matches!(pair, b"%s" | b"%d" | b"%v" | b"%q" | b"%x"))
        || holds_braced_name(value)
}

/// Finds `{name}`.
fn holds_braced_name(value: &[u8]) -> bool {
    let Some(open) = memchr::memchr(b'{', value) else {
        return false;
    };
    let rest = value.get(open + 1..).unwrap_or_default();
    memchr::memchr(b'}', rest).is_some_and(|close| {
        rest.get(..close).is_some_and(|name| {
            name.iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(byte))
        })
    })
}

/// Tells whether the value was typed to fill a field: one character repeated, `1234…`, `abcd…`.
pub(super) fn is_patterned(value: &[u8]) -> bool {
    let mut steps = 0_usize;
    let mut same = 0_usize;
    let mut same_run = 0_usize;
    for pair in value.windows(2) {
        let &[first, second] = pair else { continue };
        if first == second {
            same += 1;
            same_run += 1;
            // Twitter's bearer tokens open with twenty `A`: in a long value a run says little.
            if same_run >= 7 && same_run * 3 >= value.len() {
                return true;
            }
        } else {
            same_run = 0;
        }
        // `9` to `0` continues a sequence of digits, `f` to `0` one of hex digits.
        let is_step = second == first.wrapping_add(1)
            || first == second.wrapping_add(1)
            || matches!(
                (first, second),
                (b'9', b'0')
                    | (b'f' | b'F', b'0')
                    | (b'9', b'a' | b'A')
                    | (b'z', b'a')
                    | (b'Z', b'A')
            );
        steps += usize::from(is_step && first.is_ascii_alphanumeric());
    }
    let pairs = value.len().saturating_sub(1).max(1);
    same * 10 >= pairs * 6 || steps * 10 >= pairs * 6 || repeats_a_block(value)
}

/// Finds `deadbeefdeadbeef…`: a block of 2 to 8 bytes repeated to the end, three times or more.
fn repeats_a_block(value: &[u8]) -> bool {
    (2..=8).any(|block| {
        value.len() >= block * 3
            && value
                .iter()
                .zip(value.iter().skip(block))
                .all(|(first, second)| first == second)
    })
}

/// Tells whether the value, without its digits and symbols, is a word that everybody uses.
pub(super) fn is_trivial(value: &[u8]) -> bool {
    let stem: String = value
        .iter()
        .filter_map(|&byte| match byte.to_ascii_lowercase() {
            // "p@ssw0rd" and its like.
            b'@' | b'4' if value.len() < 12 => Some('a'),
            b'0' if value.len() < 12 && value.first() != Some(&b'0') => Some('o'),
            b'$' if value.len() < 12 => Some('s'),
            letter if letter.is_ascii_lowercase() => Some(char::from(letter)),
            _ => None,
        })
        .collect();
    let letters: String = value
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    stem.is_empty()
        || letters.is_empty()
        || (stem.starts_with("pass") && is_common(&stem))
        || is_common(&letters)
        || is_made_of_common(value)
}

fn is_common(stem: &str) -> bool {
    TRIVIAL.binary_search(&stem).is_ok()
        || stem
            .strip_suffix('s')
            .is_some_and(|one| TRIVIAL.binary_search(&one).is_ok())
}

/// Tells whether all words of `my-test_password 2` are common.
fn is_made_of_common(value: &[u8]) -> bool {
    let words = || {
        value
            .split(|byte| !byte.is_ascii_alphabetic())
            .filter(|word| !word.is_empty())
    };
    // The letters between the digits of "s3cr3t" are no words.
    let mut common = 0;
    let mut rest = 0;
    words().count() > 1
        && words().all(|word| {
            let word = String::from_utf8_lossy(word).to_ascii_lowercase();
            if word.len() >= 3 && is_common(&word) {
                common += word.len();
            } else {
                rest += word.len();
            }
            word.len() < 3 || is_common(&word) || word == "the"
        })
        && common > rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trivial_words_are_sorted() {
        assert!(
            TRIVIAL.is_sorted(),
            "{:?}",
            TRIVIAL.windows(2).find(|pair| pair[0] > pair[1])
        );
    }

    #[test]
    fn templates_and_hints_are_placeholders() {
        for text in [
            "${DB_PASSWORD}",
            "{{ vault_db_password }}",
            "$(pass show x)",
            "%(password)s",
            "<password>",
            "[redacted]",
            "your_api_key_goes_here_1234567890",
            "xxxxxxxxxxxx",
            "changeme",
            "************",
            "$PASSWORD",
            "AKIAIOSFODNN7EXAMPLE",
            "1234567890",
            "abcdefghijklmnop",
            "aaaaaaaaaaaaaaaa",
            "<%= ENV['X'] %>",
            "deadbeefdeadbeefdeadbeef",
            "{password}",
            "%PASSWORD%",
            "#{secret}",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn weak_but_real_passwords_are_not() {
        for text in [
            "hunter2horse",
            "Tr0ub4dor&3",
            "auSoPPPAoFa2Em",
            "kpD4ObZTP2GIhdG3",
        ] {
            assert!(
                !is_placeholder(text.as_bytes()) && !is_trivial(text.as_bytes()),
                "{text}"
            );
        }
    }

    #[test]
    fn everyday_values_are_trivial() {
        for text in [
            "password",
            "Password1!",
            "test123",
            "admin@123",
            "P@ssw0rd",
            "my-secret-token",
            "123456",
            "pass123",
            "TEST_PASSWORD",
        ] {
            assert!(
                is_trivial(text.as_bytes()) || is_placeholder(text.as_bytes()),
                "{text}"
            );
        }
    }
}
