//! Host configuration found below the target, judged by rules like those of CIS.
//!
//! Compat: ids, titles and texts are the reference's (contract/scanners.md 5, TARGET mode).
//! `BASELINE-USER-003` is new: a really empty password passed unseen (engine-weaknesses.md 2.4).
//! Nothing of the running system is looked at, also not for the target `/`, and never the
//! environment of this process.

mod sshd;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, PoisonError};

use crate::domain::{RawFinding, ScanType, Severity};
use crate::scanners::{
    Detector, Entry, Finish, Interest, Piece, ScanContext, ScannerError, ScannerInfo, Target,
};

pub const INFO: ScannerInfo = ScannerInfo {
    name: "baseline",
    scan_type: ScanType::Baseline,
    description: "Checks host configuration files below the target against a security baseline.",
    checks: &[
        "SSH daemon hardening",
        "Permissions of account files",
        "Accounts with root privileges",
        "Accounts without a password",
    ],
    install_hint: "Built in; nothing to install",
    installable: false,
};

const SSHD: &str = "etc/ssh/sshd_config";
const PASSWD: &str = "etc/passwd";
const SHADOW: &str = "etc/shadow";
/// Bytes of all configuration files together that are kept for [`Detector::finish`].
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The `baseline` scanner.
#[derive(Debug, Default)]
pub struct Baseline {
    seen: Mutex<Seen>,
}

/// What the walk came across, by path relative to the target.
#[derive(Debug, Default)]
struct Seen {
    /// Permission bits of the account files.
    modes: BTreeMap<String, u32>,
    /// Texts of the files that exist, empty if unreadable.
    texts: BTreeMap<String, String>,
    bytes: usize,
}

impl Detector for Baseline {
    fn info(&self) -> &'static ScannerInfo {
        &INFO
    }

    fn visit(&self, entry: &Entry<'_>, _: &mut Vec<RawFinding>) -> Interest {
        if entry.is_directory || !is_wanted(entry.relative) {
            return Interest::None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.texts.entry(entry.relative.to_owned()).or_default();
        if let Ok(metadata) = entry.path.symlink_metadata() {
            let mode = metadata.permissions().mode() & 0o777;
            seen.modes.insert(entry.relative.to_owned(), mode);
        }
        Interest::Content
    }

    fn examine(&self, piece: &Piece<'_>, _: &mut Vec<RawFinding>) {
        let owned = piece.bytes.get(piece.owned_range()).unwrap_or_default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.bytes = seen.bytes.saturating_add(owned.len());
        if seen.bytes <= MOST_BYTES
            && let Some(text) = seen.texts.get_mut(piece.entry.relative)
        {
            text.push_str(&String::from_utf8_lossy(owned));
        }
    }

    fn finish(&self, context: &ScanContext) -> Result<Finish, ScannerError> {
        let target = &*context.target;
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut finish = Finish::default();
        if seen.bytes > MOST_BYTES {
            finish.coverage.skip("too-large");
        }
        let is_known = |file: &str| target.is_directory && seen.texts.contains_key(file);
        if ![SSHD, PASSWD, SHADOW].into_iter().any(is_known) {
            finish.findings.push(nothing_to_check());
        } else {
            check_sshd(&seen, &mut finish.findings);
            check_accounts(&seen, target, &mut finish.findings);
        }
        for finding in &mut finish.findings {
            finding
                .metadata
                .insert("baseline_scope".to_owned(), "target".into());
        }
        Ok(finish)
    }
}

/// Tells whether a path is one of the files checked, or may be included by one.
fn is_wanted(relative: &str) -> bool {
    matches!(relative, SSHD | PASSWD | SHADOW)
        || relative
            .strip_prefix("etc/ssh/")
            .is_some_and(|name| name.ends_with(".conf"))
}

fn finding(severity: Severity, id: &str, title: impl Into<String>, file: &str) -> RawFinding {
    RawFinding::new(INFO.name, INFO.scan_type, severity, id, title).in_file(file)
}

fn nothing_to_check() -> RawFinding {
    let title = "Baseline scope: no host-config files under target";
    finding(Severity::Info, "BASELINE-SCOPE-001", title, "")
        .described(
            "None of etc/ssh/sshd_config, etc/passwd and etc/shadow exists under the target, so there was nothing to check. \
             To check the running host, scan '/' or use --baseline-host-probes.",
        )
        .remedied_by(
            "Scan a root file system that holds these files, or '/', or use --baseline-host-probes.",
        )
}

fn check_sshd(seen: &Seen, findings: &mut Vec<RawFinding>) {
    let settings = sshd::settings(&seen.texts, SSHD);
    if let Some(setting) = settings.get("permitrootlogin")
        && setting.value.eq_ignore_ascii_case("yes")
    {
        findings.push(
            finding(Severity::High, "BASELINE-SSH-001", "SSH root login enabled", &setting.file)
                .described("PermitRootLogin is set to 'yes' in sshd_config. Root login via SSH should be disabled.")
                .remedied_by("Set 'PermitRootLogin no' in /etc/ssh/sshd_config and run: sudo systemctl restart sshd")
                .shown_cwe("CWE-250")
                .placed("PermitRootLogin yes"),
        );
    }
    if let Some(setting) = settings.get("passwordauthentication")
        && !setting.value.eq_ignore_ascii_case("no")
    {
        let title = "SSH password authentication enabled";
        findings.push(
            finding(Severity::Medium, "BASELINE-SSH-002", title, &setting.file)
                .described("PasswordAuthentication is not set to 'no'. Key-based authentication is more secure.")
                .remedied_by("Set 'PasswordAuthentication no' in /etc/ssh/sshd_config and run: sudo systemctl restart sshd")
                .shown_cwe("CWE-308")
                .placed("PasswordAuthentication"),
        );
    }
    if let Some(setting) = settings.get("protocol")
        && setting.value != "2"
    {
        let title = "SSH Protocol version 1 allowed";
        findings.push(
            finding(Severity::High, "BASELINE-SSH-003", title, &setting.file)
                .described(format!(
                    "SSH Protocol is set to '{}'. Only Protocol 2 should be used.",
                    setting.value
                ))
                .remedied_by(
                    "Set 'Protocol 2' in /etc/ssh/sshd_config and run: sudo systemctl restart sshd",
                )
                .shown_cwe("CWE-327")
                .placed("Protocol"),
        );
    }
}

fn check_accounts(seen: &Seen, target: &Target, findings: &mut Vec<RawFinding>) {
    for (file, most, severity) in [
        (PASSWD, 0o644, Severity::High),
        (SHADOW, 0o640, Severity::Critical),
    ] {
        if let Some(mode) = seen.modes.get(file).filter(|mode| *mode & !most != 0) {
            let shown = target.show(file);
            let title = format!("Insecure permissions on {shown}");
            findings.push(
                finding(severity, "BASELINE-PERM-001", title, file)
                    .described(format!(
                        "Permissions are {mode:o} but should be {most:o} or more restrictive."
                    ))
                    .remedied_by(format!("Run: sudo chmod {most:o} {shown}"))
                    .shown_cwe("CWE-732"),
            );
        }
        let text = seen.texts.get(file).map_or("", String::as_str);
        for (line, number) in text.lines().zip(1..) {
            let fields: Vec<&str> = line.split(':').collect();
            if !line.starts_with('#') {
                let account = Account {
                    file,
                    line: number,
                    fields: &fields,
                };
                findings.extend(account.check());
            }
        }
    }
}

/// One line of an account file.
struct Account<'a> {
    file: &'static str,
    line: u32,
    fields: &'a [&'a str],
}

impl Account<'_> {
    fn check(&self) -> Vec<RawFinding> {
        let mut findings = Vec::new();
        if let [name, _, uid, _, ..] = *self.fields
            && self.file == PASSWD
            && uid.parse() == Ok(0_u32)
            && name != "root"
        {
            findings.push(self.finding(
                Severity::Critical,
                "BASELINE-USER-001",
                format!("Non-root user '{name}' has UID 0"),
                format!(
                    "User '{name}' in /etc/passwd has UID 0 (root privileges). Only the root account should have UID 0."
                ),
                format!(
                    "Review and remove or change the UID of user '{name}'. Use: sudo usermod -u <new_uid> {name}"
                ),
                "CWE-250",
            ));
        }
        let lock = |name: &str| {
            format!(
                "Lock the account: sudo passwd -l {name}, or set a password: sudo passwd {name}"
            )
        };
        match *self.fields {
            [name, "!!", ..] if self.file == SHADOW && !matches!(name, "nobody" | "nfsnobody") => {
                findings.push(self.finding(
                    Severity::Medium,
                    "BASELINE-USER-002",
                    format!("User '{name}' has no password set"),
                    format!(
                        "User '{name}' in /etc/shadow has no password set (!!). This account should be locked or have a password."
                    ),
                    lock(name),
                    "CWE-521",
                ));
            }
            // Lines such as `+::::::` bring in accounts from elsewhere.
            [name, "", _, ..] if !name.is_empty() && !name.starts_with(['+', '-']) => {
                findings.push(self.finding(
                    Severity::Critical,
                    "BASELINE-USER-003",
                    format!("User '{name}' has an empty password"),
                    format!(
                        "User '{name}' in /{} has an empty password field: no password is asked for at login.",
                        self.file
                    ),
                    lock(name),
                    "CWE-258",
                ));
            }
            _ => {}
        }
        findings
    }

    fn finding(
        &self,
        severity: Severity,
        id: &str,
        title: String,
        description: String,
        remediation: String,
        cwe: &str,
    ) -> RawFinding {
        finding(severity, id, title, self.file)
            .at_line(self.line)
            .described(description)
            .remedied_by(remediation)
            .shown_cwe(cwe)
            .placed(self.fields.first().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::scanners::{CancelFlag, ScannerReport, ScannerSettings, walk};

    fn write(root: &Path, relative: &str, content: &str, mode: u32) {
        let path = root.join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn scan(root: &Path) -> ScannerReport {
        let context = ScanContext {
            target: Arc::new(Target {
                shown: "/sample".to_owned(),
                is_directory: root.is_dir(),
                root: root.canonicalize().unwrap(),
            }),
            cancel: CancelFlag::default(),
            settings: Arc::new(ScannerSettings {
                threads: 2,
                ..Default::default()
            }),
        };
        let report = Mutex::new(None);
        let detector: Arc<dyn Detector> = Arc::new(Baseline::default());
        walk::run(&[detector], &context, &|_, done| {
            *report.lock().unwrap() = Some(done)
        });
        report.into_inner().unwrap().unwrap()
    }

    fn ids(report: &ScannerReport) -> Vec<(&str, Option<u32>)> {
        report
            .findings
            .iter()
            .map(|f| (f.rule_id.as_deref().unwrap(), f.line_start))
            .collect()
    }

    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "a table, as long as the reference's answer"
    )]
    fn the_sample_project_gives_what_the_reference_gave() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let sshd = "# sshd\nProtocol 1\nPermitRootLogin yes\nPasswordAuthentication yes\n";
        write(root, SSHD, sshd, 0o644);
        let passwd = "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0:second root:/root:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\n";
        write(root, PASSWD, passwd, 0o666);
        let shadow =
            "root:*:19000:0:99999:7:::\nsvc:!!:19000:0:99999:7:::\nempty::19000:0:99999:7:::\n";
        write(root, SHADOW, shadow, 0o644);
        let report = scan(root);
        let all: Vec<_> = report
            .findings
            .iter()
            .map(|f| {
                (
                    f.rule_id.as_deref().unwrap(),
                    f.severity,
                    f.title.as_str(),
                    f.description.as_str(),
                    f.remediation.as_deref().unwrap(),
                    f.file_path.as_deref().unwrap(),
                    f.line_start,
                )
            })
            .collect();
        assert_eq!(
            all,
            [
                (
                    "BASELINE-PERM-001",
                    Severity::High,
                    "Insecure permissions on /sample/etc/passwd",
                    "Permissions are 666 but should be 644 or more restrictive.",
                    "Run: sudo chmod 644 /sample/etc/passwd",
                    PASSWD,
                    None
                ),
                (
                    "BASELINE-USER-001",
                    Severity::Critical,
                    "Non-root user 'toor' has UID 0",
                    "User 'toor' in /etc/passwd has UID 0 (root privileges). Only the root account should have UID 0.",
                    "Review and remove or change the UID of user 'toor'. Use: sudo usermod -u <new_uid> toor",
                    PASSWD,
                    Some(2)
                ),
                (
                    "BASELINE-PERM-001",
                    Severity::Critical,
                    "Insecure permissions on /sample/etc/shadow",
                    "Permissions are 644 but should be 640 or more restrictive.",
                    "Run: sudo chmod 640 /sample/etc/shadow",
                    SHADOW,
                    None
                ),
                (
                    "BASELINE-USER-002",
                    Severity::Medium,
                    "User 'svc' has no password set",
                    "User 'svc' in /etc/shadow has no password set (!!). This account should be locked or have a password.",
                    "Lock the account: sudo passwd -l svc, or set a password: sudo passwd svc",
                    SHADOW,
                    Some(2)
                ),
                (
                    "BASELINE-USER-003",
                    Severity::Critical,
                    "User 'empty' has an empty password",
                    "User 'empty' in /etc/shadow has an empty password field: no password is asked for at login.",
                    "Lock the account: sudo passwd -l empty, or set a password: sudo passwd empty",
                    SHADOW,
                    Some(3)
                ),
                (
                    "BASELINE-SSH-001",
                    Severity::High,
                    "SSH root login enabled",
                    "PermitRootLogin is set to 'yes' in sshd_config. Root login via SSH should be disabled.",
                    "Set 'PermitRootLogin no' in /etc/ssh/sshd_config and run: sudo systemctl restart sshd",
                    SSHD,
                    None
                ),
                (
                    "BASELINE-SSH-002",
                    Severity::Medium,
                    "SSH password authentication enabled",
                    "PasswordAuthentication is not set to 'no'. Key-based authentication is more secure.",
                    "Set 'PasswordAuthentication no' in /etc/ssh/sshd_config and run: sudo systemctl restart sshd",
                    SSHD,
                    None
                ),
                (
                    "BASELINE-SSH-003",
                    Severity::High,
                    "SSH Protocol version 1 allowed",
                    "SSH Protocol is set to '1'. Only Protocol 2 should be used.",
                    "Set 'Protocol 2' in /etc/ssh/sshd_config and run: sudo systemctl restart sshd",
                    SSHD,
                    None
                ),
            ]
        );
        assert!(report.findings.iter().all(|f| f.fingerprint_cwe.is_none()
            && f.metadata.len() == 1
            && f.metadata["baseline_scope"] == "target"));
    }

    #[test]
    fn a_target_without_such_files_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "sub/etc/passwd", "toor:x:0:0:::\n", 0o666);
        write(
            dir.path(),
            "etc/ssh/ssh_config.d/x.conf",
            "Protocol 1\n",
            0o666,
        );
        for target in [dir.path().to_owned(), dir.path().join("sub/etc/passwd")] {
            let report = scan(&target);
            assert_eq!(ids(&report), [("BASELINE-SCOPE-001", None)]);
            let finding = &report.findings[0];
            assert_eq!(
                finding.title,
                "Baseline scope: no host-config files under target"
            );
            assert_eq!(finding.severity, Severity::Info);
            assert_eq!(finding.file_path.as_deref(), Some(""));
            assert_eq!(finding.metadata["baseline_scope"], "target");
        }
    }

    #[test]
    fn settings_in_order_pass() {
        let dir = tempfile::tempdir().unwrap();
        let sshd = "PermitRootLogin prohibit-password\nPasswordAuthentication no\nProtocol 2\nMatch Address 10.0.0.0/8\nPermitRootLogin yes\n";
        write(dir.path(), SSHD, sshd, 0o600);
        let passwd = "root:x:0:0:::\n#toor:x:0:0:::\nbin:x:1:0:::\n+::::::\nshort\n";
        write(dir.path(), PASSWD, passwd, 0o644);
        let shadow = "root:!:1:::::::\nbin:*:1::::::\nnobody:!!:1::::::\n";
        write(dir.path(), SHADOW, shadow, 0o600);
        assert_eq!(ids(&scan(dir.path())), []);
    }

    #[test]
    fn an_included_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            SSHD,
            "Include /etc/ssh/sshd_config.d/*.conf\nProtocol 2\n",
            0o600,
        );
        write(
            dir.path(),
            "etc/ssh/sshd_config.d/a.conf",
            "PermitRootLogin YES\n",
            0o600,
        );
        let report = scan(dir.path());
        assert_eq!(ids(&report), [("BASELINE-SSH-001", None)]);
        let file = report.findings[0].file_path.as_deref();
        assert_eq!(file, Some("etc/ssh/sshd_config.d/a.conf"));
    }

    #[test]
    fn an_empty_password_in_passwd_counts_too() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), PASSWD, "root::0:0:::\n", 0o644);
        assert_eq!(ids(&scan(dir.path())), [("BASELINE-USER-003", Some(1))]);
    }
}
