//! The one list of what changes from run to run.

use regex::Regex;

/// Replaces ids and times by their kinds.
pub fn filtered(text: &str) -> String {
    let kinds = [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[id]",
        ),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?", "[time]"),
        (r#""duration_ms":\d+"#, r#""duration_ms":[ms]"#),
        (r#""duration_s": \d+\.\d+"#, r#""duration_s": [s]"#),
    ];
    kinds.iter().fold(text.to_owned(), |text, (pattern, kind)| {
        Regex::new(pattern)
            .unwrap()
            .replace_all(&text, *kind)
            .into_owned()
    })
}

/// Asserts that an object's text is the contract's, followed by nothing but fields of our own.
#[track_caller]
pub fn assert_extends(ours: &str, contract: &str) {
    let ours = filtered(ours);
    let open = filtered(contract);
    let open = open
        .strip_suffix('}')
        .expect("the contract shows an object");
    let rest = ours.strip_prefix(open);
    assert!(
        rest.is_some_and(|rest| rest == "}" || rest.starts_with(",\"")),
        "\n    ours: {ours}\ncontract: {open}"
    );
}
