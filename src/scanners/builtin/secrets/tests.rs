//! The engine as a whole.

#![expect(
    clippy::string_slice,
    reason = "the texts are ASCII and made by the tests"
)]

use super::*;

fn engine() -> Secrets {
    Secrets::new(&ScannerSettings::default()).unwrap()
}

/// Returns the rule ids found in a text under a name.
fn found(name: &str, text: &str) -> Vec<String> {
    examine(name, text.as_bytes(), 0..text.len())
        .into_iter()
        .filter_map(|finding| finding.rule_id)
        .collect()
}

fn examine(name: &str, bytes: &[u8], owned: std::ops::Range<usize>) -> Vec<RawFinding> {
    let entry = Entry {
        path: std::path::Path::new(name),
        relative: name,
        name: name.rsplit('/').next().unwrap(),
        is_directory: false,
        size: u64::try_from(bytes.len()).unwrap(),
    };
    let mut findings = Vec::new();
    let is_whole = owned == (0..bytes.len());
    engine().examine(
        &Piece {
            entry: &entry,
            bytes,
            owned: (owned.start, owned.end),
            first_line: 1,
            is_whole,
        },
        &mut findings,
    );
    findings
}

#[test]
fn every_rule_finds_its_sample_and_not_its_stump() {
    let rules = RuleSet::built_in().unwrap();
    let mut failures = Vec::new();
    for rule in &rules.rules {
        if rule.shape == rules::Shape::Engine {
            continue;
        }
        assert!(rule.regex().is_some(), "{} does not compile", rule.id);
        // Random text may look like words once in a while: most seeds must do.
        let hits = ["a1", "b2", "c3", "d4"]
            .iter()
            .filter(|seed| {
                let text = samples::filled(&rule.sample, seed);
                scan::scan(&rules, text.as_bytes(), 0..text.len(), FileClass::Code)
                    .iter()
                    .any(|hit| rules.rules[hit.rule].id == rule.id || hit.priority >= rule.priority)
            })
            .count();
        if hits < 3 {
            failures.push(format!("{} found {hits} of 4", rule.id));
        }
        let stump = rule.sample.split('{').next().unwrap_or("").to_owned();
        if scan::scan(&rules, stump.as_bytes(), 0..stump.len(), FileClass::Code)
            .iter()
            .any(|hit| rules.rules[hit.rule].id == rule.id)
            && rule.sample.contains('{')
        {
            failures.push(format!("{} finds its stump", rule.id));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn what_the_reference_missed_is_found() {
    let fill = |template: &str| samples::filled(template, "weakness");
    for (name, template, rule) in [
        (
            "a.py",
            "x = \"github_pat_{base62:82}\"",
            "github-fine-grained-token",
        ),
        ("a.py", "x = \"gho_{base62:36}\"", "github-oauth-token"),
        ("a.py", "x = \"ghu_{base62:36}\"", "github-user-token"),
        ("a.py", "x = \"ghr_{base62:76}\"", "github-refresh-token"),
        ("a.py", "x = \"glpat-{base62:20}\"", "gitlab-personal-token"),
        ("a.py", "x = \"npm_{base62:36}\"", "npm-token"),
        ("a.py", "x = \"sk_live_{base62:24}\"", "stripe-secret-key"),
        (
            "a.py",
            "x = \"SG.{base62:22}.{base62:43}\"",
            "sendgrid-api-key",
        ),
        ("a.py", "x = \"sk-{base62:48}\"", "openai-api-key"),
        (
            "a.json",
            "\"client_secret\": \"{base62:30}\"",
            "generic-secret",
        ),
        ("a.json", "\"password\": \"{base62:16}\"", "generic-secret"),
        ("a.yml", "password: auSoPPPAoFa2Em", "generic-secret"),
        ("a.ini", "password = hunter2horse", "generic-secret"),
        (
            "a.py",
            "x = \"ASIA{base32:16}\"",
            "aws-temporary-access-key",
        ),
        ("a.py", "HEROKU_API_KEY = \"{uuid}\"", "heroku-api-key"),
        (
            "a.py",
            "x = \"ghp_{base62:36}\"  # see example.com",
            "github-token",
        ),
        (
            "a.py",
            "x = \"ghp_{base62:36}\"  # TODO rotate ... $(",
            "github-token",
        ),
        (
            "contest_results/test_repo/mock/fixture.py",
            "x = \"ghp_{base62:36}\"",
            "github-token",
        ),
        ("poetry.lock", "x = \"ghp_{base62:36}\"", "github-token"),
        (
            "distribution/.env",
            "SERVICE_TOKEN={base62:22}",
            "env-file-secret",
        ),
        (
            ".github/.env.production",
            "DB_PASSWORD={base62:16}",
            "env-file-secret",
        ),
    ] {
        let text = fill(template);
        assert!(
            found(name, &text).contains(&format!("secrets/{rule}")),
            "{name}: {template}: {:?}",
            found(name, &text)
        );
    }
    for label in ["OPENSSH ", "ENCRYPTED ", "RSA ", ""] {
        let text = fill(&format!(
            "-----BEGIN {label}{}-----\n{{base62:64}}\n",
            "PRIVATE KEY"
        ));
        assert_eq!(found("key", &text).len(), 1, "{label}");
    }
    let long = format!(
        "{}{}",
        "x ".repeat(3000),
        fill("a='ghp_{base62:36}', b='glpat-{base62:20}'")
    );
    assert_eq!(found("a.js", &long).len(), 2);
}

#[test]
fn what_the_reference_reported_wrongly_is_not() {
    for (name, text) in [
        (".env", "FEATURE_AUTHORS=alice,bob"),
        (".env", "AUTHOR=someone-or-other"),
        (".env", "MONKEY=banana12345"),
        (".env", "KEYBOARD_LAYOUT=us-intl-12"),
        (
            "config.env.example",
            "API_KEY=your_api_key\nDB_PASSWORD=changeme\nSECRET=<secret>\nTOKEN=xxxxxxxxxx",
        ),
        ("a.ts", "const token: SomeVeryLongTypeName2 = x"),
        ("a.py", "token = self.get_current_access_token_value()"),
        ("a.html", "password=\"Enter your password\""),
        ("a.yml", "password: \"{{ vault_db_password }}\""),
        ("a.yml", "url: postgres://${USER}:${PASS}@db/x"),
        ("a.py", "url = 'postgres://user:password@localhost/x'"),
        (
            "a.py",
            "cache_key = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        ),
        (
            "a.css",
            "background: url(data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4)",
        ),
        ("a.py", "x = \"XAKIAABCDEFGHIJKLMNOPQ\""),
        ("a.py", "x = \"AKIAIOSFODNN7EXAMPLE\""),
        (
            "a.py",
            "password = 'password'\nsecret = 'secret'\npw = 'test123'",
        ),
    ] {
        assert_eq!(found(name, text), Vec::<String>::new(), "{name}: {text}");
    }
    let text = samples::filled("SERVICE_TOKEN={base62:22}", "once");
    assert_eq!(found("deploy/prod.env", &text), ["secrets/env-file-secret"]);
}

/// The walk gives big files in windows with 4 KiB behind and 64 KiB ahead of what they own.
#[test]
fn a_window_of_the_walk_finds_what_the_whole_file_gives() {
    let token = samples::filled("{base62:36}", "window");
    let pem = ["-----BEGIN RSA ", "PRIVATE KEY-----"].concat();
    let block = format!(
        "token = \"ghp_{token}\"\n{pem}\n{}\nkind: Secret\ndata:\n  any: {}\n---\n",
        samples::filled("{base62:64}", "body"),
        samples::filled("{b64pair}", "pair"),
    );
    let text = format!("{}{}", block, "# filler line\n".repeat(23)).repeat(200);
    let bytes = text.as_bytes();
    let whole = examine("a.yaml", bytes, 0..bytes.len()).len();
    let step = 10_007;
    let mut parts = 0;
    for start in (0..bytes.len()).step_by(step) {
        let end = bytes.len().min(start + step);
        let from = start.saturating_sub(4 * 1024);
        let to = bytes.len().min(end + 64 * 1024);
        parts += examine("a.yaml", &bytes[from..to], start - from..end - from).len();
    }
    assert!(whole >= 600, "{whole}");
    assert_eq!(parts, whole);
}

/// What identifies a finding, without its window.
fn essence(findings: &[RawFinding]) -> Vec<(Option<String>, Option<u32>, String)> {
    let mut all: Vec<_> = findings
        .iter()
        .map(|finding| {
            (
                finding.rule_id.clone(),
                finding.line_start,
                finding.subject.place.clone(),
            )
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn a_secret_is_nowhere_in_its_finding() {
    for template in [
        "t = \"ghp_{base62:36}\"",
        "password = \"{base62:14}\"",
        "postgres://svc:{base62:14}@db/x",
    ] {
        let text = samples::filled(template, "hide");
        let secret = text
            .trim_end_matches(['"', 'x', '/'])
            .rsplit(['"', ':'])
            .next()
            .unwrap()
            .split('@')
            .next()
            .unwrap()
            .to_owned();
        let findings = examine("a.py", text.as_bytes(), 0..text.len());
        assert_eq!(findings.len(), 1, "{template}");
        assert!(
            !format!("{findings:?}").contains(&secret[secret.len() - 8..]),
            "{template}"
        );
    }
}

#[test]
fn one_secret_on_one_line_is_reported_once_and_two_twice() {
    let one = samples::filled("github_token = \"ghp_{base62:36}\"", "one");
    assert_eq!(found("a.py", &one), ["secrets/github-token"]);
    let two = samples::filled("f('ghp_{base62:36}', 'glpat-{base62:20}')", "two");
    assert_eq!(found("a.py", &two).len(), 2);
}

#[test]
fn a_bad_rule_file_names_file_and_rule() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let rule = |pattern: &str, more: &str| {
        format!(
            "[[rule]]\nid = \"acme\"\nname = \"Acme Token\"\nseverity = \"high\"\nshape = \"token\"\nkeywords = [\"acme_\"]\npattern = '{pattern}'\n{more}"
        )
    };
    let load = |text: String| {
        std::fs::write(&path, text).unwrap();
        Secrets::new(&ScannerSettings {
            secret_rules: vec![path.clone()],
            ..ScannerSettings::default()
        })
    };
    for text in [rule("acme_[", ""), rule("", "")] {
        let error = load(text).unwrap_err().to_string();
        assert!(
            error.contains("mine.toml") && error.contains("acme"),
            "{error}"
        );
    }
    assert!(
        load(rule("acme_[0-9]{8}", "surprise = 1"))
            .unwrap_err()
            .to_string()
            .contains("mine.toml")
    );
    assert_eq!(
        load(rule("acme_[0-9]{8}", "")).unwrap().rule_count(),
        engine().rule_count() + 1
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Lines with and without secrets, in random order.
    fn text() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "[ -~]{0,120}",
            Just(samples::filled("password = \"{base62:16}\"", "line")),
            (0..400_usize).prop_map(|seed| {
                let rules = RuleSet::built_in().unwrap();
                samples::filled(&rules.rules[seed % rules.rules.len()].sample, "property")
            }),
        ];
        prop::collection::vec(line, 0..120).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000), from in 0..4000_usize) {
            let from = from.min(bytes.len());
            examine("a.yml", &bytes, from..bytes.len());
            examine(".netrc", &bytes, 0..bytes.len());
        }

        #[test]
        fn windows_find_what_the_whole_gives(text in text(), size in 1..5000_usize) {
            let bytes = text.as_bytes();
            let whole = examine("a.py", bytes, 0..bytes.len());
            let mut parts = Vec::new();
            let mut start = 0;
            while start < bytes.len() {
                let end = (start + size).min(bytes.len());
                let (from, to) = (start.saturating_sub(2 * scan::REACH), (end + 2 * scan::REACH).min(bytes.len()));
                let entry = Entry { path: std::path::Path::new("a.py"), relative: "a.py", name: "a.py", is_directory: false, size: 0 };
                let first_line = 1 + u32::try_from(memchr::memchr_iter(b'\n', &bytes[..from]).count()).unwrap();
                engine().examine(&Piece { entry: &entry, bytes: &bytes[from..to], owned: (start - from, end - from), first_line, is_whole: false }, &mut parts);
                start = end;
            }
            prop_assert_eq!(essence(&whole), essence(&parts));
        }
    }
}

#[test]
fn this_repository_holds_no_secret() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["src", "config", "benches"] {
        for entry in ignore::WalkBuilder::new(top.join(folder)).build().flatten() {
            let Ok(bytes) = std::fs::read(entry.path()) else {
                continue;
            };
            let name = entry
                .path()
                .strip_prefix(top)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let places: Vec<_> = examine(&name, &bytes, 0..bytes.len())
                .iter()
                .map(|finding| (finding.rule_id.clone(), finding.line_start))
                .collect();
            assert_eq!(places, [], "{name}");
            seen += 1;
        }
    }
    assert!(seen > 10);
}

#[test]
fn a_weak_password_in_a_query_is_found() {
    let text = format!(
        "SELECT * FROM users WHERE password = '{}';",
        "hunter2".repeat(2)
    );
    assert_eq!(found("db/report.sql", &text), ["secrets/generic-secret"]);
}

#[test]
fn what_foreign_rule_sets_show_as_secrets_is_found() {
    let fill = |template: &str| samples::filled(template, "foreign");
    for (name, template) in [
        ("a.txt", "myToken .= \"{base62:32}\""),
        ("a.mk", "MY_TOKEN :::= \"{base62:32}\""),
        ("a.yml", "my_token: |\n  {base62:32}"),
        ("a.yml", "my_token: >-\n  {base62:32}"),
        ("a.csv", "myToken,{base62:32},"),
        (
            "a.tf",
            "variable \"my_api_token\" {\n  type = string\n  default = \"{base62:40}\"\n}",
        ),
        ("a.txt", "(PW:{base62:10})"),
        ("a.txt", "id/pw: svc/{base62:10}"),
        ("a.txt", "pwd of svc is {base62:10}"),
        ("a.txt", "password for svc:{base62:10}"),
        ("a.txt", "user = svc\n// note\npassword = {letters:9}"),
        ("a.sh", "echo \"The password is '{base62:10}'\""),
        ("a.cs", "new NetworkCredential(\"svc\", \"{letters:14}\");"),
        ("a.md", "machine h.io login svc password {base62:10}"),
        ("a.txt", "curl -H \"Authorization: Token {hex:40}\""),
        (
            "a.txt",
            "curl --cacert ca.crt -u elastic:P@{base62:8}$1 https://x",
        ),
        ("a.txt", "curl -u developer:{base62:16}"),
        ("a.txt", "enable secret 5 {base62:12}"),
        (
            "a.txt",
            "jdbc:postgresql://db:5432/app?user=svc&pass{letters:0}word={base62:9}",
        ),
        ("a.txt", "Secret: Bearer AAAAAAAAAAAAAAAAAAAAA{base62:90}"),
        ("a.yaml", "kind: Secret\ndata:\n  any: {b64pair}\n"),
    ] {
        let text = fill(template);
        assert!(!found(name, &text).is_empty(), "{name}: {text}");
    }
}

#[test]
fn names_that_only_look_like_pairs_or_paths_are_quiet() {
    for (name, text) in [
        ("a.py", "\"AWS::IAM::AccessKey\": \"72c2d9dd90025459\""),
        (
            "constants.py",
            "become_pass=('ansible_become_password', 'ansible_become_pass')",
        ),
        ("a.md", "machine h login svc password pass1"),
        ("a.txt", "cvs://:pserver:anoncvs@cvs.example.net:/src"),
        ("a.py", "error = \"the password is 'wrong'\""),
        ("a.txt", "server->password = \"guestbox@\";"),
    ] {
        assert_eq!(found(name, text), Vec::<String>::new(), "{name}: {text}");
    }
}
