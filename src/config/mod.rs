//! The only place that reads the environment: every variable ends in one typed [`Settings`].

pub mod auth;
pub mod scans;
pub mod server;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use auth::{AuthSettings, RateLimitSettings};
pub use scans::ScanSettings;
pub use server::{LogFormat, LogSettings, ServerSettings};

/// A text that must never be shown: `Debug` and `Display` print `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret itself, for the one comparison or signature that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Everything that can be configured, read once at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where and how the service listens.
    pub server: ServerSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// `SECURESCAN_DATABASE_PATH`, alias `SECURESCAN_DB_PATH`: the SQLite file. Default
    /// `~/.securescan/scans.db`, in a container `/data/scans.db`.
    pub database_path: PathBuf,
    /// Who may do what.
    pub auth: AuthSettings,
    /// How often scans may be started.
    pub rate_limit: RateLimitSettings,
    /// What may be scanned, and how.
    pub scans: ScanSettings,
}

/// A variable whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}='{value}' is not usable: {problem}")]
pub struct SettingsError {
    /// The variable.
    pub name: String,
    /// Its value, unless it is a secret.
    pub value: String,
    /// What is expected instead.
    pub problem: String,
}

/// A set of variables: the process environment, or a test's own.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the variables of this process; those that are not UTF-8 are read lossily.
    #[must_use]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .map(|(name, value)| {
                    (
                        name.to_string_lossy().into_owned(),
                        value.to_string_lossy().into_owned(),
                    )
                })
                .collect(),
        )
    }

    /// Takes the variables of a list.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Returns a variable's trimmed value; blank counts as unset.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Returns every variable as it is.
    fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns a number, or the default when unset.
    fn number<T: std::str::FromStr>(
        &self,
        name: &str,
        default: T,
        expected: &str,
        fits: impl Fn(&T) -> bool,
    ) -> Result<T, SettingsError> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(fits)
            .ok_or_else(|| refuse(name, text, expected))
    }

    /// Returns a switch, or the default when unset.
    fn switch(&self, name: &str, default: bool) -> Result<bool, SettingsError> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(refuse(name, text, "use true or false")),
        }
    }
}

fn refuse(name: &str, value: &str, problem: impl Into<String>) -> SettingsError {
    SettingsError {
        name: name.to_owned(),
        value: value.to_owned(),
        problem: problem.into(),
    }
}

impl Settings {
    /// Reads every setting.
    ///
    /// # Errors
    /// The first variable whose value cannot be used.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingsError> {
        let in_container = environment.switch("SECURESCAN_IN_CONTAINER", false)?;
        Ok(Self {
            server: ServerSettings::from_environment(environment)?,
            log: LogSettings::from_environment(environment, in_container)?,
            database_path: database_path(environment, in_container),
            auth: AuthSettings::from_environment(environment)?,
            rate_limit: RateLimitSettings::from_environment(environment)?,
            scans: ScanSettings::from_environment(environment)?,
        })
    }
}

fn database_path(environment: &Environment, in_container: bool) -> PathBuf {
    let given = environment
        .text("SECURESCAN_DATABASE_PATH")
        .or_else(|| environment.text("SECURESCAN_DB_PATH"));
    match (given, environment.text("HOME")) {
        (Some(path), _) => PathBuf::from(path),
        (None, _) if in_container => PathBuf::from("/data/scans.db"),
        (None, Some(home)) => PathBuf::from(home).join(".securescan/scans.db"),
        // Without a home, the account's; never the working directory, which may be the target.
        (None, None) => std::env::home_dir()
            .unwrap_or_else(|| PathBuf::from("/var/lib/securescan"))
            .join(".securescan/scans.db"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        let settings =
            Settings::from_environment(&Environment::of([("HOME", "/home/ci")])).unwrap();
        assert_eq!(
            settings.database_path,
            PathBuf::from("/home/ci/.securescan/scans.db")
        );
        assert_eq!(settings.server.port, 8000);
        assert!(settings.auth.api_key.is_none());
        assert!(settings.scans.targets.roots.is_empty());
        assert!(settings.scans.max_concurrent >= 1);
    }

    #[test]
    fn the_alias_of_the_database_path_yields_to_the_real_name() {
        let both = [
            ("SECURESCAN_DB_PATH", "/a.db"),
            ("SECURESCAN_DATABASE_PATH", "/b.db"),
        ];
        let settings = Settings::from_environment(&Environment::of(both)).unwrap();
        assert_eq!(settings.database_path, PathBuf::from("/b.db"));
    }

    #[test]
    fn semgrep_rules_are_a_list_of_paths() {
        let environment = Environment::of([("SECURESCAN_SEMGREP_RULES", "rules/a.yml::/etc/b")]);
        let scanners = Settings::from_environment(&environment)
            .unwrap()
            .scans
            .scanners;
        let expected = ["rules/a.yml", "/etc/b"].map(PathBuf::from);
        assert_eq!(scanners.semgrep_rules, expected);
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        for (name, value) in [
            ("SECURESCAN_SCAN_TIMEOUT", "abc"),
            ("SECURESCAN_MAX_CONCURRENT_SCANS", "0"),
            ("SECURESCAN_SCAN_ROOTS", ":"),
            ("SECURESCAN_SCAN_ROOTS", "/tmp:"),
            ("SECURESCAN_LOG_LEVEL", "loud"),
            ("SECURESCAN_AUTH_REQUIRED", "maybe"),
        ] {
            let error = Settings::from_environment(&Environment::of([(name, value)])).unwrap_err();
            assert_eq!(error.name, name);
            assert!(error.to_string().contains(value), "{error}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let environment = Environment::of([("SECURESCAN_API_KEY", "hush-hush")]);
        let settings = Settings::from_environment(&environment).unwrap();
        assert_eq!(
            settings.auth.api_key.as_ref().unwrap().reveal(),
            "hush-hush"
        );
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
