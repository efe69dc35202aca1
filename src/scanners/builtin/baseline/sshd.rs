//! Which settings of the SSH daemon are in force, as `sshd_config(5)` has it.

use std::collections::{BTreeMap, BTreeSet};

/// How deep files may include files; the daemon's own limit.
const DEEPEST_INCLUDE: usize = 16;

/// A setting in force for every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The file that makes it, relative to the root.
    pub(super) file: String,
    pub(super) value: String,
}

/// The settings outside of `Match` blocks, by lower-case keyword. The first one counts.
pub(super) type Settings = BTreeMap<String, Setting>;

/// Reads `main` and what it includes. `files` are texts by path relative to the root.
pub(super) fn settings(files: &BTreeMap<String, String>, main: &str) -> Settings {
    let mut reader = Reader {
        files,
        read: BTreeSet::new(),
        settings: Settings::new(),
    };
    reader.read(main, 0);
    reader.settings
}

struct Reader<'a> {
    files: &'a BTreeMap<String, String>,
    /// Reading a file again would add nothing, since the first value counts.
    read: BTreeSet<&'a str>,
    settings: Settings,
}

impl Reader<'_> {
    fn read(&mut self, file: &str, depth: usize) {
        let Some((file, text)) = self.files.get_key_value(file) else {
            return;
        };
        if !self.read.insert(file) {
            return;
        }
        for line in text.lines() {
            let Some((keyword, value)) = split(line) else {
                continue;
            };
            match keyword.as_str() {
                // The rest of this file is for some connections only.
                "match" => return,
                "include" if depth < DEEPEST_INCLUDE => {
                    for pattern in value.split_whitespace() {
                        for included in self.files.keys().filter(|name| is_included(pattern, name))
                        {
                            self.read(included, depth + 1);
                        }
                    }
                }
                "include" => {}
                _ => {
                    let file = file.to_owned();
                    self.settings
                        .entry(keyword)
                        .or_insert_with(|| Setting { file, value });
                }
            }
        }
    }
}

/// Splits `Keyword value`, `Keyword=value` and `Keyword "value"`.
fn split(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (keyword, rest) = line.split_once(|c: char| c.is_whitespace() || c == '=')?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    let value = rest
        .split(" #")
        .next()
        .unwrap_or(rest)
        .trim()
        .trim_matches('"');
    (!value.is_empty()).then(|| (keyword.to_ascii_lowercase(), value.to_owned()))
}

/// Tells whether a pattern of `Include`, absolute or below `/etc/ssh`, names a file.
fn is_included(pattern: &str, file: &str) -> bool {
    let pattern = pattern.trim_matches('"');
    let absolute = match pattern.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("etc/ssh/{pattern}"),
    };
    matches(absolute.as_bytes(), file.as_bytes())
}

/// Matches `*` and `?`, neither of which stands for `/`. Takes time in proportion to the product
/// of the lengths, at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while let Some(&letter) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&expected) if expected == letter || (expected == b'?' && letter != b'/') => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) if text.get(from) != Some(&b'/') => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                _ => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        let files = files
            .iter()
            .map(|(name, text)| (format!("etc/ssh/{name}"), (*text).to_owned()));
        settings(&files.collect(), "etc/ssh/sshd_config")
            .into_iter()
            .map(|(keyword, setting)| (keyword, setting.value))
            .collect()
    }

    #[test]
    fn the_first_value_counts_and_keywords_have_no_case() {
        let found = read_all(&[(
            "sshd_config",
            "# A b\n  permitrootlogin no\nPermitRootLogin yes\nPort=22\nBanner \"x\"\nProtocol 2 # two\nUseDNS\n",
        )]);
        let expected = [
            ("permitrootlogin", "no"),
            ("port", "22"),
            ("banner", "x"),
            ("protocol", "2"),
        ]
        .map(|(keyword, value)| (keyword.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn match_blocks_do_not_count() {
        let found = read_all(&[
            ("sshd_config", "A 1\nMatch User x\nB 2\nInclude other\n"),
            ("other", "C 3"),
        ]);
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn included_files_count_where_they_are_included() {
        let files = [
            (
                "sshd_config",
                "Include /etc/ssh/sshd_config.d/*.conf\nA late\nD 4\nInclude sshd_config\n",
            ),
            ("sshd_config.d/1.conf", "A early\nMatch all\nD 5\n"),
            ("sshd_config.d/2.conf", "B 2\n"),
            ("sshd_config.d/3.off", "C 3\n"),
            ("sshd_config.d/x/4.conf", "C 3\n"),
        ];
        let expected = [("a", "early"), ("b", "2"), ("d", "4")]
            .map(|(keyword, value)| (keyword.to_owned(), value.to_owned()));
        assert_eq!(read_all(&files), BTreeMap::from(expected));
    }

    #[test]
    fn files_that_include_each_other_are_read_once() {
        let names: Vec<String> = (0..50).map(|file| format!("{file}.conf")).collect();
        let mut files: Vec<(&str, &str)> = names
            .iter()
            .map(|name| (name.as_str(), "Include *.conf\nA 1\n"))
            .collect();
        files.push(("sshd_config", "Include *.conf\n"));
        assert_eq!(read_all(&files)["a"], "1");
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "a/c", false),
            ("*/c", "a/c", true),
            ("a?c", "abc", true),
            ("a", "ab", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaa", false),
            ("**", "x", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
