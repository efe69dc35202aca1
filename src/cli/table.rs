//! Renders a scan for people: findings by severity with `file:line`, then what was and was not
//! looked at.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::domain::{Finding, Scan, ScannerRecord, ScannerStatus, Severity, SeverityCounts};

/// Makes text of others safe to print: control characters, which could steer the terminal, and
/// marks that reorder text become visible escapes.
pub(super) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(steers) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| {
            if steers(c) {
                c.escape_unicode().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

const fn style(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Critical | Severity::High => AnsiColor::Red,
        Severity::Medium => AnsiColor::Yellow,
        Severity::Low => AnsiColor::Blue,
        Severity::Info => return Style::new().dimmed(),
    };
    let style = Style::new().fg_color(Some(anstyle::Color::Ansi(colour)));
    match severity {
        Severity::Critical => style.bold(),
        _ => style,
    }
}

/// Renders everything. Colour codes are always there; the stream takes them out where they do not
/// belong.
pub(super) fn render(scan: &Scan, findings: &[Finding]) -> String {
    let mut text = String::new();
    let width = findings
        .iter()
        .map(|finding| place(finding).chars().count())
        .max()
        .unwrap_or(0)
        .min(60);
    for finding in findings {
        // Writing to a String cannot fail.
        let _written = line(&mut text, finding, width).is_ok();
    }
    if !findings.is_empty() {
        text.push('\n');
    }
    let counts: SeverityCounts = findings.iter().map(|finding| finding.severity).collect();
    let _written = footer(&mut text, scan, &counts).is_ok();
    text
}

fn place(finding: &Finding) -> String {
    let path = finding
        .file_path
        .as_deref()
        .filter(|path| !path.is_empty())
        .unwrap_or("-");
    match finding.line_start {
        Some(line) => format!("{}:{line}", printable(path)),
        None => printable(path),
    }
}

fn line(text: &mut String, finding: &Finding, width: usize) -> std::fmt::Result {
    let style = style(finding.severity);
    let name = finding.severity.as_str().to_uppercase();
    write!(
        text,
        "{style}{name:<8}{style:#}  {:<width$}  {}",
        place(finding),
        printable(&finding.title)
    )?;
    if let Some(rule) = &finding.rule_id {
        let dim = Style::new().dimmed();
        write!(text, "  {dim}{}{dim:#}", printable(rule))?;
    }
    if let Some(commit) = finding
        .metadata
        .get("commit")
        .and_then(|commit| commit.as_str())
    {
        write!(
            text,
            "  in commit {}",
            printable(commit.get(..10).unwrap_or(commit))
        )?;
    }
    text.push('\n');
    Ok(())
}

fn footer(text: &mut String, scan: &Scan, counts: &SeverityCounts) -> std::fmt::Result {
    let by_severity: Vec<_> = Severity::DESCENDING
        .into_iter()
        .filter(|severity| counts.of(*severity) > 0)
        .map(|severity| format!("{} {severity}", counts.of(severity)))
        .collect();
    match counts.total() {
        0 => writeln!(text, "No findings.")?,
        1 => writeln!(text, "1 finding: {}", by_severity.join(", "))?,
        total => writeln!(text, "{total} findings: {}", by_severity.join(", "))?,
    }
    if let Some(score) = scan.risk_score {
        writeln!(text, "Risk score {score:.1} of 100")?;
    }
    writeln!(text)?;
    for record in &scan.scanners {
        scanner(text, record)?;
    }
    Ok(())
}

fn scanner(text: &mut String, record: &ScannerRecord) -> std::fmt::Result {
    let reason = printable(record.reason.as_deref().unwrap_or("unknown reason"));
    match record.status {
        ScannerStatus::Completed => {
            let seen = record.coverage.files_seen;
            let noun = if seen == 1 { "file" } else { "files" };
            write!(text, "  ran      {}: {seen} {noun}", record.scanner)?;
            let skipped: Vec<_> = record
                .coverage
                .skipped
                .iter()
                .map(|(why, count)| format!("{count} {why}"))
                .collect();
            if !skipped.is_empty() {
                write!(text, "; passed over: {}", skipped.join(", "))?;
            }
            writeln!(text)
        }
        ScannerStatus::Failed => {
            let style = style(Severity::High);
            writeln!(
                text,
                "  {style}FAILED{style:#}   {}: {reason}",
                record.scanner
            )
        }
        ScannerStatus::Skipped => {
            write!(text, "  not run  {}: {reason}", record.scanner)?;
            match &record.install_hint {
                Some(hint) => writeln!(text, " ({hint})"),
                None => writeln!(text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[31mb\nc\u{202e}d"),
            "a\\u{1b}[31mb\\u{a}c\\u{202e}d"
        );
        assert_eq!(printable("naïve 漢字"), "naïve 漢字");
    }
}
