//! What may be said of a secret: never the secret.

use sha2::{Digest as _, Sha256};

/// A secret's value on its way through the engine. Shows itself as `***`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret<'a>(pub(super) &'a [u8]);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Secret<'_> {
    /// Returns what the v2 identity hashes.
    ///
    /// 20 bits on purpose: enough to tell the handful of secrets of one file apart, too few to find
    /// a weak password by trying a dictionary against a stored identity (one word in a million
    /// fits by chance).
    pub(super) fn place(&self) -> String {
        let digest = Sha256::digest(self.0);
        let hex: String = digest
            .iter()
            .take(3)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("secret:{}", hex.get(..5).unwrap_or(&hex))
    }

    /// Returns a key for sets in memory, never stored.
    pub(super) fn key(&self) -> [u8; 16] {
        let digest = Sha256::digest(self.0);
        let mut key = [0; 16];
        key.iter_mut()
            .zip(digest.iter())
            .for_each(|(to, from)| *to = *from);
        key
    }

    /// Returns a preview: of a public prefix at most four characters, of anything else none.
    pub(super) fn preview(&self, public_prefix: &str) -> String {
        // A prefix that is most of the value would be the value.
        let shown = if self.0.starts_with(public_prefix.as_bytes())
            && self.0.len() >= public_prefix.len() + 12
        {
            public_prefix.chars().take(4).collect()
        } else {
            String::new()
        };
        format!("{shown}… ({} characters)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEAK: &[u8] = b"hunter2horse";

    #[test]
    fn a_preview_shows_a_public_prefix_only() {
        let token = format!("{}{}", "ghp_", "Zq".repeat(18));
        assert_eq!(
            Secret(token.as_bytes()).preview("ghp_"),
            "ghp_… (40 characters)"
        );
        assert_eq!(Secret(WEAK).preview(""), "… (12 characters)");
        assert_eq!(Secret(b"ghp_short").preview("ghp_"), "… (9 characters)");
    }

    #[test]
    fn debug_output_holds_no_value() {
        assert_eq!(format!("{:?}", Secret(WEAK)), "***");
    }

    #[test]
    fn the_stored_identity_is_too_short_to_search() {
        assert_eq!(Secret(WEAK).place().len(), "secret:".len() + 5);
    }
}
