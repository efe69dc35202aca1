//! Which variables of our own process a tool may see: few, and never our keys and tokens.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What every tool is given.
const COMMON: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "TZ"];

/// What tools that need the network are given as well: proxies and additional certificates.
pub(super) const NETWORK: [&str; 11] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
];

/// The variables of our process that may be handed on. `Debug` shows their names only: a proxy's
/// address may hold a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ToolEnvironment(BTreeMap<String, String>);

impl ToolEnvironment {
    /// Picks from all variables of this process.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(name, _)| is_common(name) || NETWORK.contains(name))
                .map(|(name, value)| {
                    let value = if name == "PATH" {
                        absolute_folders(value)
                    } else {
                        value.to_owned()
                    };
                    (name.to_owned(), value)
                })
                .collect(),
        )
    }

    /// Returns what every tool is given.
    pub(super) fn common(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs().filter(|(name, _)| is_common(name))
    }

    /// Returns what tools that need the network are given as well.
    pub(super) fn network(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs().filter(|(name, _)| NETWORK.contains(name))
    }

    /// Tells whether addresses are reached through a proxy.
    pub(super) fn has_proxy(&self) -> bool {
        self.network().any(|(name, value)| {
            let name = name.to_ascii_lowercase();
            !value.is_empty() && matches!(name.as_str(), "https_proxy" | "all_proxy")
        })
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for ToolEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn is_common(name: &str) -> bool {
    COMMON.contains(&name) || name.starts_with("LC_")
}

/// Drops what would be looked up in the working directory: that is the scanned project, whose
/// programs must not run.
fn absolute_folders(path: &str) -> String {
    path.split(':')
        .filter(|folder| Path::new(folder).is_absolute())
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_variables_are_handed_on() {
        let environment = ToolEnvironment::of([
            ("PATH", "/usr/bin:.::bin:/opt/bin"),
            ("LC_ALL", "C"),
            ("HTTPS_PROXY", "http://user:word@proxy"),
            ("SECURESCAN_API_KEY", "k"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("PYTHONPATH", "/evil"),
            ("LD_PRELOAD", "/evil.so"),
        ]);
        let common: Vec<_> = environment.common().collect();
        assert_eq!(common, [("LC_ALL", "C"), ("PATH", "/usr/bin:/opt/bin")]);
        let network: Vec<_> = environment.network().map(|(name, _)| name).collect();
        assert_eq!(network, ["HTTPS_PROXY"]);
        assert!(environment.has_proxy());
        assert!(!format!("{environment:?}").contains("word"));
    }
}
