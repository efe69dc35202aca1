//! Makes texts that look like secrets when tests run, so that the repository holds none.

#![expect(
    clippy::string_slice,
    reason = "the texts are ASCII and made by the tests"
)]

use base64::Engine as _;

/// Fills a template: `{hex:32}` with 32 random hex digits and so on; the seed decides which.
pub(super) fn filled(template: &str, seed: &str) -> String {
    let mut state = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 40).unwrap()
    };
    let mut out = String::new();
    let mut rest = template;
    // The innermost braces are the field: some tokens have braces of their own.
    while let Some(close) = rest.find('}') {
        let Some(open) = rest[..close].rfind('{') else {
            out.push_str(&rest[..=close]);
            rest = &rest[close + 1..];
            continue;
        };
        let field = &rest[open + 1..close];
        out.push_str(&rest[..open]);
        rest = &rest[close + 1..];
        match field {
            "uuid" => {
                for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
                    out.push_str(if index > 0 { "-" } else { "" });
                    (0..length)
                        .for_each(|_| out.push(char::from(b"0123456789abcdef"[next() % 16])));
                }
            }
            "b64pair" => {
                let password: String = (0..14)
                    .map(|_| char::from(b"abcdefghkmnpqrstuvwxyz23456789"[next() % 30]))
                    .collect();
                out.push_str(
                    &base64::engine::general_purpose::STANDARD.encode(format!("svc:{password}")),
                );
            }
            "jwt" => {
                let part =
                    |json: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
                out.push_str(&format!(
                    "{}.{}.",
                    part(r#"{"alg":"HS256","typ":"JWT"}"#),
                    part(r#"{"sub":"4711","role":"svc"}"#)
                ));
                (0..43).for_each(|_| {
                    out.push(char::from(
                        b"abcdefghijkmnpqrstuvwxyzABCDEFGHIJKLMNP0123456789_-"[next() % 50],
                    ))
                });
            }
            _ => {
                let Some((kind, length)) = field.split_once(':').and_then(|(kind, length)| {
                    Some((alphabet(kind)?, length.parse::<usize>().ok()?))
                }) else {
                    out.push_str(&format!("{{{field}}}"));
                    continue;
                };
                let text: String = (0..length)
                    .map(|_| char::from(kind[next() % kind.len()]))
                    .collect();
                out.push_str(&text);
            }
        }
    }
    out.push_str(rest);
    out
}

fn alphabet(kind: &str) -> Option<&'static [u8]> {
    Some(match kind {
        "hex" => b"0123456789abcdef",
        "hexup" => b"0123456789ABCDEF",
        "digits" => b"0123456789",
        "base62" => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "base32lower" => b"abcdefghijklmnopqrstuvwxyz234567",
        "bech32" => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
        "uppernum" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "lowernum" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "letters" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "django" => b"abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)",
        _ => return None,
    })
}
