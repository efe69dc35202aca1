//! What a token tells about itself offline: checksums, decodable parts, account numbers.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// Takes text with padding or without, and ignores stray bits at its end.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A check that a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// Six base62 digits of CRC-32 at the end of a classic GitHub or npm token.
    Crc32,
    /// Id of an AWS key: base32, the account inside.
    AwsKeyId,
    /// Three parts of base64url, the first a JSON object with `alg`.
    Jwt,
    /// Base64 of `user:password`.
    UserPassword,
    /// The value must look made by a machine.
    Random,
    /// The value is a password: only placeholders and everyday words are refused.
    Password,
    /// A value that a call or a command names as its password: lone words count, too.
    StatedPassword,
    /// A URL's password, with the user before it.
    UrlPassword,
}

/// The outcome of a [`Check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It can not be such a secret.
    Refused,
    /// Nothing to be said.
    Unchecked,
    /// It is well-formed.
    Valid(&'static str),
    /// It is shaped like one but its checksum is wrong: a typo, an example, or a newer format.
    Mismatch,
    /// It is well-formed and names its account.
    Account(u64),
}

/// Applies a check to a captured value.
pub(super) fn check(kind: Check, value: &[u8]) -> Verdict {
    match kind {
        Check::Crc32 => crc32(value),
        Check::AwsKeyId => aws_key_id(value),
        Check::Jwt => jwt(value),
        Check::UserPassword => user_password(value),
        Check::Random | Check::Password | Check::StatedPassword | Check::UrlPassword => {
            Verdict::Unchecked
        }
    }
}

/// GitHub, "Behind GitHub's new authentication token formats": prefix of four, 30 random base62
/// digits, then their CRC-32 in six.
fn crc32(value: &[u8]) -> Verdict {
    const PREFIX: usize = 4;
    const DIGITS: usize = 6;
    // Longer ones exist (server-to-server tokens grew) and are not of this form.
    if value.len() != 40 {
        return Verdict::Unchecked;
    }
    let (Some(body), Some(sum)) = (
        value.get(PREFIX..value.len() - DIGITS),
        value.get(value.len() - DIGITS..),
    ) else {
        return Verdict::Unchecked;
    };
    if base62(crc32fast::hash(body)).as_slice() == sum {
        Verdict::Valid("checksum-valid")
    } else {
        Verdict::Mismatch
    }
}

/// Writes a number as six base62 digits, `0-9A-Za-z`.
pub(super) fn base62(mut number: u32) -> [u8; 6] {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(number % 62).unwrap_or(0);
        *digit = ALPHABET.get(index).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

/// The sixteen characters after the prefix are base32; since 2019 they hold the account shifted by
/// seven bits.
fn aws_key_id(value: &[u8]) -> Verdict {
    let Some(body) = value.get(4..20) else {
        return Verdict::Unchecked;
    };
    let mut bits = 0_u128;
    for &byte in body {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            // 0, 1, 8 and 9 are no base32: no key that AWS ever made, but many a scanner's sample.
            _ => return Verdict::Mismatch,
        };
        bits = bits << 5 | u128::from(digit);
    }
    let head = u64::try_from(bits >> 32).unwrap_or(0);
    let account = (head & 0x7fff_ffff_ff80) >> 7;
    if account == 0 || account > 999_999_999_999 {
        Verdict::Valid("well-formed")
    } else {
        Verdict::Account(account)
    }
}

fn jwt(value: &[u8]) -> Verdict {
    let mut parts = value.split(|&byte| byte == b'.');
    let (Some(header), Some(payload)) = (parts.next(), parts.next()) else {
        return Verdict::Refused;
    };
    let object = |part: &[u8]| {
        URL_SAFE.decode(part).ok().and_then(|json| {
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&json).ok()
        })
    };
    match (object(header), object(payload)) {
        (Some(header), _) if !header.contains_key("alg") && !header.contains_key("enc") => {
            Verdict::Refused
        }
        (Some(_), Some(_)) => Verdict::Valid("decodes"),
        (Some(_), None) => Verdict::Unchecked,
        // Cut-off samples in documents do not decode; the contract's own rule took them.
        (None, _) => Verdict::Mismatch,
    }
}

fn user_password(value: &[u8]) -> Verdict {
    let Some(text) = decoded(value) else {
        return Verdict::Refused;
    };
    let Some(colon) = memchr::memchr(b':', &text) else {
        return Verdict::Refused;
    };
    let password = text.get(colon + 1..).unwrap_or_default();
    let is_text = text
        .iter()
        .all(|&byte| byte == b'\n' || (b' '..0x7f).contains(&byte) || byte >= 0x80);
    if !is_text
        || password.len() < 3
        || super::placeholder::is_placeholder(password)
        || super::placeholder::is_trivial(password)
    {
        return Verdict::Refused;
    }
    Verdict::Valid("decodes")
}

/// Decodes base64 of either alphabet.
pub(super) fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    STANDARD
        .decode(value)
        .or_else(|_| URL_SAFE.decode(value))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_recomputed() {
        let body = super::super::samples::filled("{base62:30}", "body");
        let sum = base62(crc32fast::hash(body.as_bytes()));
        let token = format!("ghp_{body}{}", String::from_utf8_lossy(&sum));
        assert_eq!(
            check(Check::Crc32, token.as_bytes()),
            Verdict::Valid("checksum-valid")
        );
        let wrong = format!("ghp_{body}000000");
        assert_eq!(check(Check::Crc32, wrong.as_bytes()), Verdict::Mismatch);
    }

    #[test]
    fn an_aws_key_names_its_account() {
        // The key id of AWS's own documents on `get-access-key-info`, put together here.
        let id = ["ASIA", "QNZGKIQY", "56JQ7WML"].concat();
        assert_eq!(
            check(Check::AwsKeyId, id.as_bytes()),
            Verdict::Account(29_608_264_753)
        );
        assert_eq!(
            check(Check::AwsKeyId, b"AKIA0000000000000189"),
            Verdict::Mismatch
        );
    }

    #[test]
    fn a_jwt_needs_a_header_with_an_algorithm() {
        let part = |json: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
        let good = format!(
            "{}.{}.{}",
            part(r#"{"alg":"HS256"}"#),
            part(r#"{"sub":"1"}"#),
            "c2lnbmF0dXJl"
        );
        assert_eq!(
            check(Check::Jwt, good.as_bytes()),
            Verdict::Valid("decodes")
        );
        let bad = format!(
            "{}.{}.{}",
            part(r#"{"foo":"bar"}"#),
            part(r#"{"sub":"1"}"#),
            "c2lnbmF0dXJl"
        );
        assert_eq!(check(Check::Jwt, bad.as_bytes()), Verdict::Refused);
    }

    #[test]
    fn docker_auth_must_decode_to_user_and_password() {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        assert_eq!(
            check(Check::UserPassword, encode("bob:hunter2horse").as_bytes()),
            Verdict::Valid("decodes")
        );
        assert_eq!(
            check(Check::UserPassword, encode("no colon in here").as_bytes()),
            Verdict::Refused
        );
    }
}
