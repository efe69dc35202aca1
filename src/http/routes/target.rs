//! From a target as sent to the path that is stored.

use std::path::{Component, PathBuf};

use crate::http::error::ApiError;
use crate::scanners::target::{Policy, TargetRefused};

/// Validates a target as sent and returns the path that is stored: absolute, with `.`, `..` and
/// repeated slashes collapsed. Reads the disk.
///
/// Compat: contract/scan-orchestration.md 1 for texts and what is stored; unlike the reference,
/// what decides is where the path really leads, part by part.
///
/// # Errors
/// 400 that quotes the path as sent.
pub fn validate(sent: &str, policy: &Policy) -> Result<String, ApiError> {
    let refuse = |why: TargetRefused| ApiError::BadRequest(format!("{why}: {sent}"));
    if sent.contains('\0') {
        return Err(refuse(TargetRefused::Missing));
    }
    let absolute = std::path::absolute(if sent.is_empty() { "." } else { sent })
        .map_err(|_no_such_folder| refuse(TargetRefused::Missing))?;
    let stored = collapse(absolute)
        .into_os_string()
        .into_string()
        .map_err(|_not_utf8| refuse(TargetRefused::Unreadable))?;
    policy.resolve(&stored).map_err(refuse)?;
    Ok(stored)
}

/// Collapses `..` as text; links are resolved later, by the system.
fn collapse(path: PathBuf) -> PathBuf {
    path.components()
        .fold(PathBuf::new(), |mut collapsed, part| {
            match part {
                Component::ParentDir => {
                    collapsed.pop();
                }
                Component::CurDir => {}
                part => collapsed.push(part),
            }
            collapsed
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_targets_get_the_contracts_texts() {
        let policy = Policy {
            guarded: true,
            roots: Vec::new(),
        };
        for (sent, text) in [
            ("/srv/demo/nope", "Path does not exist: /srv/demo/nope"),
            ("/dev/null", "Path is not a file or directory: /dev/null"),
            ("/proc", "Scanning system path not allowed: /proc"),
            ("/proc/self", "Scanning system path not allowed: /proc/self"),
            (
                "/srv/../sys/kernel",
                "Scanning system path not allowed: /srv/../sys/kernel",
            ),
            ("/dev", "Scanning system path not allowed: /dev"),
            ("/tmp/\0x", "Path does not exist: /tmp/\0x"),
            ("~", "Path does not exist: ~"),
        ] {
            let told = validate(sent, &policy).unwrap_or_else(|error| error.to_string());
            assert_eq!(told, text);
        }
    }
}
