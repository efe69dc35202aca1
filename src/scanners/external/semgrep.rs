//! Semgrep, static analysis by rules for many languages (contract/scanners.md 1).
//!
//! The reference ran `--config auto`, which refuses to work unless usage data is sent. We ask for
//! the registry's default rules instead and send nothing; rule ids are the same. Without network
//! the scanner fails at once instead of after 100 s of attempts (engine-weaknesses 1.7, 4.4).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::process::{Invocation, Output, shown};
use super::report::{self, Sources};
use super::{Tool, ToolRun};
use crate::domain::{Coverage, RawFinding, ScanType, Severity};
use crate::scanners::{CancelFlag, ScanContext, ScannerError, ScannerInfo};

const INFO: ScannerInfo = ScannerInfo {
    name: "semgrep",
    scan_type: ScanType::Code,
    description: "Searches the code of many languages for patterns of known weaknesses.",
    checks: &[
        "Injection: SQL and commands",
        "Cross-site scripting",
        "Unsafe deserialisation",
        "Secrets in code",
        "OWASP Top 10",
        "Bad patterns of each language",
    ],
    install_hint: "pip install semgrep",
    installable: true,
};

/// The registry's rules for when nobody names others.
const DEFAULT_RULES: &str = "p/default";
/// Longest time to find out that the registry cannot be reached.
const REGISTRY_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// No version check (it waits 96 s without network), no usage data. `git ls-files`, which semgrep
/// runs in the project, must not start what the project's own git configuration names.
const VARIABLES: [(&str, &str); 7] = [
    ("SEMGREP_ENABLE_VERSION_CHECK", "0"),
    ("SEMGREP_SEND_METRICS", "off"),
    ("GIT_CONFIG_COUNT", "2"),
    ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
    ("GIT_CONFIG_VALUE_0", "false"),
    ("GIT_CONFIG_KEY_1", "core.hooksPath"),
    ("GIT_CONFIG_VALUE_1", "/dev/null"),
];

/// The wrapper.
#[derive(Debug)]
pub struct Semgrep {
    /// Host and port of the rule registry.
    registry: (&'static str, u16),
}

impl Default for Semgrep {
    fn default() -> Self {
        Self {
            registry: ("semgrep.dev", 443),
        }
    }
}

impl Tool for Semgrep {
    fn info(&self) -> ScannerInfo {
        INFO
    }

    fn program(&self) -> &'static str {
        "semgrep"
    }

    fn scan(&self, program: &Path, context: &ScanContext) -> Result<ToolRun, ScannerError> {
        let (folder, argument) = report::ground(&context.target);
        let rules = rules(&context.settings.semgrep_rules, folder)?;
        let environment = &context.settings.tool_environment;
        let mut semgrep = Invocation::new(program, folder, &context.settings)
            .with(["scan", "--json", "--metrics=off", "--disable-version-check"])
            .with_variables(VARIABLES);
        if rules.is_empty() {
            if !environment.has_proxy() {
                reach(self.registry, &context.cancel)?;
            }
            semgrep = semgrep
                .with(["--config", DEFAULT_RULES])
                .with_variables(environment.network());
        }
        for rule in rules {
            semgrep = semgrep.with([OsString::from("--config"), rule.into_os_string()]);
        }
        let output = semgrep.with([argument]).run(&context.cancel)?;
        let report = read(&output)?;
        let coverage = coverage(&report, folder);
        Ok(ToolRun {
            // The report tells it; starting semgrep again for that takes seconds.
            version: report.version.as_deref().map(shown),
            findings: findings(report.results, folder),
            coverage,
        })
    }
}

/// Finds the rule files before anything runs. Below the target they are named from there, so that
/// the rule ids, which hold the path, do not depend on where the project lies.
fn rules(configured: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>, ScannerError> {
    configured
        .iter()
        .map(|rules| {
            let found = rules.canonicalize().map_err(|error| {
                let rules = rules.display();
                ScannerError::Configuration(format!("semgrep rules {rules} not found: {error}"))
            })?;
            Ok(match found.strip_prefix(folder) {
                Ok(below) if !below.as_os_str().is_empty() => Path::new(".").join(below),
                _ => found,
            })
        })
        .collect()
}

/// Refuses when the registry does not answer within [`REGISTRY_LIMIT`].
fn reach(registry: (&'static str, u16), cancel: &CancelFlag) -> Result<(), ScannerError> {
    let (tell, told) = mpsc::channel();
    // Detached: looking up a name cannot be stopped. It ends by the resolver's own limit.
    std::thread::spawn(move || {
        let answer = registry.to_socket_addrs().and_then(|addresses| {
            let mut last = std::io::Error::other("no address");
            for address in addresses {
                match TcpStream::connect_timeout(&address, REGISTRY_LIMIT) {
                    Ok(_) => return Ok(()),
                    Err(error) => last = error,
                }
            }
            Err(last)
        });
        // Nobody listens any more after the limit.
        let _heard = tell.send(answer).is_ok();
    });
    let deadline = Instant::now() + REGISTRY_LIMIT;
    let problem = loop {
        if cancel.is_cancelled() {
            return Err(ScannerError::Cancelled);
        }
        match told.recv_timeout(POLL) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => break error.to_string(),
            Err(RecvTimeoutError::Disconnected) => break "the look-up crashed".to_owned(),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                break "no answer".to_owned();
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    };
    Err(ScannerError::Configuration(format!(
        "semgrep's rule registry {} cannot be reached ({problem}); name rule files in SECURESCAN_SEMGREP_RULES to work without it",
        registry.0
    )))
}

#[derive(Debug, Deserialize)]
struct Report {
    version: Option<String>,
    results: Vec<Match>,
    errors: Vec<Problem>,
    paths: Paths,
}

#[derive(Debug, Deserialize)]
struct Paths {
    scanned: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Match {
    check_id: String,
    path: String,
    start: Position,
    end: Position,
    extra: Extra,
}

#[derive(Debug, Deserialize)]
struct Position {
    line: u32,
}

#[derive(Debug, Deserialize)]
struct Extra {
    message: Option<String>,
    severity: Option<String>,
    fix: Option<String>,
    metadata: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: Option<i64>,
    level: Option<String>,
    message: Option<String>,
    /// The file it is about; absent when it is about rules, or about everything.
    path: Option<String>,
    /// A text, or a list that starts with one.
    #[serde(rename = "type")]
    kind: Option<Value>,
}

impl Problem {
    fn is_error(&self) -> bool {
        self.level.as_deref() == Some("error")
    }

    /// By semgrep's exit codes for patterns, YAML, missing and unknown configurations, languages; a
    /// rule that its engine refuses has the general code.
    fn is_about_rules(&self) -> bool {
        matches!(self.code, Some(4 | 5 | 7 | 8)) || self.kind().starts_with("rule")
    }

    fn reason(&self) -> &'static str {
        let kind = self.kind();
        if kind.contains("timeout") {
            "timeout"
        } else if kind.contains("memory") || kind.contains("stackoverflow") {
            "out-of-memory"
        } else {
            "unparsable"
        }
    }

    /// Returns the kind in small letters without spaces, which versions spell differently.
    fn kind(&self) -> String {
        let kind = match &self.kind {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(parts)) => parts.first().and_then(Value::as_str).unwrap_or(""),
            _ => "",
        };
        kind.to_ascii_lowercase().replace(' ', "")
    }
}

/// Judges a run. An error that is not about a single file means that rules did not run.
fn read(output: &Output) -> Result<Report, ScannerError> {
    let report: Report = report::parse(output)?;
    let fatal = report
        .errors
        .iter()
        .find(|problem| problem.is_error() && problem.path.is_none());
    if let Some(problem) = fatal {
        let words = match problem.message.as_deref() {
            Some(message) => shown(message),
            None => output.last_words(),
        };
        return Err(if problem.is_about_rules() {
            ScannerError::Configuration(format!("semgrep rules are unusable: {words}"))
        } else {
            ScannerError::Crashed(words)
        });
    }
    // 1 is "something found", where that was asked for. Errors about files set the code too.
    let is_excused = report.errors.iter().any(Problem::is_error) && output.status.code().is_some();
    if !matches!(output.status.code(), Some(0 | 1)) && !is_excused {
        return Err(ScannerError::Crashed(output.last_words()));
    }
    Ok(report)
}

fn coverage(report: &Report, folder: &Path) -> Coverage {
    let mut coverage = Coverage::default();
    let mut failed = BTreeSet::new();
    for problem in &report.errors {
        if let Some(path) = &problem.path
            && failed.insert(report::relative(folder, path))
        {
            coverage.skip(problem.reason());
        }
    }
    for path in &report.paths.scanned {
        let path = report::relative(folder, path);
        if !failed.contains(&path) {
            coverage.files_seen += 1;
            let file = folder.join(path).metadata();
            coverage.bytes_seen += file.map_or(0, |file| file.len());
        }
    }
    coverage
}

fn findings(matches: Vec<Match>, folder: &Path) -> Vec<RawFinding> {
    let mut sources = Sources::new(folder);
    matches
        .into_iter()
        .map(|found| finding(found, folder, &mut sources))
        .collect()
}

fn finding(found: Match, folder: &Path, sources: &mut Sources<'_>) -> RawFinding {
    let file = report::relative(folder, &found.path);
    let (first, last) = (found.start.line, found.end.line);
    let source = sources.lines(&file, first, last);
    let metadata = found.extra.metadata.unwrap_or_default();
    let cwe = cwe(&metadata);
    // Any rule may repeat what it matched, so the code that it matched counts as well.
    let is_secret = is_about_secrets(&found.check_id, cwe.as_deref()) || names_a_secret(&source);
    let safe = |text: String| {
        if is_secret {
            without_literals(&text, &source)
        } else {
            text
        }
    };
    let message = found
        .extra
        .message
        .unwrap_or_else(|| "No description".to_owned());
    let mut finding = RawFinding::new(
        INFO.name,
        INFO.scan_type,
        severity(found.extra.severity.as_deref()),
        found.check_id.as_str(),
        found.check_id.as_str(),
    )
    .described(safe(message))
    .in_file(file)
    .at_line(first)
    .placed(report::place(&source));
    finding.line_end = Some(last);
    finding.cwe.clone_from(&cwe);
    // Compat: the reference showed semgrep's CWE, so it hashed it.
    finding.fingerprint_cwe = cwe;
    finding.remediation = found.extra.fix.map(safe);
    finding.metadata = metadata;
    finding
}

/// Newer rules use the last three names, which the reference made low (engine-weaknesses 4.4).
fn severity(name: Option<&str>) -> Severity {
    match name.unwrap_or_default().to_ascii_uppercase().as_str() {
        "CRITICAL" => Severity::Critical,
        "ERROR" | "HIGH" => Severity::High,
        "WARNING" | "MEDIUM" => Severity::Medium,
        _ => Severity::Low,
    }
}

/// Verbatim, usually the long form `CWE-95: Improper …`.
fn cwe(metadata: &Map<String, Value>) -> Option<String> {
    match metadata.get("cwe")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) => all.first()?.as_str().map(str::to_owned),
        _ => None,
    }
}

fn names_a_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "secret",
        "passw",
        "pwd",
        "credential",
        "token",
        "key",
        "auth",
    ]
    .iter()
    .any(|word| text.contains(word))
}

fn is_about_secrets(rule: &str, cwe: Option<&str>) -> bool {
    let numbers = ["CWE-259", "CWE-312", "CWE-321", "CWE-522", "CWE-798"];
    names_a_secret(rule)
        || cwe.is_some_and(|cwe| numbers.contains(&cwe.split(':').next().unwrap_or(cwe).trim()))
}

/// Removes from a text whatever the source has between quotes or as one long word: rules may build
/// their message from the code that matched.
fn without_literals(text: &str, source: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-+/=.".contains(c);
    let words = source
        .split(|c: char| !is_word(c))
        .flat_map(|word| [word, word.rsplit('=').next().unwrap_or(word)])
        .filter(|word| word.len() >= 16);
    let quoted = source
        .split(['"', '\'', '`'])
        .skip(1)
        .filter(|literal| literal.trim().len() >= 4);
    let mut literals: Vec<&str> = quoted.chain(words).collect();
    literals.sort_unstable_by_key(|literal| std::cmp::Reverse(literal.len()));
    literals.into_iter().fold(text.to_owned(), |text, literal| {
        text.replace(literal, "[redacted]")
    })
}

#[cfg(test)]
mod tests;
