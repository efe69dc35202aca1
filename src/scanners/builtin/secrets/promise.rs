//! Tells what a name promises, by its words.

/// What a name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// Chosen by a person: may be weak.
    Password,
    /// `secret`, `client_secret`.
    Secret,
    /// A key that encrypts or signs.
    SecretKey,
    /// `token`, `authorization`.
    Token,
    /// `api_key` and its like.
    ApiKey,
    /// Any `…_key`, `salt`: most are none.
    Key,
}

/// Last words of names that are about a secret instead of being one.
const ABOUT: [&str; 92] = [
    "age",
    "alg",
    "algo",
    "algorithm",
    "arn",
    "attempts",
    "attribute",
    "auth",
    "button",
    "callback",
    "change",
    "changed",
    "check",
    "class",
    "column",
    "count",
    "created",
    "description",
    "dialog",
    "dir",
    "directory",
    "enabled",
    "encoder",
    "encoding",
    "endpoint",
    "env",
    "error",
    "exp",
    "expiration",
    "expired",
    "expires",
    "expiry",
    "field",
    "file",
    "filename",
    "form",
    "format",
    "generator",
    "handler",
    "header",
    "help",
    "helper",
    "hint",
    "icon",
    "id",
    "ids",
    "index",
    "info",
    "input",
    "label",
    "len",
    "length",
    "limit",
    "link",
    "list",
    "location",
    "manager",
    "max",
    "message",
    "method",
    "min",
    "mode",
    "model",
    "msg",
    "name",
    "names",
    "ns",
    "page",
    "param",
    "parameter",
    "path",
    "pattern",
    "placeholder",
    "policy",
    "position",
    "prefix",
    "prompt",
    "provider",
    "ref",
    "regex",
    "reset",
    "rotation",
    "route",
    "rule",
    "scheme",
    "scope",
    "selector",
    "service",
    "size",
    "source",
    "status",
    "store",
];
/// More of them, kept apart for no other reason than the length of a table.
const ABOUT_TOO: [&str; 35] = [
    "strategy",
    "suffix",
    "template",
    "text",
    "timeout",
    "title",
    "ttl",
    "type",
    "types",
    "uri",
    "url",
    "urls",
    "usage",
    "user",
    "username",
    "validation",
    "validator",
    "version",
    "view",
    "visible",
    "required",
    "schema",
    "ptr",
    "offset",
    "pos",
    "kind",
    "mapping",
    "map",
    "protected",
    "placeholders",
    "question",
    "rules",
    "states",
    "state",
    "through",
];
/// Words that make a name harmless wherever they stand.
const HARMLESS: [&str; 25] = [
    "public",
    "pub",
    "publishable",
    "csrf",
    "xsrf",
    "page",
    "pagination",
    "cursor",
    "continuation",
    "cache",
    "sort",
    "primary",
    "foreign",
    "partition",
    "translation",
    "checksum",
    "integrity",
    "sha",
    "digest",
    "fingerprint",
    "etag",
    "bypass",
    "compass",
    "author",
    "placeholder",
];
/// Words before `key` that make it an access key.
const ACCESS: [&str; 33] = [
    "api",
    "access",
    "account",
    "app",
    "application",
    "client",
    "consumer",
    "subscription",
    "license",
    "licence",
    "storage",
    "service",
    "admin",
    "server",
    "rest",
    "write",
    "project",
    "deploy",
    "function",
    "functions",
    "user",
    "developer",
    "dev",
    "prod",
    "production",
    "live",
    "bot",
    "webhook",
    "integration",
    "ingest",
    "gateway",
    "host",
    "auth",
];
/// Words before `key` that make it a key of a cipher or a signature.
const CIPHER: [&str; 20] = [
    "private",
    "encryption",
    "encrypt",
    "encrypted",
    "decryption",
    "signing",
    "sign",
    "signature",
    "master",
    "validation",
    "shared",
    "crypto",
    "crypt",
    "cipher",
    "hmac",
    "aes",
    "session",
    "cookie",
    "hash",
    "base",
];

/// Splits a name into lower-case words at separators and camel humps.
pub(super) fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut previous = 0_u8;
    for (index, &byte) in name.iter().enumerate() {
        let next = name.get(index + 1).copied().unwrap_or(0);
        let is_hump = byte.is_ascii_uppercase()
            && (previous.is_ascii_lowercase()
                || (previous.is_ascii_uppercase() && next.is_ascii_lowercase()));
        if (!byte.is_ascii_alphabetic() || is_hump) && !current.is_empty() {
            words.push(std::mem::take(&mut current));
        }
        if byte.is_ascii_alphabetic() {
            current.push(char::from(byte.to_ascii_lowercase()));
        }
        previous = byte;
    }
    if !current.is_empty() {
        words.push(current);
    }
    words
}

/// Tells what a name promises, by its words: `AUTHOR` holds no `auth`, `MONKEY` no `key`.
pub(super) fn promise(name: &[u8], before: &[u8]) -> Option<Promise> {
    // `AWS::IAM::AccessKey`: the last part of a type's path.
    if before.ends_with(b"::") {
        return None;
    }
    let mut words = words(name);
    // "API Key: …" in prose.
    if let Some(word) = before
        .strip_suffix(b" ")
        .and_then(|text| text.rsplit(|byte| !byte.is_ascii_alphabetic()).next())
    {
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        if words
            .first()
            .is_some_and(|first| first == "key" || first == "token")
            && (ACCESS.contains(&word.as_str())
                || CIPHER.contains(&word.as_str())
                || word == "secret")
        {
            words.insert(0, word);
        }
    }
    // What says where it is used, not what it is.
    while words.len() > 1
        && words.last().is_some_and(|last| {
            matches!(
                last.as_str(),
                "prod"
                    | "production"
                    | "dev"
                    | "development"
                    | "test"
                    | "testing"
                    | "staging"
                    | "live"
                    | "local"
                    | "default"
                    | "value"
                    | "string"
                    | "str"
                    | "base"
                    | "b"
                    | "plain"
                    | "old"
                    | "new"
                    | "v"
                    | "example"
            )
        })
    {
        words.pop();
    }
    let last = words.last().map_or("", String::as_str);
    if (ABOUT.contains(&last) && !(last == "auth" && words.len() <= 2))
        || ABOUT_TOO.contains(&last)
        || words.iter().any(|word| HARMLESS.contains(&word.as_str()))
    {
        return None;
    }
    if words.iter().any(|word| is_password_word(word)) {
        return (last != "key")
            .then_some(Promise::Password)
            .or(Some(Promise::Key));
    }
    by_words(&words, last)
}

fn by_words(words: &[String], last: &str) -> Option<Promise> {
    let before_last = words
        .len()
        .checked_sub(2)
        .and_then(|index| words.get(index))
        .map_or("", String::as_str);
    if words.iter().any(|word| {
        matches!(
            word.as_str(),
            "secret" | "secrets" | "credential" | "credentials" | "creds"
        ) || word.ends_with("secret")
            || word.starts_with("secretkey")
            || word.starts_with("secretaccess")
    }) {
        return Some(Promise::Secret);
    }
    if last.ends_with("token") || last == "tokens" || last == "jwt" || last == "bearer" {
        return Some(Promise::Token);
    }
    if words.iter().any(|word| {
        word.ends_with("apikey") || word.ends_with("accesskey") || word.ends_with("authkey")
    }) || words
        .windows(2)
        .any(|pair| matches!(pair, [first, second] if first == "api" && second == "key"))
    {
        return Some(Promise::ApiKey);
    }
    if last == "key" || last == "keys" {
        return Some(if CIPHER.contains(&before_last) {
            Promise::SecretKey
        } else if ACCESS.contains(&before_last) {
            Promise::ApiKey
        } else {
            Promise::Key
        });
    }
    if matches!(
        last,
        "privatekey"
            | "signingkey"
            | "encryptionkey"
            | "masterkey"
            | "appkey"
            | "validationkey"
            | "decryptionkey"
            | "sharedaccesskey"
    ) {
        return Some(Promise::SecretKey);
    }
    matches!(
        last,
        "auth" | "authorization" | "oauth" | "token" | "salt" | "cred"
    )
    .then_some(if last == "salt" {
        Promise::Key
    } else {
        Promise::Token
    })
}

pub(super) fn is_password_word(word: &str) -> bool {
    const OTHER: [&str; 8] = [
        "bypass",
        "compass",
        "encompass",
        "surpass",
        "trespass",
        "underpass",
        "overpass",
        "multipass",
    ];
    (word.contains("passw")
        || word.contains("passphrase")
        || word.ends_with("pwd")
        || word.ends_with("pswd")
        || matches!(
            word,
            "pass" | "pw" | "psw" | "senha" | "kennwort" | "contrasena" | "identified"
        ))
        || (word.ends_with("pass") && word.len() <= 12 && !OTHER.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_their_words() {
        for (name, expected) in [
            ("DB_PASSWORD", Some(Promise::Password)),
            ("dbpasswd", Some(Promise::Password)),
            ("IRC_PASS", Some(Promise::Password)),
            ("userPassword", Some(Promise::Password)),
            ("client_secret", Some(Promise::Secret)),
            ("SECRET_KEY", Some(Promise::Secret)),
            ("authToken", Some(Promise::Token)),
            ("apiKey", Some(Promise::ApiKey)),
            ("X-Api-Key", Some(Promise::ApiKey)),
            ("encryption_key", Some(Promise::SecretKey)),
            ("cache_key", None),
            ("FEATURE_AUTHORS", None),
            ("AUTHOR", None),
            ("MONKEY", None),
            ("KEYBOARD_LAYOUT", None),
            ("password_field", None),
            ("passwordLabel", None),
            ("bypass", None),
            ("public_key", None),
            ("csrf_token", None),
            ("tokenizer", None),
        ] {
            assert_eq!(promise(name.as_bytes(), b""), expected, "{name}");
        }
    }
}
