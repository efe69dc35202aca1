//! Finds candidate secrets in a stretch of text: one pass of the keyword automaton, then whatever
//! each keyword's rules ask for, in a bounded window around it.
//!
//! Invariant: what is found at a place depends on at most [`REACH`] bytes to either side of it, so
//! that windows that overlap by that much find what the whole text would give.

use std::ops::Range;

use super::assignment::{self, Assigned, Operator, at};
use super::class::FileClass;
use super::entropy::{is_random, shannon};
use super::generic;
use super::paired::{self, Paired};
use super::placeholder::{is_placeholder, is_trivial};
use super::promise::{self, Promise};
use super::rules::{Confidence, Route, Rule, RuleSet, Shape};
use super::validity::{self, Check, Verdict};

/// How far around a place the engine looks.
pub(super) const REACH: usize = 4096;
/// How far before a keyword a searched pattern may start.
const SEARCH_BEFORE: usize = 160;
/// How far after a keyword a searched pattern may end.
const SEARCH_AFTER: usize = 700;
/// Longest token.
const TOKEN_REACH: usize = 3000;

/// A candidate secret.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    /// Index of its rule.
    pub(super) rule: usize,
    /// Where the secret is.
    pub(super) secret: Range<usize>,
    /// Of two hits on the same bytes the higher one stays.
    pub(super) priority: u8,
    pub(super) confidence: Confidence,
    /// What its own checks say.
    pub(super) verdict: Verdict,
    /// The name that it is assigned to, for env files.
    pub(super) key: Option<Range<usize>>,
}

/// Finds all secrets that start in `owned`, in order of place, one per place.
pub(super) fn scan(
    rules: &RuleSet,
    bytes: &[u8],
    owned: Range<usize>,
    class: FileClass,
) -> Vec<Hit> {
    let mut scanner = Scanner {
        rules,
        bytes,
        class,
        hits: Vec::new(),
        last: None,
    };
    let from = owned.start.saturating_sub(REACH);
    let to = bytes.len().min(owned.end.saturating_add(REACH));
    scanner.run(from, to);
    super::files::scan(rules, bytes, class, &mut scanner.hits);
    let mut hits = scanner.hits;
    keep_best(&mut hits);
    hits.retain(|hit| owned.contains(&hit.secret.start));
    hits
}

/// Of hits whose secrets overlap keeps the one of the highest priority, then the longer one.
fn keep_best(hits: &mut Vec<Hit>) {
    hits.sort_by(|one, other| {
        (other.priority, other.secret.len())
            .cmp(&(one.priority, one.secret.len()))
            .then(one.secret.start.cmp(&other.secret.start))
            .then(one.rule.cmp(&other.rule))
    });
    // Kept ranges never overlap: sorted by start, the neighbours alone need a look.
    let mut kept: std::collections::BTreeMap<usize, Hit> = std::collections::BTreeMap::new();
    for hit in hits.drain(..) {
        let before = kept.range(..hit.secret.end).next_back();
        if before.is_none_or(|(_, other)| other.secret.end <= hit.secret.start) {
            kept.insert(hit.secret.start, hit);
        }
    }
    hits.extend(kept.into_values());
}

/// The last name that was read, so that `password_token_key` is read once.
struct LastName {
    name: Range<usize>,
    assigned: Option<Assigned>,
    is_judged: bool,
}

struct Scanner<'a> {
    rules: &'a RuleSet,
    bytes: &'a [u8],
    class: FileClass,
    hits: Vec<Hit>,
    last: Option<LastName>,
}

impl Scanner<'_> {
    fn run(&mut self, from: usize, to: usize) {
        let Some(window) = self.bytes.get(from..to) else {
            return;
        };
        let (rules, bytes) = (self.rules, self.bytes);
        for found in rules.keywords.find_overlapping_iter(window) {
            let (start, end) = (from + found.start(), from + found.end());
            let routes = rules
                .routes
                .get(found.pattern().as_usize())
                .map(Vec::as_slice)
                .unwrap_or_default();
            for (rest, route) in routes {
                let end = end + rest.len();
                if !rest.is_empty()
                    && !bytes
                        .get(end - rest.len()..end)
                        .is_some_and(|text| text.eq_ignore_ascii_case(rest))
                {
                    continue;
                }
                match *route {
                    Route::Stem => self.generic(start, end),
                    Route::Url => self.url(start, end),
                    Route::Kubernetes => self.kubernetes(start),
                    Route::Rule(index) => {
                        if let Some(rule) = rules.rules.get(index) {
                            self.rule(index, rule, start, end);
                        }
                    }
                }
            }
        }
    }

    fn rule(&mut self, index: usize, rule: &Rule, start: usize, end: usize) {
        match rule.shape {
            Shape::Token => self.token(index, rule, start..end),
            Shape::Assigned => self.assigned(index, rule, end),
            Shape::Search => self.search(index, rule, start, end),
            Shape::Engine => {}
        }
    }

    /// The secret opens with the keyword.
    fn token(&mut self, index: usize, rule: &Rule, keyword: Range<usize>) {
        // The automaton ignores case, tokens do not.
        let start = keyword.start;
        if continues_word(self.bytes, start) || !rule.opens_with(self.bytes.get(keyword)) {
            return;
        }
        let bytes = self.bytes;
        let Some(text) = bytes.get(start..bytes.len().min(start + TOKEN_REACH)) else {
            return;
        };
        let Some(captures) = rule.regex().and_then(|regex| regex.captures(text)) else {
            return;
        };
        let Some(secret) = captures.get(1).or_else(|| captures.get(0)) else {
            return;
        };
        let is_cut =
            at(text, secret.end()).is_ascii_alphanumeric() || at(text, secret.end()) == b'_';
        if !is_cut {
            self.offer(
                index,
                rule,
                start + secret.start()..start + secret.end(),
                None,
            );
        }
    }

    /// The keyword is part of a name that is assigned a value.
    fn assigned(&mut self, index: usize, rule: &Rule, end: usize) {
        let name_end = assignment::name_end(self.bytes, end);
        let Some((_, assigned)) = self.read(end, name_end) else {
            return;
        };
        let Some(text) = self.bytes.get(assigned.value.clone()) else {
            return;
        };
        let Some(captures) = rule.regex().and_then(|regex| regex.captures(text)) else {
            return;
        };
        let Some(secret) = captures.get(1).or_else(|| captures.get(0)) else {
            return;
        };
        if at(text, secret.end()).is_ascii_alphanumeric() {
            return;
        }
        let offset = assigned.value.start;
        self.offer(
            index,
            rule,
            offset + secret.start()..offset + secret.end(),
            None,
        );
    }

    /// The pattern is searched around the keyword, and must cover it.
    fn search(&mut self, index: usize, rule: &Rule, start: usize, end: usize) {
        let Some(regex) = rule.regex() else { return };
        let earliest = start.saturating_sub(SEARCH_BEFORE);
        let head = self.bytes.get(earliest..start).unwrap_or_default();
        let from = memchr::memrchr(b'\n', head).map_or(earliest, |newline| earliest + newline + 1);
        let Some(text) = self
            .bytes
            .get(from..self.bytes.len().min(end + SEARCH_AFTER))
        else {
            return;
        };
        let key_at = start - from;
        let line_end = memchr::memchr(b'\n', text.get(key_at..).unwrap_or_default())
            .map_or(text.len(), |newline| key_at + newline);
        if !rule.may_match(text.get(..line_end).unwrap_or_default()) {
            return;
        }
        let mut found = Vec::new();
        for captures in regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else {
                continue;
            };
            if whole.start() > key_at {
                break;
            }
            if whole.end() > key_at
                && let Some(secret) = captures.get(1).or(Some(whole))
            {
                found.push(from + secret.start()..from + secret.end());
            }
        }
        for secret in found {
            self.offer(index, rule, secret, None);
        }
    }

    /// Reads the assignment after the name that ends at `name_end`, once per name.
    fn read(&mut self, inside: usize, name_end: usize) -> Option<(Range<usize>, Assigned)> {
        if self
            .last
            .as_ref()
            .is_none_or(|last| last.name.end != name_end)
        {
            if !may_assign(self.bytes, name_end) {
                return None;
            }
            let name = assignment::name_start(self.bytes, inside.min(name_end))..name_end;
            // Provider rules have exact patterns and may read bare values anywhere.
            let assigned = assignment::after(self.bytes, name.clone(), self.class).or_else(|| {
                (self.class != FileClass::Credential)
                    .then(|| assignment::after(self.bytes, name.clone(), FileClass::Document))
                    .flatten()
            });
            self.last = Some(LastName {
                name,
                assigned,
                is_judged: false,
            });
        }
        let last = self.last.as_ref()?;
        Some((last.name.clone(), last.assigned.clone()?))
    }

    /// A name that promises a secret, whoever issued it.
    fn generic(&mut self, start: usize, end: usize) {
        if self.class == FileClass::Machine {
            return;
        }
        let name_end = assignment::name_end(self.bytes, end);
        let Some((name, assigned)) = self.read(start, name_end) else {
            return;
        };
        if let Some(last) = self.last.as_mut() {
            if last.is_judged {
                return;
            }
            last.is_judged = true;
        }
        let paired = paired::context(self.bytes, &name, self.class);
        let assigned = match paired {
            Some(Paired::Slash) => paired::second(self.bytes, assigned),
            _ => assigned,
        };
        let class = paired::class(paired, self.class);
        let is_bare_in_code = !assigned.is_quoted
            && assigned.operator != Operator::Element
            && !class.takes_bare_values();
        let (Some(text), Some(value)) = (
            self.bytes.get(name.clone()),
            self.bytes.get(assigned.value.clone()),
        ) else {
            return;
        };
        if is_bare_in_code {
            return;
        }
        let before = self
            .bytes
            .get(name.start.saturating_sub(24)..name.start)
            .unwrap_or_default();
        let Some(promise) = promise::promise(text, before) else {
            return;
        };
        let Some(confidence) =
            generic::judge(text, promise, &assigned, value, self.class).or_else(|| {
                (class != self.class && promise == Promise::Password)
                    .then(|| generic::judge(text, promise, &assigned, value, class))
                    .flatten()
            })
        else {
            return;
        };
        let rule = self.generic_rule(promise, &assigned, value);
        let key = (self.class == FileClass::Env).then(|| name.clone());
        self.push(rule, assigned.value, confidence, Verdict::Unchecked, key);
    }

    /// Picks the reference's rule for this kind of finding, so that triage carries over.
    fn generic_rule(&self, promise: Promise, assigned: &Assigned, value: &[u8]) -> usize {
        let engine = self.rules.engine;
        let is_long_base64 = value.len() >= 40
            && value
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
        match (self.class, promise) {
            (FileClass::Env, _) => engine.env_file,
            (FileClass::Credential, Promise::Password) if !assigned.is_quoted => {
                engine.credential_file
            }
            (_, Promise::SecretKey | Promise::Key) if is_long_base64 => engine.base64_secret,
            (_, Promise::Password | Promise::Secret | Promise::SecretKey | Promise::Key) => {
                engine.generic_secret
            }
            (_, Promise::Token) => engine.generic_token,
            (_, Promise::ApiKey) => engine.generic_api_key,
        }
    }

    fn kubernetes(&mut self, start: usize) {
        if self.class != FileClass::Yaml {
            return;
        }
        let rule = self.rules.engine.kubernetes;
        let bytes = self.bytes;
        super::kubernetes::values(bytes, start, |value| {
            self.push(rule, value, Confidence::Medium, Verdict::Unchecked, None);
        });
    }

    /// `scheme://user:password@host`; most addresses end the question at their first slash.
    fn url(&mut self, start: usize, end: usize) {
        const AUTHORITY: usize = 256;
        let bytes = self.bytes;
        let Some(rest) = bytes.get(end..bytes.len().min(end + AUTHORITY)) else {
            return;
        };
        let stop = rest
            .iter()
            .position(|&byte| byte <= b' ' || b"/\"'`<>\\?,;".contains(&byte))
            .unwrap_or(rest.len());
        let Some(authority) = rest.get(..stop) else {
            return;
        };
        let Some(host_at) = memchr::memrchr(b'@', authority) else {
            return;
        };
        let Some(user_info) = authority.get(..host_at) else {
            return;
        };
        if stop == host_at + 1 {
            return;
        }
        let scheme_start = (start.saturating_sub(24)..start)
            .rev()
            .take_while(|&index| {
                at(bytes, index).is_ascii_alphanumeric() || b"+.-".contains(&at(bytes, index))
            })
            .last()
            .unwrap_or(start);
        let scheme = bytes
            .get(scheme_start..start)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let (password_at, user) = match memchr::memchr(b':', user_info) {
            Some(colon) => (colon + 1, user_info.get(..colon).unwrap_or_default()),
            None => (0, Default::default()),
        };
        let Some(password) = user_info.get(password_at..) else {
            return;
        };
        let is_database = is_database_scheme(&scheme);
        let Some(confidence) =
            judge_url_password(user, password, is_database, password_at == 0, self.class)
        else {
            return;
        };
        let rule = if is_database {
            self.rules.engine.connection_string
        } else {
            self.rules.engine.url_credentials
        };
        let secret = end + password_at..end + host_at;
        self.push(rule, secret, confidence, Verdict::Unchecked, None);
    }

    /// Applies a rule's own conditions to a captured secret.
    fn offer(
        &mut self,
        index: usize,
        rule: &Rule,
        secret: Range<usize>,
        key: Option<Range<usize>>,
    ) {
        let Some(value) = self.bytes.get(secret.clone()) else {
            return;
        };
        if value.is_empty()
            || is_stand_in(value, rule)
            || (rule.entropy > 0.0 && shannon(value) < rule.entropy)
        {
            return;
        }
        let verdict = match rule.check {
            Some(Check::Random) if !is_random(value, 8) => return,
            Some(Check::Password) if !self.is_password(rule, value) => return,
            Some(Check::StatedPassword) if !is_stated(value) => return,
            Some(Check::UrlPassword) => return,
            Some(check) => validity::check(check, value),
            None => Verdict::Unchecked,
        };
        if verdict == Verdict::Refused {
            return;
        }
        let confidence = match verdict {
            Verdict::Valid(_) | Verdict::Account(_) => Confidence::High,
            Verdict::Mismatch => Confidence::Low,
            Verdict::Unchecked | Verdict::Refused => rule.confidence,
        };
        self.push(index, secret, confidence, verdict, key);
    }

    /// A value at the place of a password: in program text a lone word is a name or a sample.
    fn is_password(&self, rule: &Rule, value: &[u8]) -> bool {
        let is_word = value
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || b"_-.".contains(byte));
        value.len() >= 4
            && !is_trivial(value)
            && (!is_word || self.class.is_lenient() || rule.id == "login-call")
    }

    fn push(
        &mut self,
        rule: usize,
        secret: Range<usize>,
        confidence: Confidence,
        verdict: Verdict,
        key: Option<Range<usize>>,
    ) {
        let priority = self.rules.rules.get(rule).map_or(0, |rule| rule.priority);
        self.hits.push(Hit {
            rule,
            secret,
            priority,
            confidence,
            verdict,
            key,
        });
    }
}

/// Tells whether an assignment can follow at all, from two or three bytes.
fn may_assign(bytes: &[u8], end: usize) -> bool {
    match at(bytes, end) {
        b'=' | b':' | b'"' | b'\'' | b'`' | b'>' | b']' | b'[' | b'(' | b'\\' | b'<' | b'|'
        | b',' | b'?' | b'+' | b'!' | b'\n' | b'\r' => true,
        b' ' | b'\t' => match at(bytes, end + 1) {
            b'(' | b',' | b')' | b'{' => false,
            b'.' => at(bytes, end + 2) == b'=',
            _ => true,
        },
        _ => false,
    }
}

/// Tells whether the byte before belongs to the same word: `AKIA…` inside a longer one is none.
fn continues_word(bytes: &[u8], start: usize) -> bool {
    let Some(before) = start.checked_sub(1).map(|index| at(bytes, index)) else {
        return false;
    };
    if !before.is_ascii_alphanumeric() && before != b'_' {
        return false;
    }
    // The `n` of an escaped line feed, the `2` of a `%22`.
    let second = start.checked_sub(2).map_or(0, |index| at(bytes, index));
    let third = start.checked_sub(3).map_or(0, |index| at(bytes, index));
    let is_escape = matches!(before, b'n' | b'r' | b't') && second == b'\\';
    let is_percent = third == b'%' && before.is_ascii_hexdigit() && second.is_ascii_hexdigit();
    !is_escape && !is_percent
}

/// A lone everyday word is a sample even where a password must stand.
fn is_stated(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_more_than_a_word = digits >= 2 || value.contains(&b'_');
    value.len() >= 4 && (is_more_than_a_word || !is_trivial(value))
}

/// A value that only stands for the rule's secret. Long random tokens hold a marker by chance, so
/// only whole placeholders count for them.
fn is_stand_in(value: &[u8], rule: &Rule) -> bool {
    if rule.check == Some(Check::Jwt) || rule.id.contains("private-key") {
        return false;
    }
    if rule.id.ends_with("password-hash") {
        return super::placeholder::is_patterned(value);
    }
    is_placeholder(value)
}

fn is_database_scheme(scheme: &[u8]) -> bool {
    [
        &b"mongodb"[..],
        b"postgres",
        b"mysql",
        b"mariadb",
        b"redis",
        b"amqp",
        b"mssql",
        b"sqlserver",
        b"oracle",
        b"cockroach",
        b"clickhouse",
        b"couch",
        b"neo4j",
        b"bolt",
        b"cassandra",
        b"jdbc",
        b"db2",
        b"influx",
        b"ldap",
        b"smtp",
        b"ftp",
        b"sftp",
        b"ssh",
        b"imap",
        b"pop3",
        b"mqtt",
        b"nats",
        b"kafka",
        b"stomp",
        b"rabbit",
        b"elastic",
        b"libsql",
        b"psql",
        b"pgsql",
        b"tidb",
        b"snowflake",
        b"valkey",
        b"memcached",
        b"vertica",
        b"socks",
        b"rtsp",
        b"smb",
        b"celery",
        b"sip",
    ]
    .iter()
    .any(|known| scheme.starts_with(known))
}

/// Judges the user information of an address.
fn judge_url_password(
    user: &[u8],
    password: &[u8],
    is_database: bool,
    is_lone: bool,
    class: FileClass,
) -> Option<Confidence> {
    if class == FileClass::Machine || is_placeholder(password) || password.len() > 200 {
        return None;
    }
    // `cvs://:pserver:…` names no user; Redis needs none.
    if user.is_empty() && !is_lone && !is_database {
        return None;
    }
    if is_lone {
        return is_random(password, 20).then_some(Confidence::Medium);
    }
    let is_name = password
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || b"_-".contains(byte));
    let is_code =
        password.iter().any(|byte| b"(){}[]|^ \t".contains(byte)) && !is_random(password, 12);
    let is_short = password.len() < if class == FileClass::Credential { 3 } else { 4 };
    // URL parsers' test data: nothing but escapes.
    let is_escapes = password.iter().filter(|&&byte| byte == b'%').count() * 4 >= password.len();
    if is_name || is_code || is_short || is_escapes {
        return None;
    }
    if is_trivial(password) || password == user {
        return (class == FileClass::Credential).then_some(Confidence::Low);
    }
    if is_random(password, 10) {
        return Some(Confidence::High);
    }
    let has_digit = password.iter().any(u8::is_ascii_digit);
    let has_letter = password.iter().any(u8::is_ascii_alphabetic);
    let is_mixed = has_letter
        && (has_digit
            || password
                .iter()
                .any(|byte| !byte.is_ascii_alphanumeric() && !b"-_.".contains(byte)));
    let is_likely = if class.is_lenient() || is_database {
        is_mixed || (class.is_lenient() && password.len() >= 6 && has_letter)
    } else {
        is_mixed && password.len() >= 6
    };
    is_likely.then_some(if is_mixed {
        Confidence::Medium
    } else {
        Confidence::Low
    })
}
