//! The registry as shipped: fourteen scanners in the contract's order (contract/scanners.md 0.1).

use std::path::PathBuf;
use std::sync::Arc;

use super::builtin::{baseline, dockerfile, git_hygiene, secrets};
use super::external::bandit::Bandit;
use super::external::semgrep::Semgrep;
use super::external::{Tool, foreign};
use super::registry::{Kind, MakeDetector, Registered, Registry};
use super::{Detector, ScannerInfo};

/// Makes the registry; programs are looked for in these folders.
#[must_use]
pub fn registry(search_path: Vec<PathBuf>) -> Registry {
    Registry::new(
        vec![
            wrapped(Semgrep::default()),
            wrapped(Bandit),
            foreign(foreign::TRIVY, &["trivy"]),
            foreign(foreign::CHECKOV, &["checkov"]),
            native(baseline::INFO, |_| {
                Ok(Arc::new(baseline::Baseline::default()) as Arc<dyn Detector>)
            }),
            native(secrets::INFO, |settings| {
                Ok(Arc::new(secrets::Secrets::new(settings)?) as Arc<dyn Detector>)
            }),
            foreign(foreign::SAFETY, &["safety"]),
            foreign(foreign::LICENSES, &["pip-licenses", "npx"]),
            native(dockerfile::INFO, |_| {
                Ok(Arc::new(dockerfile::Dockerfiles::default()) as Arc<dyn Detector>)
            }),
            foreign(foreign::NPM_AUDIT, &["npm"]),
            native(git_hygiene::INFO, |_| {
                Ok(Arc::new(git_hygiene::GitHygiene::default()) as Arc<dyn Detector>)
            }),
            foreign(foreign::BUILTIN_DAST, &[]),
            foreign(foreign::ZAP, &["zap.sh"]),
            foreign(foreign::NMAP, &["nmap"]),
        ],
        search_path,
    )
}

fn native(info: ScannerInfo, make: MakeDetector) -> Registered {
    Registered {
        info,
        kind: Kind::Native(make),
    }
}

fn wrapped(tool: impl Tool + 'static) -> Registered {
    Registered {
        info: tool.info(),
        kind: Kind::Wrapped(Arc::new(tool)),
    }
}

fn foreign(info: ScannerInfo, programs: &'static [&'static str]) -> Registered {
    Registered {
        info,
        kind: Kind::Foreign { programs },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_tell_as_many_checks_as_the_contract_says() {
        let registry = registry(Vec::new());
        // contract/http-api.md 15.1
        for (name, checks, installable) in [
            ("semgrep", 6, true),
            ("bandit", 6, true),
            ("trivy", 5, false),
            ("checkov", 6, true),
            ("secrets", 8, false),
            ("safety", 4, true),
            ("licenses", 4, true),
            ("dockerfile", 8, false),
            ("npm-audit", 4, false),
            ("git-hygiene", 6, false),
            ("builtin_dast", 3, false),
            ("zap", 3, false),
            ("nmap", 4, false),
        ] {
            let info = registry
                .all()
                .iter()
                .map(|scanner| scanner.info)
                .find(|info| info.name == name)
                .unwrap();
            assert_eq!(info.checks.len(), checks, "{name}");
            assert_eq!(info.installable, installable, "{name}");
            assert!(info.description.ends_with('.'), "{name}");
        }
    }
}
