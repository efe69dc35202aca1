//! A Dockerfile as the builder reads it: logical instructions instead of physical lines.

use std::sync::LazyLock;

use regex::Regex;

/// One instruction, with continuation lines joined and comments taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// In upper case. The trigger of an `ONBUILD`, not `ONBUILD` itself.
    pub(super) keyword: String,
    /// Whether it runs in images built from this one instead of here.
    pub(super) is_onbuild: bool,
    /// What follows the keyword.
    pub(super) arguments: String,
    /// Physical line of the keyword, from 1.
    pub(super) line: u32,
    /// Where in `arguments` each further physical line starts.
    breaks: Vec<(usize, u32)>,
    /// Lines of heredocs, if a shell runs them.
    pub(super) script: Vec<(u32, String)>,
}

impl Instruction {
    /// Returns the physical line of a position in the arguments.
    pub(super) fn line_at(&self, offset: usize) -> u32 {
        let started = self.breaks.iter().rev().find(|(start, _)| *start <= offset);
        started.map_or(self.line, |(_, line)| *line)
    }

    /// Returns the instruction on one line with single spaces.
    pub(super) fn normalised(&self) -> String {
        let mut text = self.keyword.clone();
        for word in self.arguments.split_whitespace() {
            text.push(' ');
            text.push_str(word);
        }
        text
    }

    /// Returns the leading `--flag=value` words and what comes after them.
    pub(super) fn flags_and_rest(&self) -> (Vec<&str>, &str) {
        let mut rest = self.arguments.trim_start();
        let mut flags = Vec::new();
        while rest.starts_with("--") {
            let (flag, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            flags.push(flag);
            rest = after.trim_start();
        }
        (flags, rest.trim_end())
    }
}

/// Splits a file into instructions. Never fails: what is not understood is an instruction with an
/// unknown keyword.
pub(super) fn instructions(text: &str) -> Vec<Instruction> {
    let lines: Vec<&str> = text
        .split('\n')
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    let escape = escape_character(&lines);
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(instruction) = read_instruction(&lines, &mut next, escape) {
        found.push(instruction);
    }
    found
}

/// Reads the parser directives, which only count above everything else.
fn escape_character(lines: &[&str]) -> char {
    for line in lines {
        let Some(comment) = line.trim_start().strip_prefix('#') else {
            break;
        };
        let Some((key, value)) = comment.split_once('=') else {
            break;
        };
        if key.trim().eq_ignore_ascii_case("escape") {
            return if value.trim() == "`" { '`' } else { '\\' };
        }
    }
    '\\'
}

fn is_comment_or_blank(line: &str) -> bool {
    let start = line.trim_start();
    start.is_empty() || start.starts_with('#')
}

fn read_instruction(lines: &[&str], next: &mut usize, escape: char) -> Option<Instruction> {
    while is_comment_or_blank(lines.get(*next)?) {
        *next += 1;
    }
    let start = *next;
    let (text, breaks) = join_lines(lines, next, escape, true);
    let (mut keyword, mut arguments) = split_keyword(&text);
    let is_onbuild = keyword.eq_ignore_ascii_case("ONBUILD");
    if is_onbuild {
        (keyword, arguments) = split_keyword(arguments);
    }
    // Both are slices of the same text, so the difference is where the arguments start in it.
    let offset = text.len() - arguments.len();
    let mut instruction = Instruction {
        keyword: keyword.to_ascii_uppercase(),
        is_onbuild,
        arguments: arguments.to_owned(),
        line: line_number(start),
        breaks: breaks
            .iter()
            .map(|&(at, line)| (at.saturating_sub(offset), line))
            .collect(),
        script: Vec::new(),
    };
    if matches!(instruction.keyword.as_str(), "RUN" | "COPY" | "ADD") {
        instruction.script = read_heredocs(&instruction, lines, next);
    }
    Some(instruction)
}

fn line_number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

fn split_keyword(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// Joins physical lines as long as they end in the escape character. Comments and, as the builder
/// still tolerates, blank lines in between do not end the instruction.
fn join_lines(
    lines: &[&str],
    next: &mut usize,
    escape: char,
    skips_blank: bool,
) -> (String, Vec<(usize, u32)>) {
    let mut text = String::new();
    let mut breaks = Vec::new();
    let mut is_first = true;
    while let Some(line) = lines.get(*next) {
        let index = *next;
        *next += 1;
        if !is_first {
            if skips_blank && is_comment_or_blank(line) {
                continue;
            }
            breaks.push((text.len(), line_number(index)));
        }
        is_first = false;
        let Some(continued) = line.trim_end().strip_suffix(escape) else {
            text.push_str(line);
            break;
        };
        text.push_str(continued);
    }
    (text, breaks)
}

/// Skips the bodies of the heredocs that an instruction opens, and returns their lines if a shell
/// runs them. A heredoc without an end is none: it must not hide the rest of the file.
fn read_heredocs(
    instruction: &Instruction,
    lines: &[&str],
    next: &mut usize,
) -> Vec<(u32, String)> {
    #[expect(clippy::expect_used, reason = "a constant, compiled in every test run")]
    static OPENING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:^|\s)\d*<<(-?)["']?([A-Za-z_][A-Za-z0-9_]*)["']?"#).expect("valid")
    });
    let (_, command) = instruction.flags_and_rest();
    let first = command.split_whitespace().next().unwrap_or_default();
    let is_script =
        instruction.keyword == "RUN" && (first.starts_with("<<") || super::shell::is_shell(first));
    let mut script = Vec::new();
    for opening in OPENING.captures_iter(&instruction.arguments) {
        let is_indented = opening.get(1).is_some_and(|dash| !dash.is_empty());
        let word = opening.get(2).map_or("", |word| word.as_str());
        let is_end =
            |line: &&str| *line == word || (is_indented && line.trim_start_matches('\t') == word);
        let rest = lines.get(*next..).unwrap_or_default();
        let Some(length) = rest.iter().position(is_end) else {
            continue;
        };
        let body = rest.get(..length).unwrap_or_default();
        let mut at = 0;
        while is_script && at < body.len() {
            let line = line_number(*next + at);
            let (text, _) = join_lines(body, &mut at, '\\', false);
            if !is_comment_or_blank(&text) {
                script.push((line, text));
            }
        }
        *next += length + 1;
    }
    script
}

/// One `KEY=value` of an `ENV` or `ARG`, quotes taken off, with its position in the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) offset: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// Splits the arguments of `ENV` or `ARG`. An `ENV` may also be the old `ENV KEY the whole rest`.
pub(super) fn pairs(instruction: &Instruction) -> Vec<Pair> {
    let words = quoted_words(&instruction.arguments);
    if instruction.keyword == "ENV"
        && let Some((offset, first)) = words.first()
        && !first.contains('=')
    {
        let (key, value) = split_keyword(instruction.arguments.trim());
        return vec![Pair {
            offset: *offset,
            key: key.to_owned(),
            value: value.trim().trim_matches(['"', '\'']).to_owned(),
        }];
    }
    let pair = |(offset, word): (usize, String)| {
        let (key, value) = word.split_once('=')?;
        Some(Pair {
            offset,
            key: key.to_owned(),
            value: value.to_owned(),
        })
    };
    words.into_iter().filter_map(pair).collect()
}

/// Splits at blanks outside of quotes, and takes quotes and backslashes off.
fn quoted_words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let mut word: Option<(usize, String)> = None;
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((offset, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let (_, letters) = word.get_or_insert_with(|| (offset, String::new()));
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None | Some('"'), '\\') => letters.extend(characters.next().map(|(_, next)| next)),
            _ => letters.push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(text: &str) -> Vec<(u32, String)> {
        instructions(text)
            .iter()
            .map(|i| (i.line, i.normalised()))
            .collect()
    }

    fn owned(expected: &[(u32, &str)]) -> Vec<(u32, String)> {
        expected
            .iter()
            .map(|(line, text)| (*line, (*text).to_owned()))
            .collect()
    }

    #[test]
    fn continuation_lines_are_joined_and_comments_left_out() {
        let text = "# syntax=docker/dockerfile:1\n\nfrom a\r\nRUN one \\\n  # not this\n\n  two \\  \n three\nUSER x";
        assert_eq!(
            brief(text),
            owned(&[(3, "FROM a"), (4, "RUN one two three"), (9, "USER x")])
        );
    }

    #[test]
    fn the_escape_directive_counts_at_the_top_only() {
        let text = "# escape=`\nFROM a\nRUN dir C:\\\nRUN x `\n y";
        assert_eq!(
            brief(text),
            owned(&[(2, "FROM a"), (3, "RUN dir C:\\"), (4, "RUN x y")])
        );
        let text = "FROM a\n# escape=`\nRUN x \\\n y";
        assert_eq!(brief(text), owned(&[(1, "FROM a"), (3, "RUN x y")]));
    }

    #[test]
    fn heredocs_are_no_instructions() {
        let text = "FROM a\nRUN <<EOF\n# note\none \\\n two\nEOF\nCOPY <<-'X' /etc/x\n\tUSER y\n\tX\nUSER z";
        let found = instructions(text);
        assert_eq!(found.len(), 4);
        assert_eq!(found[1].script, [(4, "one  two".to_owned())]);
        assert_eq!((found[2].line, found[2].script.len()), (7, 0));
        assert_eq!((found[3].line, found[3].arguments.as_str()), (10, "z"));
    }

    #[test]
    fn a_heredoc_without_an_end_hides_nothing() {
        assert_eq!(
            brief("RUN <<EOF\nUSER x"),
            owned(&[(1, "RUN <<EOF"), (2, "USER x")])
        );
        assert_eq!(brief("RUN cat <<<x\nx\nUSER y").len(), 3);
    }

    #[test]
    fn pairs_know_their_lines() {
        let found =
            instructions("ENV A=1 \\\n  B=\"two words\" \\\n  C=x\\ y\nENV D the rest\nARG E");
        let all: Vec<_> = found
            .iter()
            .flat_map(|i| {
                pairs(i)
                    .into_iter()
                    .map(|p| (i.line_at(p.offset), p.key, p.value))
            })
            .collect();
        let expected = [
            (1, "A", "1"),
            (2, "B", "two words"),
            (3, "C", "x y"),
            (4, "D", "the rest"),
        ]
        .map(|(line, key, value)| (line, key.to_owned(), value.to_owned()));
        assert_eq!(all, expected);
    }

    #[test]
    fn onbuild_shows_its_trigger() {
        let found = instructions("ONBUILD RUN x");
        assert_eq!(
            (found[0].keyword.as_str(), found[0].is_onbuild),
            ("RUN", true)
        );
    }
}
