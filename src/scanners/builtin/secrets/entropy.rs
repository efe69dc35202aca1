//! How random a text looks: the measures behind every judgement on a candidate secret.

/// Letters that follow each letter often in English prose and in identifiers: the 150 commonest
/// pairs, which make up 82 % of the pairs in words and 22 % of those in random letters.
const COMMON_PAIRS: [&[u8]; 26] = [
    b"bcdgilmnprst",
    b"aelu",
    b"aehklot",
    b"aeio",
    b"acdeflmnprstvx",
    b"aio",
    b"e",
    b"aeio",
    b"abcdefglmnorst",
    b"",
    b"e",
    b"aeilostuy",
    b"aeiop",
    b"acdegiost",
    b"cdlmnoprstuw",
    b"aeloprt",
    b"u",
    b"adeimnorsty",
    b"cehiopstu",
    b"aehiorstuy",
    b"elmnprst",
    b"ae",
    b"i",
    b"t",
    b"p",
    b"",
];

/// Returns the Shannon entropy of the bytes, in bits per byte; 0 for the empty text.
pub(super) fn shannon(bytes: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    let bytes = bytes.get(..4096).unwrap_or(bytes);
    for &byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = f32::from(u16::try_from(bytes.len()).unwrap_or(u16::MAX).max(1));
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f32::from(count) / total;
            -share * share.log2()
        })
        .sum()
}

/// Returns the share of neighbouring letters that are a common pair, 0 to 1; `None` when there are
/// fewer than three pairs, which says nothing.
pub(super) fn wordlike(bytes: &[u8]) -> Option<f32> {
    let mut pairs = 0_u16;
    let mut common = 0_u16;
    for pair in bytes.get(..1024).unwrap_or(bytes).windows(2) {
        let &[first, second] = pair else { continue };
        if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() {
            pairs += 1;
            let row = usize::from(first.to_ascii_lowercase() - b'a');
            let followers = COMMON_PAIRS.get(row).copied().unwrap_or_default();
            if followers.contains(&second.to_ascii_lowercase()) {
                common += 1;
            }
        }
    }
    (pairs >= 3).then(|| f32::from(common) / f32::from(pairs))
}

/// What a text is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Makeup {
    pub(super) length: usize,
    pub(super) digits: usize,
    pub(super) lower: usize,
    pub(super) upper: usize,
    pub(super) symbols: usize,
    pub(super) spaces: usize,
    pub(super) foreign: usize,
    pub(super) hex: usize,
}

impl Makeup {
    /// Counts the kinds of bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut makeup = Self {
            length: bytes.len(),
            ..Self::default()
        };
        for &byte in bytes {
            makeup.hex += usize::from(byte.is_ascii_hexdigit());
            match byte {
                b'0'..=b'9' => makeup.digits += 1,
                b'a'..=b'z' => makeup.lower += 1,
                b'A'..=b'Z' => makeup.upper += 1,
                b' ' | b'\t' => makeup.spaces += 1,
                0x80.. => makeup.foreign += 1,
                _ => makeup.symbols += 1,
            }
        }
        makeup
    }

    /// Counts ASCII letters.
    pub(super) const fn letters(&self) -> usize {
        self.lower + self.upper
    }

    /// Counts the kinds present among digits, lower case, upper case and symbols.
    pub(super) fn kinds(&self) -> usize {
        usize::from(self.digits > 0)
            + usize::from(self.lower > 0)
            + usize::from(self.upper > 0)
            + usize::from(self.symbols > 0)
    }
}

/// Returns the share of bytes that belong to words: runs of at least three letters, split where
/// camel case splits them, that read like a language.
pub(super) fn share_of_words(bytes: &[u8]) -> f32 {
    let mut covered = 0_usize;
    let mut start = 0;
    for end in 1..=bytes.len() {
        let previous = bytes.get(end - 1).copied().unwrap_or(0);
        let next = bytes.get(end).copied();
        let splits = next.is_none_or(|next| {
            next.is_ascii_alphabetic() != previous.is_ascii_alphabetic()
                || (previous.is_ascii_lowercase() && next.is_ascii_uppercase())
        });
        if !splits {
            continue;
        }
        let run = bytes.get(start..end).unwrap_or_default();
        let is_word = run.len() >= 3
            && run.first().is_some_and(u8::is_ascii_alphabetic)
            && wordlike(run).map_or(run.len() == 3, |share| share >= 0.6);
        if is_word && has_vowel(run) {
            covered += run.len();
        }
        start = end;
    }
    let covered = f32::from(u16::try_from(covered).unwrap_or(u16::MAX));
    covered / f32::from(u16::try_from(bytes.len()).unwrap_or(u16::MAX).max(1))
}

fn has_vowel(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| b"aeiouyAEIOUY".contains(byte))
}

/// Tells whether a text of at least `shortest` bytes looks made by a machine: no words, no shape
/// of an identifier, both letters and digits (or letters that no language would write).
pub(super) fn is_random(bytes: &[u8], shortest: usize) -> bool {
    let makeup = Makeup::of(bytes);
    if makeup.length < shortest || makeup.spaces > 0 || makeup.foreign > 0 {
        return false;
    }
    let entropy = shannon(bytes);
    if makeup.hex == makeup.length {
        return makeup.digits > 0 && makeup.letters() > 0 && entropy >= 2.8;
    }
    // Sixteen different random characters have 4 bits; repeats cost some of that.
    let least = match makeup.length {
        0..12 => 2.7,
        12..20 => 3.0,
        _ => 3.4,
    };
    if entropy < least {
        return false;
    }
    if makeup.digits == 0 {
        return makeup.length >= 16
            && makeup.lower > 0
            && makeup.upper > 0
            && makeup.symbols * 5 <= makeup.length
            && wordlike(bytes).is_some_and(|share| share < 0.42);
    }
    if makeup.letters() == 0 {
        return false;
    }
    let is_long = makeup.length >= 32;
    let words = share_of_words(bytes);
    words < if is_long { 0.5 } else { 0.42 }
        && wordlike(bytes).is_none_or(|share| share < if is_long { 0.6 } else { 0.66 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_grows_with_variety() {
        assert!(shannon(b"aaaaaaaa") < 0.01);
        assert!((shannon(b"abcdefgh") - 3.0).abs() < 0.01);
        assert!(shannon(b"") < 0.01);
    }

    #[test]
    fn identifiers_are_not_random() {
        for text in [
            "getCurrentAccessTokenValue",
            "some_very_long_type_name_v2",
            "application/vnd.oauth2.token.v1",
            "ResourceManagerServiceClient3",
            "AUTHORIZATION_HEADER_NAME_2",
            "arn:aws:iam::123456789012:role/deployment-role",
        ] {
            assert!(!is_random(text.as_bytes(), 12), "{text}");
        }
    }

    #[test]
    fn machine_made_text_is_random() {
        for seed in ["first", "second", "third", "fourth", "fifth"] {
            let text = super::super::samples::filled("{base62:32}", seed);
            assert!(is_random(text.as_bytes(), 16), "{text}");
            let hex = super::super::samples::filled("{hex:40}", seed);
            assert!(is_random(hex.as_bytes(), 16), "{hex}");
        }
    }
}
