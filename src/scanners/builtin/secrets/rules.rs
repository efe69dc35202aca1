//! Rule data: how it is read, checked and found again by keyword.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::validity::Check;
use crate::domain::Severity;
use crate::scanners::ScannerError;

/// The built-in rules.
const BUILT_IN: &str = include_str!("../../../../config/secrets.toml");

/// Most memory that one compiled pattern may take.
const PATTERN_SIZE_LIMIT: usize = 1 << 20;

/// Parts of names that make an assignment worth a look, whatever the provider.
const STEMS: [&str; 14] = [
    "pass",
    "pwd",
    "pswd",
    "secret",
    "token",
    "key",
    "auth",
    "cred",
    "senha",
    "salt",
    "pw",
    "kennwort",
    "contrase",
    "identified by",
];

/// How much of a keyword the automaton knows; the rest is compared where it stops. It keeps the
/// table small however long and many the keywords become.
const STUMP: usize = 6;

/// How a rule's pattern meets the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    /// The keyword opens the secret; the pattern is anchored there.
    Token,
    /// The keyword is part of a name that is assigned a value; the pattern is anchored to the value.
    Assigned,
    /// The pattern is searched around the keyword.
    Search,
    /// Fired by the engine: generic assignments, formats of credential files.
    Engine,
}

/// How sure a finding of a rule is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Confidence {
    Low,
    Medium,
    High,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rule: Vec<Spec>,
}

/// One rule as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    id: String,
    name: String,
    severity: Severity,
    shape: Shape,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    needs: String,
    #[serde(default)]
    run: usize,
    #[serde(default)]
    entropy: f32,
    check: Option<Check>,
    priority: Option<u8>,
    confidence: Option<Confidence>,
    #[serde(default)]
    revoke: String,
    #[serde(default)]
    sample: String,
}

/// One rule, ready to run.
#[derive(Debug)]
pub(super) struct Rule {
    /// Last part of the rule id.
    pub(super) id: String,
    /// As shown in titles.
    pub(super) name: String,
    pub(super) severity: Severity,
    pub(super) shape: Shape,
    pub(super) keywords: Vec<String>,
    /// What the keyword's line must hold before a pattern is searched there.
    needs: String,
    /// How many bytes without a blank or a quote that line must hold.
    run: usize,
    /// Least entropy of the secret, bits per byte.
    pub(super) entropy: f32,
    pub(super) check: Option<Check>,
    /// Of two findings about the same bytes the higher one stays.
    pub(super) priority: u8,
    pub(super) confidence: Confidence,
    /// Where to revoke or rotate.
    pub(super) revoke: String,
    /// Template of a text that the rule must find, expanded by tests.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "read by tests; kept in the data beside the pattern"
        )
    )]
    pub(super) sample: String,
    ignores_case: bool,
    pattern: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Rule {
    /// Returns the compiled pattern; compiled when first needed, since most scans need few.
    pub(super) fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| self.compile().ok()).as_ref()
    }

    fn compile(&self) -> Result<Regex, regex::Error> {
        let pattern = match self.shape {
            Shape::Token | Shape::Assigned => format!(r"\A(?:{})", self.pattern),
            Shape::Search | Shape::Engine => self.pattern.clone(),
        };
        RegexBuilder::new(&pattern)
            .unicode(false)
            .size_limit(PATTERN_SIZE_LIMIT)
            .dfa_size_limit(PATTERN_SIZE_LIMIT)
            .build()
    }

    /// Tells whether a search in this line can succeed: two cheap questions before a costly one.
    pub(super) fn may_match(&self, line: &[u8]) -> bool {
        let has_run = self.run == 0
            || line
                .split(|byte| b" \t\"'`,;()".contains(byte))
                .any(|part| part.len() >= self.run);
        has_run
            && (self.needs.is_empty()
                || memchr::memmem::find(line, self.needs.as_bytes()).is_some())
    }

    /// Tells whether a text found without regard to case is a keyword as written.
    pub(super) fn opens_with(&self, found: Option<&[u8]>) -> bool {
        self.ignores_case
            || self
                .keywords
                .iter()
                .any(|keyword| Some(keyword.as_bytes()) == found)
    }

    /// Returns the keyword that opens the secret, when it does: that much is public.
    pub(super) fn public_prefix(&self, secret: &[u8]) -> &str {
        if self.shape != Shape::Token {
            return "";
        }
        self.keywords
            .iter()
            .map(String::as_str)
            .find(|keyword| secret.starts_with(keyword.as_bytes()))
            .unwrap_or("")
    }

    fn new(spec: Spec) -> Result<Self, String> {
        let rule = Self {
            priority: spec.priority.unwrap_or(match spec.shape {
                Shape::Token => 100,
                Shape::Search => 80,
                Shape::Assigned => 70,
                Shape::Engine => 20,
            }),
            confidence: spec.confidence.unwrap_or(match spec.shape {
                Shape::Token => Confidence::High,
                Shape::Search | Shape::Assigned | Shape::Engine => Confidence::Medium,
            }),
            id: spec.id,
            name: spec.name,
            severity: spec.severity,
            shape: spec.shape,
            keywords: spec.keywords,
            entropy: spec.entropy,
            check: spec.check,
            revoke: spec.revoke,
            sample: spec.sample,
            needs: spec.needs,
            run: spec.run,
            ignores_case: spec.pattern.contains("(?i"),
            pattern: spec.pattern,
            compiled: OnceLock::new(),
        };
        rule.validate()?;
        Ok(rule)
    }

    fn validate(&self) -> Result<(), String> {
        let is_slug =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-()".contains(&byte);
        if self.id.is_empty() || !self.id.bytes().all(is_slug) {
            return Err("id must be of lower-case letters, digits and hyphens".to_owned());
        }
        if self.name.is_empty() {
            return Err("name is empty".to_owned());
        }
        if self.shape == Shape::Engine {
            return Ok(());
        }
        if self.pattern.is_empty() {
            return Err("pattern is empty".to_owned());
        }
        if self.keywords.is_empty() || self.keywords.iter().any(|keyword| keyword.len() < 2) {
            return Err("keywords must be given, of two characters or more".to_owned());
        }
        Ok(())
    }
}

/// Who wants to know of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// The rule with this index.
    Rule(usize),
    /// Generic assignments.
    Stem,
    /// Credentials in URLs.
    Url,
    /// Kubernetes manifests.
    Kubernetes,
}

/// All rules of a scan and the automaton over their keywords.
#[derive(Debug)]
pub(super) struct RuleSet {
    pub(super) rules: Vec<Rule>,
    pub(super) keywords: AhoCorasick,
    /// By pattern of `keywords`: what else must follow, and who wants to know.
    pub(super) routes: Vec<Vec<(Box<[u8]>, Route)>>,
    /// The rules that the engine itself fires.
    pub(super) engine: EngineRules,
}

/// Indexes of the rules that the engine itself fires.
#[derive(Debug, Clone, Copy)]
pub(super) struct EngineRules {
    pub(super) generic_secret: usize,
    pub(super) generic_token: usize,
    pub(super) generic_api_key: usize,
    pub(super) base64_secret: usize,
    pub(super) env_file: usize,
    pub(super) connection_string: usize,
    pub(super) url_credentials: usize,
    pub(super) credential_file: usize,
    pub(super) key_file: usize,
    pub(super) kubernetes: usize,
}

impl RuleSet {
    /// Returns the built-in rules, compiled once per process.
    ///
    /// # Errors
    /// Never with the rules that we ship: a test reads them.
    pub(super) fn built_in() -> Result<Arc<Self>, ScannerError> {
        static SHARED: LazyLock<Result<Arc<RuleSet>, String>> =
            LazyLock::new(|| RuleSet::build(read(BUILT_IN, "built-in rules")?).map(Arc::new));
        SHARED.clone().map_err(ScannerError::Configuration)
    }

    /// Returns the built-in rules and those of the user's files; a user's rule replaces a built-in
    /// one of the same id.
    ///
    /// # Errors
    /// When a file cannot be read or a rule is unusable; the text names both.
    pub(super) fn with_files(files: &[impl AsRef<Path>]) -> Result<Arc<Self>, ScannerError> {
        if files.is_empty() {
            return Self::built_in();
        }
        let mut rules = read(BUILT_IN, "built-in rules").map_err(ScannerError::Configuration)?;
        for file in files {
            let file = file.as_ref();
            let shown = file.display().to_string();
            let text = std::fs::read_to_string(file).map_err(|error| {
                ScannerError::Configuration(format!("cannot read secret rules {shown}: {error}"))
            })?;
            for rule in read(&text, &shown).map_err(ScannerError::Configuration)? {
                rule.compile().map_err(|error| {
                    ScannerError::Configuration(format!("{shown}: rule '{}': {error}", rule.id))
                })?;
                rules.retain(|old| old.id != rule.id);
                rules.push(rule);
            }
        }
        Self::build(rules)
            .map(Arc::new)
            .map_err(ScannerError::Configuration)
    }

    fn build(rules: Vec<Rule>) -> Result<Self, String> {
        let mut words: Vec<Vec<u8>> = Vec::new();
        let mut routes: Vec<Vec<(Box<[u8]>, Route)>> = Vec::new();
        let mut add = |word: &str, route: Route| {
            let word = word.to_ascii_lowercase().into_bytes();
            let (stump, rest) = word.split_at(word.len().min(STUMP));
            let entry = (Box::from(rest), route);
            match words.iter().position(|known| known == stump) {
                Some(index) => {
                    if let Some(known) = routes.get_mut(index) {
                        known.push(entry);
                    }
                }
                None => {
                    words.push(stump.to_vec());
                    routes.push(vec![entry]);
                }
            }
        };
        for stem in STEMS {
            add(stem, Route::Stem);
        }
        add("://", Route::Url);
        for kind in ["kind: secret", "kind: \"secret", "kind: 'secret"] {
            add(kind, Route::Kubernetes);
        }
        for (index, rule) in rules.iter().enumerate() {
            for keyword in &rule.keywords {
                add(keyword, Route::Rule(index));
            }
        }
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&words)
            .map_err(|error| format!("cannot build the keyword automaton: {error}"))?;
        let index_of = |id: &str| {
            rules
                .iter()
                .position(|rule| rule.id == id)
                .ok_or_else(|| format!("the engine's rule '{id}' is missing"))
        };
        let engine = EngineRules {
            generic_secret: index_of("generic-secret")?,
            generic_token: index_of("generic-token")?,
            generic_api_key: index_of("generic-api-key")?,
            base64_secret: index_of("base64-encoded-secret")?,
            env_file: index_of("env-file-secret")?,
            connection_string: index_of("connection-string")?,
            url_credentials: index_of("url-credentials")?,
            credential_file: index_of("credential-file-password")?,
            key_file: index_of("key-file")?,
            kubernetes: index_of("kubernetes-secret")?,
        };
        Ok(Self {
            rules,
            keywords,
            routes,
            engine,
        })
    }
}

/// Reads one file's rules; the error names file and rule.
fn read(text: &str, shown: &str) -> Result<Vec<Rule>, String> {
    let file: RuleFile = toml::from_str(text).map_err(|error| format!("{shown}: {error}"))?;
    file.rule
        .into_iter()
        .map(|spec| {
            let id = spec.id.clone();
            Rule::new(spec).map_err(|why| format!("{shown}: rule '{id}': {why}"))
        })
        .collect()
}
