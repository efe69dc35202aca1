//! Rules on Dockerfiles: `dockerfile/DL001` and following.
//!
//! Compat: ids, titles and texts of DL001 to DL010 are the reference's (contract/scanners.md 9);
//! what they match is wider where the reference was blind (contract/engine-weaknesses.md 2.2) and
//! narrower where it was wrong (section 3).

mod parse;
mod shell;

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use self::parse::{Instruction, Pair};
use crate::domain::{RawFinding, ScanType, Severity};
use crate::scanners::{
    Detector, Entry, Finish, Interest, Piece, ScanContext, ScannerError, ScannerInfo,
};

pub const INFO: ScannerInfo = ScannerInfo {
    name: "dockerfile",
    scan_type: ScanType::Iac,
    description: "Checks Dockerfiles for insecure instructions and bad practice.",
    checks: &[
        "Containers that run as root",
        "Secrets in ENV and ARG",
        "Base images without a fixed version",
        "Downloads piped to a shell",
        "Sensitive ports",
        "World-writable permissions",
        "ADD from remote addresses",
        "Recommended packages and package caches",
    ],
    install_hint: "Built in; nothing to install",
    installable: false,
};

/// What is always the same about the findings of one rule.
struct Rule {
    id: &'static str,
    severity: Severity,
    title: &'static str,
    description: &'static str,
    remediation: &'static str,
    cwe: Option<&'static str>,
}

const LATEST_TAG: Rule = Rule {
    id: "dockerfile/DL001",
    severity: Severity::Medium,
    title: "Using ':latest' tag in FROM",
    description: "Using the ':latest' tag makes builds non-reproducible and may introduce unexpected vulnerabilities.",
    remediation: "Pin to a specific image version, e.g., 'FROM python:3.12-slim'.",
    cwe: None,
};
const ROOT_USER: Rule = Rule {
    id: "dockerfile/DL002",
    severity: Severity::High,
    title: "Running as root user",
    description: "Container runs as root, which increases the attack surface if compromised.",
    remediation: "Add 'USER nonroot' or create a dedicated user with 'RUN useradd -r appuser && USER appuser'.",
    cwe: Some("CWE-250"),
};
const PIPED_DOWNLOAD: Rule = Rule {
    id: "dockerfile/DL003",
    severity: Severity::High,
    title: "Piping curl to shell",
    description: "Downloading and executing scripts from the internet in one step is risky \u{2014} the script could be compromised.",
    remediation: "Download the script first, verify its checksum, then execute it.",
    cwe: Some("CWE-494"),
};
const RECOMMENDED_PACKAGES: Rule = Rule {
    id: "dockerfile/DL004",
    severity: Severity::Low,
    title: "apt-get install without --no-install-recommends",
    description: "Installing recommended packages increases image size and attack surface.",
    remediation: "Use 'apt-get install --no-install-recommends' to minimize installed packages.",
    cwe: None,
};
const SENSITIVE_PORT: Rule = Rule {
    id: "dockerfile/DL005",
    severity: Severity::High,
    title: "Exposing sensitive port",
    description: "Exposing SSH (22), Telnet (23), SMTP (25), or RDP (3389) ports suggests insecure services in the container.",
    remediation: "Remove the EXPOSE directive for sensitive ports. Use secure alternatives.",
    cwe: None,
};
const REMOTE_ADD: Rule = Rule {
    id: "dockerfile/DL006",
    severity: Severity::Medium,
    title: "Using ADD to fetch remote URLs",
    description: "ADD with URLs is unpredictable \u{2014} use COPY with a prior RUN curl/wget for better control and caching.",
    remediation: "Replace 'ADD <url>' with 'RUN curl -o <file> <url>' followed by 'COPY'.",
    cwe: Some("CWE-494"),
};
const SECRET_IN_ENV: Rule = Rule {
    id: "dockerfile/DL007",
    severity: Severity::Critical,
    title: "Secret stored in ENV directive",
    description: "Secrets in ENV directives are visible in image history and to anyone with access to the image.",
    remediation: "Use Docker secrets, build args with --secret, or runtime environment variables instead.",
    cwe: Some("CWE-798"),
};
const WORLD_WRITABLE: Rule = Rule {
    id: "dockerfile/DL008",
    severity: Severity::Medium,
    title: "Setting world-writable permissions (777)",
    description: "chmod 777 gives all users read, write, and execute permissions, which is a security risk.",
    remediation: "Use more restrictive permissions like 755 for directories or 644 for files.",
    cwe: Some("CWE-732"),
};
const PIP_CACHE: Rule = Rule {
    id: "dockerfile/DL009",
    severity: Severity::Low,
    title: "pip install without --no-cache-dir",
    description: "pip caches downloaded packages, increasing image size unnecessarily.",
    remediation: "Use 'pip install --no-cache-dir' to reduce image size.",
    cwe: None,
};
const NO_USER: Rule = Rule {
    id: "dockerfile/DL010",
    severity: Severity::Medium,
    title: "No USER directive found",
    description: "No USER directive means the container runs as root by default.",
    remediation: "Add a USER directive to run the container as a non-root user.",
    cwe: Some("CWE-250"),
};
const NO_TAG: Rule = Rule {
    id: "dockerfile/DL011",
    severity: Severity::Medium,
    title: "Untagged base image",
    description: "A base image without a tag or digest means ':latest': builds are non-reproducible and may introduce unexpected vulnerabilities.",
    remediation: "Pin to a specific image version, e.g., 'FROM python:3.12-slim', or to a digest.",
    cwe: None,
};
const SECRET_IN_ARG: Rule = Rule {
    id: "dockerfile/DL012",
    severity: Severity::High,
    title: "Secret stored in ARG default",
    description: "Defaults of build arguments are stored in the Dockerfile and are visible in image history.",
    remediation: "Remove the default and pass the secret with 'RUN --mount=type=secret'.",
    cwe: Some("CWE-798"),
};

impl Rule {
    fn finding(&self, relative: &str, place: String) -> RawFinding {
        let finding = RawFinding::new(
            INFO.name,
            INFO.scan_type,
            self.severity,
            self.id,
            self.title,
        )
        .described(self.description)
        .remedied_by(self.remediation)
        .in_file(relative)
        .placed(place);
        match self.cwe {
            Some(cwe) => finding.shown_cwe(cwe),
            None => finding,
        }
    }
}

/// The `dockerfile` scanner.
#[derive(Debug, Default)]
pub struct Dockerfiles {
    too_large: AtomicU64,
}

impl Detector for Dockerfiles {
    fn info(&self) -> &'static ScannerInfo {
        &INFO
    }

    fn visit(&self, entry: &Entry<'_>, _: &mut Vec<RawFinding>) -> Interest {
        if !entry.is_directory && is_dockerfile(entry.name) {
            Interest::Content
        } else {
            Interest::None
        }
    }

    fn examine(&self, piece: &Piece<'_>, findings: &mut Vec<RawFinding>) {
        if piece.is_whole {
            let text = String::from_utf8_lossy(piece.bytes);
            check(&text, piece.entry.relative, findings);
        } else if piece.first_line == 1 && piece.owned.0 == 0 {
            // Megabytes of Dockerfile are some other file with an unlucky name.
            self.too_large.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn finish(&self, _: &ScanContext) -> Result<Finish, ScannerError> {
        let mut finish = Finish::default();
        for _ in 0..self.too_large.load(Ordering::Relaxed) {
            finish.coverage.skip("too-large");
        }
        Ok(finish)
    }
}

/// Tells whether a file of this name is a Dockerfile: `Dockerfile`, `Dockerfile.dev`,
/// `api.Dockerfile`, `Containerfile` and their like, in any case.
fn is_dockerfile(name: &str) -> bool {
    /// Sources of programs that deal with Dockerfiles. In upper case the reference takes the part
    /// after the dot for a variant, as in `Dockerfile.go`.
    const NOT_IN_LOWER_CASE: [&str; 11] = [
        "go", "rs", "py", "js", "ts", "java", "rb", "json", "yaml", "yml", "html",
    ];
    let lower = name.to_ascii_lowercase();
    if lower.ends_with(".dockerignore") || lower.ends_with(".md") {
        return false;
    }
    ["dockerfile", "containerfile"].iter().any(|base| {
        let is_source = |variant: &str| {
            NOT_IN_LOWER_CASE.contains(&variant) && name.starts_with(|c: char| c.is_lowercase())
        };
        lower
            .strip_suffix(base)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            || lower.strip_prefix(base).is_some_and(|after| {
                after.starts_with(['.', '-', '_']) && !is_source(after.get(1..).unwrap_or_default())
            })
    })
}

/// Checks one file.
fn check(text: &str, relative: &str, findings: &mut Vec<RawFinding>) {
    let mut file = Checked {
        relative,
        findings,
        stages: Vec::new(),
        habits: Habits::default(),
    };
    for instruction in parse::instructions(text) {
        file.instruction(&instruction);
    }
    file.user_of_final_stage();
}

/// Settings made earlier in the file that excuse later instructions.
#[derive(Default)]
struct Habits {
    pip_does_not_cache: bool,
    apt_does_not_recommend: bool,
}

/// One `FROM` and what follows it.
struct Stage {
    name: Option<String>,
    image: String,
    /// Name and group, normalised instruction and line of the last `USER`.
    user: Option<(String, String, u32)>,
}

struct Checked<'a> {
    relative: &'a str,
    findings: &'a mut Vec<RawFinding>,
    stages: Vec<Stage>,
    habits: Habits,
}

impl Checked<'_> {
    fn report(&mut self, rule: &Rule, instruction: &Instruction) {
        self.report_at(rule, instruction.line, instruction.normalised());
    }

    fn report_at(&mut self, rule: &Rule, line: u32, place: String) {
        self.findings
            .push(rule.finding(self.relative, place).at_line(line));
    }

    fn instruction(&mut self, instruction: &Instruction) {
        match instruction.keyword.as_str() {
            "FROM" => self.from(instruction),
            "USER" => self.user(instruction),
            "RUN" => self.run(instruction),
            "EXPOSE" => self.expose(instruction),
            "ADD" => self.add(instruction),
            "COPY" => self.chmod_flag(instruction),
            "ENV" => self.variables(&SECRET_IN_ENV, instruction),
            "ARG" => self.variables(&SECRET_IN_ARG, instruction),
            _ => {}
        }
    }

    fn from(&mut self, instruction: &Instruction) {
        let (_, rest) = instruction.flags_and_rest();
        let mut words = rest.split_whitespace();
        let image = words.next().unwrap_or_default();
        let name = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("as"))
            .then(|| words.next())
            .flatten();
        match judge_image(image) {
            _ if self.stage(image).is_some() => {}
            Tag::Latest => self.report(&LATEST_TAG, instruction),
            Tag::Missing => self.report(&NO_TAG, instruction),
            Tag::Fine => {}
        }
        self.stages.push(Stage {
            name: name.map(str::to_owned),
            image: image.to_owned(),
            user: None,
        });
    }

    /// Returns the earlier build stage of this name.
    fn stage(&self, name: &str) -> Option<usize> {
        let is_it = |stage: &Stage| {
            stage
                .name
                .as_deref()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        self.stages.iter().rposition(is_it)
    }

    fn user(&mut self, instruction: &Instruction) {
        if instruction.is_onbuild {
            return;
        }
        let user = instruction
            .arguments
            .trim()
            .trim_matches(['"', '\''])
            .to_owned();
        if let Some(stage) = self.stages.last_mut() {
            stage.user = Some((user, instruction.normalised(), instruction.line));
        } else if is_root(&user) {
            // A fragment without FROM: nothing says that another USER follows.
            self.report(&ROOT_USER, instruction);
        }
    }

    /// Follows the final stage to the stages that it builds on, up to the first `USER`.
    fn user_of_final_stage(&mut self) {
        let mut end = self.stages.len();
        while let Some(stage) = end.checked_sub(1).and_then(|last| self.stages.get(last)) {
            if let Some((user, place, line)) = &stage.user {
                if is_root(user) {
                    let (place, line) = (place.clone(), *line);
                    self.report_at(&ROOT_USER, line, place);
                }
                return;
            }
            // A stage builds on earlier ones only, so this ends.
            let image = stage.image.clone();
            let earlier = self.stages.iter().take(end - 1).rposition(|stage| {
                stage
                    .name
                    .as_deref()
                    .is_some_and(|name| name.eq_ignore_ascii_case(&image))
            });
            match earlier {
                Some(index) => end = index + 1,
                None if is_rootless(&image) => return,
                None => break,
            }
        }
        if !self.stages.is_empty() {
            self.findings
                .push(NO_USER.finding(self.relative, String::new()));
        }
    }

    fn run(&mut self, instruction: &Instruction) {
        let (flags, command) = instruction.flags_and_rest();
        let is_cached = flags.iter().any(|flag| {
            flag.starts_with("--mount") && flag.contains("type=cache") && flag.contains("pip")
        });
        self.script(
            command,
            is_cached,
            instruction.line,
            &instruction.normalised(),
        );
        for (line, text) in &instruction.script {
            self.script(text, is_cached, *line, &format!("RUN {text}"));
        }
    }

    fn script(&mut self, script: &str, is_cached: bool, line: u32, place: &str) {
        self.habits.apt_does_not_recommend |= shell::turns_off_recommended(script);
        let commands = shell::commands(script);
        let any = |judge: fn(&[&str]) -> bool| commands.iter().any(|command| judge(command));
        let installs_recommended =
            !self.habits.apt_does_not_recommend && any(shell::installs_recommended);
        let caches_pip = !is_cached && !self.habits.pip_does_not_cache && any(shell::caches_pip);
        let found = [
            (&PIPED_DOWNLOAD, shell::pipes_download_to_shell(script)),
            (&RECOMMENDED_PACKAGES, installs_recommended),
            (&WORLD_WRITABLE, any(shell::makes_world_writable)),
            (&PIP_CACHE, caches_pip),
        ];
        for (rule, _) in found.into_iter().filter(|(_, is_found)| *is_found) {
            self.report_at(rule, line, place.to_owned());
        }
    }

    fn expose(&mut self, instruction: &Instruction) {
        let is_sensitive = |word: &str| {
            let ports = word.trim_matches(['"', '\'', '[', ']', ',']);
            let ports = ports.split('/').next().unwrap_or(ports);
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) => [22, 23, 25, 3389]
                    .iter()
                    .any(|port| (first..=last).contains(port)),
                _ => false,
            }
        };
        if instruction.arguments.split_whitespace().any(is_sensitive) {
            self.report(&SENSITIVE_PORT, instruction);
        }
    }

    fn add(&mut self, instruction: &Instruction) {
        self.chmod_flag(instruction);
        let (flags, rest) = instruction.flags_and_rest();
        let is_remote = |word: &str| {
            let word = word
                .trim_start_matches(['[', '"', '\''])
                .to_ascii_lowercase();
            word.starts_with("http://") || word.starts_with("https://")
        };
        let is_verified = flags.iter().any(|flag| flag.starts_with("--checksum="));
        if !is_verified && rest.split_whitespace().any(is_remote) {
            self.report(&REMOTE_ADD, instruction);
        }
    }

    fn chmod_flag(&mut self, instruction: &Instruction) {
        let (flags, _) = instruction.flags_and_rest();
        let modes = flags
            .iter()
            .filter_map(|flag| flag.strip_prefix("--chmod="));
        if modes.into_iter().any(shell::is_world_writable) {
            self.report(&WORLD_WRITABLE, instruction);
        }
    }

    fn variables(&mut self, rule: &Rule, instruction: &Instruction) {
        for pair in parse::pairs(instruction) {
            if pair.key == "PIP_NO_CACHE_DIR" && !pair.value.is_empty() {
                self.habits.pip_does_not_cache = true;
            }
            if is_secret_name(&pair.key) && is_secret_value(&pair.value) {
                let line = instruction.line_at(pair.offset);
                self.report_at(rule, line, place_of_secret(&instruction.keyword, &pair));
            }
        }
    }
}

/// Names a secret without giving it away.
fn place_of_secret(keyword: &str, pair: &Pair) -> String {
    let digest = Sha256::digest(pair.value.as_bytes());
    let hex: String = digest
        .iter()
        .take(3)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{keyword} {}={}", pair.key, hex.get(..5).unwrap_or(&hex))
}

enum Tag {
    Latest,
    Missing,
    Fine,
}

fn judge_image(image: &str) -> Tag {
    // `${NAME:-default}` has a colon of its own.
    let mut plain = image.to_owned();
    while let Some(start) = plain.find("${") {
        let length = plain.get(start..).and_then(|rest| rest.find('}'));
        plain.replace_range(
            start..length.map_or(plain.len(), |length| start + length + 1),
            "$",
        );
    }
    if plain.contains('@') || plain.is_empty() || plain.eq_ignore_ascii_case("scratch") {
        return Tag::Fine;
    }
    let name = plain.rsplit('/').next().unwrap_or(&plain);
    match name.split_once(':') {
        Some((_, tag)) if tag.eq_ignore_ascii_case("latest") => Tag::Latest,
        Some(_) => Tag::Fine,
        None if name.contains('$') => Tag::Fine,
        None => Tag::Missing,
    }
}

/// Tells whether an image is made to run without root.
fn is_rootless(image: &str) -> bool {
    ["nonroot", "rootless", "unprivileged"]
        .iter()
        .any(|word| image.contains(word))
}

fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or(user).trim();
    name.eq_ignore_ascii_case("root") || name.parse() == Ok(0_u32)
}

/// Tells whether a variable of this name holds a secret, going by its words:
/// neither `MONKEY` nor `KEYBOARD_LAYOUT` nor `TOKEN_TTL` does.
fn is_secret_name(name: &str) -> bool {
    /// Last words that speak about a secret instead of being one.
    const ABOUT: [&str; 24] = [
        "FILE",
        "PATH",
        "DIR",
        "URL",
        "URI",
        "ENDPOINT",
        "NAME",
        "TTL",
        "LENGTH",
        "SIZE",
        "EXPIRY",
        "EXPIRATION",
        "TYPE",
        "ALGORITHM",
        "VERSION",
        "COUNT",
        "LIMIT",
        "ENABLED",
        "TIMEOUT",
        "HEADER",
        "FORMAT",
        "POLICY",
        "PREFIX",
        "FINGERPRINT",
    ];
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper
        .split(['_', '-', '.'])
        .filter(|word| !word.is_empty())
        .collect();
    let is_secret = |word: &str| {
        [
            "PASSWORD",
            "PASSWD",
            "PASSPHRASE",
            "SECRET",
            "SECRETS",
            "TOKEN",
            "CREDENTIAL",
        ]
        .iter()
        .any(|end| word.ends_with(end))
            || word.ends_with("CREDENTIALS")
            || ["APIKEY", "ACCESSKEY", "SECRETKEY", "PRIVATEKEY"]
                .iter()
                .any(|end| word.ends_with(end))
    };
    match words.as_slice() {
        [.., last] if ABOUT.contains(last) => false,
        [.., "PUBLIC" | "GPG" | "PGP" | "SIGNING", "KEY"] => false,
        [.., "ACCESS", "KEY", "ID"] | [.., _, "PWD"] => true,
        [.., "KEY" | "TOKEN" | "SECRET", "ID"] => false,
        words => words.iter().any(|word| *word == "KEY" || is_secret(word)),
    }
}

/// Tells whether a value can be a secret: neither empty nor a reference nor a stand-in.
fn is_secret_value(value: &str) -> bool {
    const STAND_INS: [&str; 9] = [
        "changeme",
        "change-me",
        "change_me",
        "placeholder",
        "example",
        "dummy",
        "your-",
        "your_",
        "replace",
    ];
    const FLAGS: [&str; 11] = [
        "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null", "nil",
    ];
    let lower = value.trim().to_ascii_lowercase();
    let is_filler = lower
        .chars()
        .all(|c| matches!(c, 'x' | '*' | '.' | '-' | '_' | '?'));
    !is_filler
        && !lower.starts_with(['$', '<', '/', '%'])
        && !lower.contains("${")
        && !lower.contains("{{")
        && !lower.starts_with("file:")
        && !FLAGS.contains(&lower.as_str())
        && !STAND_INS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests;
