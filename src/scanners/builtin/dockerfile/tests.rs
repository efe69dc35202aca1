//! Each rule: what must match, and what must not.

use super::*;

fn found(text: &str) -> Vec<RawFinding> {
    let mut findings = Vec::new();
    check(text, "Dockerfile", &mut findings);
    findings
}

/// Ids without their prefix, and lines.
fn brief(text: &str) -> Vec<(String, Option<u32>)> {
    let id = |f: &RawFinding| f.rule_id.clone().unwrap().replace("dockerfile/", "");
    found(text).iter().map(|f| (id(f), f.line_start)).collect()
}

fn has(rule: &str, text: &str) -> bool {
    brief(text).iter().any(|(id, _)| id == rule)
}

/// Checks lines of a file that is otherwise in order.
fn table(rule: &str, must: &[&str], must_not: &[&str]) {
    for text in must {
        assert!(
            has(rule, &format!("FROM a:1\nUSER app\n{text}\n")),
            "{rule} must see: {text}"
        );
    }
    for text in must_not {
        assert!(
            !has(rule, &format!("FROM a:1\nUSER app\n{text}\n")),
            "{rule} must pass: {text}"
        );
    }
}

#[test]
fn the_sample_project_gives_what_the_reference_gave() {
    let key = ["Xvg2SRXJUCkK", "IUDrEZ00BDS4"].concat();
    let text = format!(
        "FROM python:latest\nENV APP_SECRET_KEY={key}\nADD https://downloads.internal/app.tar.gz /opt/app.tar.gz\n\
         RUN apt-get update && apt-get install -y curl git\nRUN curl -sSL https://get.internal/install.sh | bash\n\
         RUN pip install -r requirements.txt\nRUN chmod 777 /opt\nEXPOSE 22\nUSER root\nCMD [\"python\", \"-m\", \"app.main\"]\n"
    );
    let mut lines: Vec<_> = found(&text)
        .into_iter()
        .map(|f| {
            (
                f.line_start.unwrap(),
                f.rule_id.unwrap(),
                f.severity,
                f.title,
            )
        })
        .collect();
    lines.sort();
    let expected = [
        (1, "DL001", Severity::Medium, "Using ':latest' tag in FROM"),
        (
            2,
            "DL007",
            Severity::Critical,
            "Secret stored in ENV directive",
        ),
        (
            3,
            "DL006",
            Severity::Medium,
            "Using ADD to fetch remote URLs",
        ),
        (
            4,
            "DL004",
            Severity::Low,
            "apt-get install without --no-install-recommends",
        ),
        (5, "DL003", Severity::High, "Piping curl to shell"),
        (
            6,
            "DL009",
            Severity::Low,
            "pip install without --no-cache-dir",
        ),
        (
            7,
            "DL008",
            Severity::Medium,
            "Setting world-writable permissions (777)",
        ),
        (8, "DL005", Severity::High, "Exposing sensitive port"),
        (9, "DL002", Severity::High, "Running as root user"),
    ]
    .map(|(line, id, severity, title)| {
        (line, format!("dockerfile/{id}"), severity, title.to_owned())
    });
    assert_eq!(lines, expected);

    let development = found("FROM python:3.12-slim\nWORKDIR /app\n");
    assert_eq!(development.len(), 1);
    assert_eq!(development[0].title, "No USER directive found");
    assert_eq!(development[0].line_start, None);
}

#[test]
fn secrets_are_never_shown() {
    let value = ["Xvg2SRXJUCkK", "IUDrEZ00BDS4"].concat();
    for finding in found(&format!(
        "FROM a:1\nUSER b\nENV TOKEN={value}\nARG PASSWORD={value}"
    )) {
        assert!(!format!("{finding:?}").contains(&value));
        assert_eq!(finding.fingerprint_cwe, None);
        let place = finding.subject.place;
        assert!(
            place.starts_with("ENV TOKEN=") || place.starts_with("ARG PASSWORD="),
            "{place}"
        );
        assert_eq!(place.split('=').next_back().unwrap().len(), 5);
    }
}

#[test]
fn images() {
    for (from, rule) in [
        ("a:latest", Some("DL001")),
        ("registry:5000/a/b:latest", Some("DL001")),
        ("--platform=linux/amd64 a:latest AS x", Some("DL001")),
        ("${REGISTRY}/a:latest", Some("DL001")),
        ("a", Some("DL011")),
        ("registry:5000/a", Some("DL011")),
        ("$REGISTRY/a", Some("DL011")),
        ("a:latest-alpine", None),
        ("a:1", None),
        ("a@sha256:00", None),
        ("a:latest@sha256:00", None),
        ("scratch", None),
        ("$BASE", None),
        ("${BASE:-b:1}", None),
        ("a:${VERSION}", None),
    ] {
        let all = brief(&format!("FROM {from}\nUSER app"));
        let ids: Vec<_> = all.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, rule.into_iter().collect::<Vec<_>>(), "{from}");
    }
    assert!(brief("FROM a:1 AS base\nFROM Base\nUSER app").is_empty());
}

#[test]
fn users() {
    for (text, expected) in [
        ("FROM a:1\nUSER root", vec![("DL002", Some(2))]),
        ("FROM a:1\nUSER 0", vec![("DL002", Some(2))]),
        ("FROM a:1\nUSER root:root", vec![("DL002", Some(2))]),
        ("FROM a:1\nUSER 0:0", vec![("DL002", Some(2))]),
        ("FROM a:1\nUSER app\nUSER root", vec![("DL002", Some(3))]),
        ("FROM a:1\nUSER root\nRUN x\nUSER app", vec![]),
        ("FROM a:1\nUSER 1000:0", vec![]),
        ("FROM a:1\nUSER rooty", vec![]),
        ("FROM a:1\nUSER $APP", vec![]),
        ("FROM a:1\n#USER app\nRUN x", vec![("DL010", None)]),
        ("FROM a:1 AS b\nUSER app\nFROM c:1", vec![("DL010", None)]),
        ("FROM a:1 AS b\nUSER root\nFROM c:1\nUSER app", vec![]),
        ("FROM a:1 AS b\nUSER app\nFROM b\nRUN x", vec![]),
        (
            "FROM a:1 AS b\nUSER root\nFROM b AS c\nFROM c",
            vec![("DL002", Some(2))],
        ),
        ("FROM a:1 AS a\nFROM a AS a\nFROM a", vec![("DL010", None)]),
        ("FROM distroless/static:nonroot", vec![]),
        ("FROM a:1\nONBUILD USER app", vec![("DL010", None)]),
        ("RUN x", vec![]),
        ("", vec![]),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(id, line)| (id.to_owned(), line))
            .collect();
        assert_eq!(brief(text), expected, "{text}");
    }
}

#[test]
fn ports() {
    table(
        "DL005",
        &[
            "EXPOSE 22",
            "EXPOSE 22/tcp",
            "EXPOSE 80 22",
            "EXPOSE 20-25",
            "expose \"3389\"",
            "EXPOSE 80 \\\n  23",
        ],
        &[
            "EXPOSE 80",
            "EXPOSE 2222",
            "EXPOSE 8022/tcp",
            "EXPOSE $PORT",
            "EXPOSE 443 8080-8090",
            "# EXPOSE 22",
        ],
    );
}

#[test]
fn remote_additions() {
    table(
        "DL006",
        &[
            "ADD https://x/a /a",
            "ADD --chown=1:1 https://x/a /a",
            "ADD [\"http://x/a\", \"/a\"]",
            "ADD a HTTPS://x/b /c/",
        ],
        &[
            "ADD a /b",
            "COPY https://x /a",
            "ADD --checksum=sha256:00 https://x/a /a",
            "ADD httpsfile /a",
        ],
    );
}

#[test]
fn secrets_in_variables() {
    table(
        "DL007",
        &[
            "ENV DB_PASSWORD=hunter22",
            "ENV DB_PASSWORD hunter22",
            "ENV A=1 API_TOKEN=hunter22",
            "ENV A=1 \\\n API_KEY=\"hunter22\"",
            "ENV PGPASSWORD=hunter22",
            "ENV db-credentials=hunter22",
            "ENV AWS_ACCESS_KEY_ID=hunter22",
        ],
        &[
            "ENV MONKEY=1",
            "ENV MONKEY=banana",
            "ENV KEYBOARD_LAYOUT=us",
            "ENV DB_PASSWORD=",
            "ENV DB_PASSWORD=\"\"",
            "ENV DB_PASSWORD=$PASSWORD",
            "ENV DB_PASSWORD=${PASSWORD:-}",
            "ENV DB_PASSWORD=changeme",
            "ENV DB_PASSWORD=<password>",
            "ENV DB_PASSWORD_FILE=/run/secrets/db",
            "ENV API_KEY=/run/secrets/key",
            "ENV TOKEN_TTL=3600",
            "ENV USE_TOKEN=true",
            "ENV GPG_KEY=0123ABCD",
            "ENV PWD=/app",
            "ENV TOKENIZERS=fast",
            "ARG DB_PASSWORD=hunter22",
        ],
    );
    table(
        "DL012",
        &["ARG TOKEN=hunter22", "ARG A=1 TOKEN=hunter22"],
        &[
            "ARG TOKEN",
            "ARG TOKEN=",
            "ARG TOKEN=$OTHER",
            "ARG VERSION=1",
            "ENV TOKEN=hunter22",
        ],
    );
    assert_eq!(
        brief("FROM a:1\nUSER b\nENV A=1 \\\n  TOKEN=hunter22 \\\n  API_KEY=hunter23"),
        [("DL007".to_owned(), Some(4)), ("DL007".to_owned(), Some(5))]
    );
}

#[test]
fn commands() {
    table(
        "DL003",
        &[
            "RUN curl x | sh",
            "RUN set -e; \\\n  wget -O- x \\\n  | sudo bash",
            "RUN [\"sh\", \"-c\", \"curl x | sh\"]",
            "RUN <<EOF\ncurl x | sh\nEOF",
        ],
        &[
            "CMD curl x | sh",
            "# RUN curl x | sh",
            "RUN curl x -o y",
            "COPY <<EOF /x\ncurl x | sh\nEOF",
        ],
    );
    table(
        "DL004",
        &[
            "RUN apt-get update && \\\n apt-get install -y x",
            "RUN apt install x",
        ],
        &[
            "RUN apt-get install \\\n -y --no-install-recommends x",
            "RUN echo 'APT::Install-Recommends \"false\";' > /etc/apt/apt.conf.d/x\nRUN apt-get install x",
        ],
    );
    table(
        "DL008",
        &[
            "RUN chmod -R 777 /x",
            "COPY --chmod=777 a b",
            "RUN mkdir x && chmod a+rwx x",
        ],
        &[
            "RUN chmod 755 /x",
            "COPY --chmod=0755 a b",
            "RUN chmod 1777 /tmp",
        ],
    );
    table(
        "DL009",
        &["RUN pip3 install x", "RUN python3 -m pip install x"],
        &[
            "RUN pip install \\\n  --no-cache-dir x",
            "ENV PIP_NO_CACHE_DIR=1\nRUN pip install x",
            "RUN --mount=type=cache,target=/root/.cache/pip pip install x",
        ],
    );
}

#[test]
fn a_joined_instruction_is_at_its_first_line_and_a_script_at_its_own() {
    assert_eq!(
        brief("FROM a:1\nUSER b\nRUN x && \\\n y && \\\n chmod 777 z")[0].1,
        Some(3)
    );
    assert_eq!(
        brief("FROM a:1\nUSER b\nRUN <<EOF\nx\nchmod 777 z\nEOF")[0].1,
        Some(5)
    );
}

#[test]
fn names() {
    for name in [
        "Dockerfile",
        "dockerfile",
        "Dockerfile.dev",
        "Dockerfile.go",
        "api.Dockerfile",
        "a.dockerfile",
        "Containerfile",
        "Containerfile.dev",
        "Dockerfile-test",
    ] {
        assert!(is_dockerfile(name), "{name}");
    }
    for name in [
        "Dockerfiles",
        "Dockerfile.dockerignore",
        "dockerfile.go",
        "Dockerfile.md",
        "docker-compose.yml",
        "mydockerfile",
    ] {
        assert!(!is_dockerfile(name), "{name}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    for text in [
        "FROM",
        "FROM \\",
        "ENV",
        "ENV =",
        "ENV \"",
        "RUN --",
        "USER",
        "\\",
        "ONBUILD",
        "ADD --chmod=",
        "ENV A=\\",
        "FROM ${",
        "EXPOSE -",
        "é\\\né",
        "ONBUILD \\\n ENV A=1 \\\n é=2",
    ] {
        found(text);
    }
}

proptest::proptest! {
    #[test]
    fn no_mixture_of_fragments_makes_it_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "FROM ", "a:1", " AS ", "b", "\n", "\\\n", "\\", "ENV ", "A=", "\"", "'", "é", "${", "}", "RUN ",
                "<<E", "E\n", "--mount=", "ONBUILD ", "# escape=`\n", "`\n", "USER ", "ADD ", "EXPOSE ", "|", " ", "\t", "\r\n", "\0",
            ]),
            0..40,
        )
    ) {
        found(&parts.concat());
    }
}
