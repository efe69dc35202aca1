//! Files whose form alone tells where the secret is: no name is assigned, no prefix stands before it.

use super::class::FileClass;
use super::placeholder::is_placeholder;
use super::rules::{Confidence, RuleSet};
use super::scan::Hit;
use super::validity::Verdict;

/// Adds the secrets of `.pgpass`-like lines, which only a credential file may hold.
pub(super) fn scan(rules: &RuleSet, bytes: &[u8], class: FileClass, hits: &mut Vec<Hit>) {
    if class != FileClass::Credential {
        return;
    }
    let mut start = 0;
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Some(password) = pgpass(line) {
            let offset = start + line.len() - line.trim_ascii_start().len();
            hits.push(Hit {
                rule: rules.engine.credential_file,
                secret: offset + password.start..offset + password.end,
                priority: 30,
                confidence: Confidence::High,
                verdict: Verdict::Unchecked,
                key: None,
            });
        }
        start += line.len() + 1;
    }
}

/// `host:port:database:user:password`, PostgreSQL's password file.
fn pgpass(line: &[u8]) -> Option<std::ops::Range<usize>> {
    let line = line.trim_ascii();
    if line.starts_with(b"#") || line.len() > 400 || line.contains(&b' ') || line.contains(&b'"') {
        return None;
    }
    let colons: Vec<usize> = memchr::memchr_iter(b':', line).collect();
    let &[first, second, _, fourth] = colons.as_slice() else {
        return None;
    };
    let port = line.get(first + 1..second)?;
    let password = line.get(fourth + 1..)?;
    let is_port = port == b"*" || (!port.is_empty() && port.iter().all(u8::is_ascii_digit));
    (is_port && password.len() >= 3 && !is_placeholder(password)).then_some(fourth + 1..line.len())
}

/// Tells whether a whole file is one key: `config/master.key`, `.vault_pass`.
pub(super) fn lone_key(relative: &str, bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let name = relative.rsplit('/').next().unwrap_or(relative);
    let is_key_name = matches!(
        name,
        "master.key"
            | "production.key"
            | "development.key"
            | "staging.key"
            | "credentials.yml.key"
            | "secret.key"
            | "secret_key"
            | ".secret_key"
            | "secret_key.txt"
            | ".vault_pass"
            | ".vault_password"
            | "vault_password"
            | ".vault_pass.txt"
            | "erlang.cookie"
            | ".erlang.cookie"
            | ".vault-token"
            | "api_key.txt"
            | "apikey.txt"
            | "token.txt"
            | "password.txt"
            | "passwd-s3fs"
            | ".passwd-s3fs"
    );
    let text = bytes.trim_ascii();
    if !is_key_name
        || text.len() < 8
        || text.len() > 200
        || text.iter().any(u8::is_ascii_whitespace)
        || is_placeholder(text)
    {
        return None;
    }
    let start = bytes.len() - bytes.trim_ascii_start().len();
    Some(start..start + text.len())
}
