//! Secrets in files and git history.
//!
//! A keyword automaton looks at every byte once (`scan`); where it stops, a rule's pattern
//! (`rules`), an assignment (`assignment`, `generic`) or the form of a credential file (`files`)
//! decides. `placeholder`, `entropy` and `validity` say whether the value can be a secret;
//! `redact` is the only way out for it.
//!
//! Invariant: no value of a secret leaves this module, in clear or in any form that gives it back.

mod assignment;
mod class;
mod entropy;
mod files;
mod generic;
mod history;
mod kubernetes;
mod paired;
mod placeholder;
mod promise;
mod redact;
mod report;
mod rules;
#[cfg(test)]
mod samples;
mod scan;
#[cfg(test)]
mod tests;
mod validity;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use self::class::FileClass;
use self::redact::Secret;
use self::rules::RuleSet;
use self::scan::Hit;
use crate::domain::{RawFinding, ScanType};
use crate::scanners::{
    Detector, Entry, Finish, Interest, Piece, ScanContext, ScannerError, ScannerInfo,
    ScannerSettings,
};

/// Name in the registry.
pub(super) const NAME: &str = "secrets";

/// Who we are.
pub static INFO: ScannerInfo = ScannerInfo {
    name: NAME,
    scan_type: ScanType::Code,
    description: "Detects hard-coded credentials in files, env files and the whole git history.",
    checks: &[
        "Tokens of cloud, code, chat, payment and AI providers",
        "Checksums and structure of tokens",
        "Private keys",
        "Connection strings",
        "Passwords and generic secrets",
        "Credential files",
        "Env files",
        "Git history",
    ],
    install_hint: "Built in, always available",
    installable: false,
};

/// A secret as remembered during one scan: its rule and its digest.
type Seen = (usize, [u8; 16]);

/// The detector of one scan.
pub struct Secrets {
    rules: Arc<RuleSet>,
    /// What the work tree holds, so that the history need not repeat it.
    in_tree: Mutex<HashSet<Seen>>,
    /// Work trees of other repositories inside the target, with their relative paths.
    nested: Mutex<Vec<(PathBuf, String)>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets")
            .field("rules", &self.rules.rules.len())
            .finish_non_exhaustive()
    }
}

impl Secrets {
    /// Makes the detector of one scan; the built-in rules are shared by all scans of the process.
    ///
    /// # Errors
    /// When a file of further rules is unusable.
    pub fn new(settings: &ScannerSettings) -> Result<Self, ScannerError> {
        Ok(Self {
            rules: RuleSet::with_files(&settings.secret_rules)?,
            in_tree: Mutex::default(),
            nested: Mutex::default(),
        })
    }

    /// Returns the number of rules.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.rules.len()
    }

    /// Finds the hits of one piece, in order.
    fn hits(
        &self,
        relative: &str,
        bytes: &[u8],
        owned: std::ops::Range<usize>,
        is_whole: bool,
    ) -> Vec<Hit> {
        let class = FileClass::of(relative);
        let mut hits = scan::scan(&self.rules, bytes, owned, class);
        if is_whole
            && hits.is_empty()
            && let Some(secret) = files::lone_key(relative, bytes)
        {
            hits.push(Hit {
                rule: self.rules.engine.key_file,
                secret,
                priority: 0,
                confidence: rules::Confidence::Medium,
                verdict: validity::Verdict::Unchecked,
                key: None,
            });
        }
        hits
    }
}

impl Detector for Secrets {
    fn info(&self) -> &'static ScannerInfo {
        &INFO
    }

    fn visit(&self, entry: &Entry<'_>, _findings: &mut Vec<RawFinding>) -> Interest {
        if !entry.is_directory {
            return Interest::Content;
        }
        if !entry.relative.is_empty() && entry.path.join(".git").exists() {
            let place = (entry.path.to_path_buf(), entry.relative.to_owned());
            let mut nested = self.nested.lock().unwrap_or_else(PoisonError::into_inner);
            nested.push(place);
        }
        Interest::None
    }

    fn examine(&self, piece: &Piece<'_>, findings: &mut Vec<RawFinding>) {
        let hits = self.hits(
            piece.entry.relative,
            piece.bytes,
            piece.owned_range(),
            piece.is_whole,
        );
        if hits.is_empty() {
            return;
        }
        let mut lines = report::Lines::new(piece.bytes, piece.first_line);
        let mut on_line: HashSet<(u32, Seen)> = HashSet::new();
        for hit in hits {
            let (Some(rule), Some(value)) = (
                self.rules.rules.get(hit.rule),
                piece.bytes.get(hit.secret.clone()),
            ) else {
                continue;
            };
            let secret = Secret(value);
            let seen = (hit.rule, secret.key());
            let line = lines.of(hit.secret.start);
            if !on_line.insert((line, seen)) {
                continue;
            }
            self.in_tree
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(seen);
            let key = hit
                .key
                .as_ref()
                .and_then(|key| piece.bytes.get(key.clone()));
            findings.push(report::in_file(rule, &hit, secret, key, piece.entry, line));
        }
    }

    fn finish(&self, context: &ScanContext) -> Result<Finish, ScannerError> {
        if !context.settings.git_history {
            return Ok(Finish::default());
        }
        let nested =
            std::mem::take(&mut *self.nested.lock().unwrap_or_else(PoisonError::into_inner));
        history::search(self, context, nested)
    }
}
