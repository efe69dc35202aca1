//! Who calls, and what they may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A right that a key carries. Scopes are independent: `admin` includes neither of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at scans and findings.
    Read,
    /// Start, cancel and delete scans; give verdicts.
    Write,
    /// Manage keys and webhooks.
    Admin,
}

impl Scope {
    /// Returns the lower-case name used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope '{0}': use read, write or admin")]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Read, Self::Write, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// A caller whose credential was checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody in particular: the server has no credentials configured and is open.
    Dev,
    /// The holder of the environment key; every scope.
    Environment,
    /// The holder of a key in the database.
    Key {
        /// The key's id, ten characters.
        id: String,
        /// Its scopes at the time of the check.
        scopes: Vec<Scope>,
    },
}

impl Principal {
    /// Tells whether the caller may use a route of this scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        match self {
            Self::Dev | Self::Environment => true,
            Self::Key { scopes, .. } => scopes.contains(&scope),
        }
    }

    /// Returns the name that event tokens are bound to and logs may show.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Dev => "dev",
            Self::Environment => "env",
            Self::Key { id, .. } => id,
        }
    }
}
