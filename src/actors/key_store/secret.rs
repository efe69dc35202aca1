//! Byte formats of API keys and event tokens (contract/auth.md 2.2 and 6.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ctutils::CtEq;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Compares two secrets; time depends on their lengths only.
pub(super) fn same(a: &str, b: &str) -> bool {
    // Digests first: a comparison of unequal lengths must not end early either.
    let (a, b) = (Sha256::digest(a.as_bytes()), Sha256::digest(b.as_bytes()));
    a.as_slice().ct_eq(b.as_slice()).into()
}

/// Returns the id inside a database key: `ssk_` + ten characters + `_` + anything.
pub(super) fn key_id(key: &str) -> Option<&str> {
    let (id, _secret) = key.strip_prefix("ssk_")?.split_once('_')?;
    (id.chars().count() == 10).then_some(id)
}

/// Checks a key against its stored form: hex salt, `$`, hex SHA-256 of salt and key. A malformed
/// stored form matches nothing.
pub(super) fn matches(stored: &str, key: &str) -> bool {
    let Some((salt, digest)) = stored.split_once('$') else {
        return false;
    };
    let Some(salt) = unhex(salt) else {
        return false;
    };
    let hash = Sha256::new()
        .chain_update(salt)
        .chain_update(key.as_bytes())
        .finalize();
    hash.len() * 2 == digest.len() && same(&hex(hash.as_slice()), &digest.to_ascii_lowercase())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| {
            text.get(at..at + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a token says, once its signature is checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenBody {
    pub(super) scan_id: String,
    pub(super) key_id: String,
    pub(super) expires_at: i64,
}

/// The key that signs event tokens.
#[derive(Clone)]
pub(super) struct TokenKey(Vec<u8>);

impl TokenKey {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(secret.to_vec())
    }

    /// Makes a key that is forgotten with the process.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn ephemeral() -> Result<Self, getrandom::Error> {
        let mut secret = vec![0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self(secret))
    }

    pub(super) fn mint(&self, body: &TokenBody) -> String {
        let text = format!("{}|{}|{}", body.scan_id, body.key_id, body.expires_at);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(&text));
        URL_SAFE_NO_PAD.encode(format!("{text}|{signature}"))
    }

    /// Decodes strictly: unpadded base64url only, four parts, the signature over exactly them.
    pub(super) fn open(&self, token: &str) -> Option<TokenBody> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (signed, signature) = text.rsplit_once('|')?;
        if !same(&URL_SAFE_NO_PAD.encode(self.sign(signed)), signature) {
            return None;
        }
        let mut parts = signed.split('|');
        let (scan_id, key_id, expires_at) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(TokenBody {
            scan_id: scan_id.to_owned(),
            key_id: key_id.to_owned(),
            expires_at: expires_at.parse().ok()?,
        })
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        // HMAC takes keys of every length; the other arm cannot be reached, and an empty signature
        // would match no minted one.
        Hmac::<Sha256>::new_from_slice(&self.0)
            .map(|mac| {
                mac.chain_update(text.as_bytes())
                    .finalize()
                    .into_bytes()
                    .to_vec()
            })
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: &str = "11111111-2222-3333-4444-555555555555";

    #[test]
    fn keys_parse_as_the_contract_says() {
        let table = [
            ("ssk_Ab3dE5gH1J_x", Some("Ab3dE5gH1J")),
            ("ssk_Ab3dE5gH1J_", Some("Ab3dE5gH1J")),
            ("ssk_Ab3dE5gH1J", None),
            ("ssk_short_x", None),
            ("SSK_Ab3dE5gH1J_x", None),
            ("ssk_Ab3d_5gH1J_x", None),
            ("ssk_Ab3dE5gH1JJ_x", None),
        ];
        for (key, id) in table {
            assert_eq!(key_id(key), id, "{key}");
        }
    }

    #[test]
    fn the_stored_form_is_the_references() {
        let key = ["ssk_Ab3dE5gH1J_", "abcdefghijklmnopqrstuvwxyz", "ABCDEF"].concat();
        let stored = "000102030405060708090a0b0c0d0e0f$\
                      94c58949f8a533e1aa7427977fdcb18f37b737cf0e4070e86e5f038f6c039d40";
        assert!(matches(stored, &key));
        assert!(!matches(stored, &format!("{key}x")));
        for malformed in [
            "",
            "$",
            "zz$00",
            "0$0",
            "é$é",
            "000102030405060708090a0b0c0d0e0f$",
        ] {
            assert!(!matches(malformed, &key), "{malformed}");
        }
    }

    #[test]
    fn tokens_have_the_references_bytes() {
        let key = TokenKey::new(b"test-secret-0123456789abcdef");
        let vectors = [
            (
                "Ab3dE5gH1J",
                "MTExMTExMTEtMjIyMi0zMzMzLTQ0NDQtNTU1NTU1NTU1NTU1fEFiM2RFNWdIMUp8MTgwMDAwMDMwMHxvWmQ1U3RHNVFQUEY5WkRSV2lIRnZzeDBRWVpwSEFHY3pYcXBfcjNITHp3",
            ),
            (
                "env",
                "MTExMTExMTEtMjIyMi0zMzMzLTQ0NDQtNTU1NTU1NTU1NTU1fGVudnwxODAwMDAwMzAwfHp3cGpKbWJObFQtUFVDUGFKRmpZOW9CU3QwMldiNGZxOXZQeGlzNWVPT1E",
            ),
            (
                "dev",
                "MTExMTExMTEtMjIyMi0zMzMzLTQ0NDQtNTU1NTU1NTU1NTU1fGRldnwxODAwMDAwMzAwfFJPdkFvdlJEN3JNaVZ5Yk1PaHlSaHVHWXhvTnk3NDZLdVhyX1REbWhYMzA",
            ),
        ];
        for (id, token) in vectors {
            let body = TokenBody {
                scan_id: SCAN.to_owned(),
                key_id: id.to_owned(),
                expires_at: 1_800_000_300,
            };
            assert_eq!(key.mint(&body), token);
            assert_eq!(key.open(token), Some(body));
        }
    }

    #[test]
    fn a_changed_token_opens_nothing() {
        let key = TokenKey::new(b"k");
        let body = TokenBody {
            scan_id: "s".into(),
            key_id: "dev".into(),
            expires_at: 5,
        };
        let token = key.mint(&body);
        assert!(TokenKey::new(b"other").open(&token).is_none());
        for changed in [
            format!("{token}="),
            format!(" {token}"),
            format!("{token}!"),
            token.chars().skip(1).collect(),
        ] {
            assert_eq!(key.open(&changed), None, "{changed}");
        }
        let five_parts = TokenBody {
            scan_id: "s|x".into(),
            ..body
        };
        assert_eq!(key.open(&key.mint(&five_parts)), None);
    }
}
