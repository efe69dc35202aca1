//! Which files should never be in version control.

use memchr::memmem;

use crate::domain::Severity;
use crate::domain::Severity::{Critical, High, Medium};

/// Why a file is sensitive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// End of the rule id; `None` to make it of the name.
    pub(super) id: Option<&'static str>,
    pub(super) severity: Severity,
    /// Starts the description.
    pub(super) what: &'static str,
    /// If set, only content that it accepts makes the file sensitive.
    pub(super) content: Option<fn(&[u8]) -> bool>,
}

const fn named(severity: Severity, what: &'static str) -> Kind {
    Kind {
        id: None,
        severity,
        what,
        content: None,
    }
}

const fn family(id: &'static str, severity: Severity, what: &'static str) -> Kind {
    Kind {
        id: Some(id),
        severity,
        what,
        content: None,
    }
}

const fn holding(
    id: Option<&'static str>,
    severity: Severity,
    what: &'static str,
    content: fn(&[u8]) -> bool,
) -> Kind {
    Kind {
        id,
        severity,
        what,
        content: Some(content),
    }
}

const ENVIRONMENT: Kind = named(Critical, "Environment file with potential secrets");

/// Returns why a file of this name may be sensitive. `folder` is the name of the folder around it.
pub(super) fn of_name(name: &str, folder: &str) -> Option<Kind> {
    if let Some(kind) = of_exact_name(name, folder) {
        return Some(kind);
    }
    let lower = name.to_ascii_lowercase();
    if is_example(&lower) {
        return None;
    }
    if let Some(stage) = lower.strip_prefix(".env.") {
        return Some(match stage.rsplit('.').next().unwrap_or(stage) {
            "production" | "prod" | "staging" | "stage" | "live" | "local" | "secret"
            | "secrets" | "bak" | "backup" | "old" => ENVIRONMENT,
            _ => named(Medium, "Environment file with potential secrets"),
        });
    }
    if lower.starts_with("client_secret") && lower.ends_with(".json") {
        return Some(family("client-secret", Critical, "Credentials file"));
    }
    if lower.ends_with(".tfstate") || lower.ends_with(".tfstate.backup") {
        let what = "Terraform state, which holds secrets in clear";
        return Some(family("terraform-tfstate", High, what));
    }
    Some(match lower.rsplit_once('.')?.1 {
        "pem" => holding(Some("pem"), Critical, "Private key", holds_private_key),
        "key" => holding(Some("key"), Critical, "Private key", holds_private_key),
        "p12" => family("p12", Critical, "Certificate store with a private key"),
        "pfx" => family("pfx", Critical, "Certificate store with a private key"),
        "jks" => family("jks", Critical, "Java key store"),
        // The one that every Android installation has.
        "keystore" if lower != "debug.keystore" => family("keystore", Critical, "Java key store"),
        "kdbx" => family("kdbx", Critical, "Password database"),
        "ppk" => family("ppk", Critical, "SSH private key"),
        "kubeconfig" => KUBECONFIG,
        _ => return None,
    })
}

const KUBECONFIG: Kind = holding(
    Some("kubeconfig"),
    Critical,
    "Kubernetes credentials",
    holds_kubernetes_credentials,
);

fn of_exact_name(name: &str, folder: &str) -> Option<Kind> {
    Some(match (name, folder) {
        (".env", _) => ENVIRONMENT,
        ("id_rsa" | "id_ed25519" | "id_ecdsa" | "id_dsa", _) => named(Critical, "SSH private key"),
        ("id_ecdsa_sk" | "id_ed25519_sk", _) => named(Critical, "SSH private key"),
        ("credentials.json", _) => named(Critical, "Credentials file"),
        ("service-account.json" | "service_account.json", _) => {
            named(Critical, "Service account key file")
        }
        (".htpasswd", _) => named(High, "Password file of a web server"),
        ("wp-config.php", _) => named(High, "WordPress configuration with database credentials"),
        (".git-credentials", _) => named(Critical, "Stored git credentials"),
        (".pgpass", _) => named(Critical, "PostgreSQL passwords"),
        (".netrc" | "_netrc", _) => holding(None, Critical, "Login data", holds_password),
        (".pypirc", _) => holding(None, Critical, "PyPI credentials", holds_password),
        (".npmrc" | ".yarnrc" | ".yarnrc.yml", _) => {
            holding(None, Critical, "npm credentials", holds_npm_credentials)
        }
        (".my.cnf", _) => holding(None, High, "MySQL credentials", holds_password),
        (".dockercfg", _) => holding(None, Critical, "Docker registry credentials", holds_auth),
        (".dockerconfigjson", _) | ("config.json", ".docker") => holding(
            Some("docker-config"),
            Critical,
            "Docker registry credentials",
            holds_auth,
        ),
        ("credentials", ".aws") => family("aws-credentials", Critical, "AWS credentials"),
        ("kubeconfig" | "kubeconfig.yaml" | "kubeconfig.yml", _) | ("config", ".kube") => {
            KUBECONFIG
        }
        (".vault-token", _) => named(Critical, "Vault token"),
        ("credentials.tfrc.json", _) => named(Critical, "Terraform credentials"),
        ("secring.gpg", _) => named(Critical, "PGP private keys"),
        _ => return None,
    })
}

/// Tells whether a name says that its content is made up.
fn is_example(lower: &str) -> bool {
    lower.split(['.', '-', '_']).any(|part| {
        matches!(
            part,
            "example"
                | "examples"
                | "sample"
                | "template"
                | "tmpl"
                | "tpl"
                | "dist"
                | "default"
                | "defaults"
        )
    })
}

fn holds_private_key(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, b"-----BEGIN ").any(|start| {
        let label = bytes.get(start + 11..).unwrap_or_default();
        let label = label.get(..label.len().min(48)).unwrap_or_default();
        let line = label
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        memmem::find(line, b"PRIVATE KEY").is_some()
    })
}

fn holds_kubernetes_credentials(bytes: &[u8]) -> bool {
    has_value(bytes, &[b"client-key-data:", b"token:", b"password:"])
}

fn holds_npm_credentials(bytes: &[u8]) -> bool {
    has_value(
        bytes,
        &[
            b"_authToken=",
            b"_auth=",
            b"_password=",
            b"npmAuthToken:",
            b"npmAuthIdent:",
        ],
    )
}

fn holds_password(bytes: &[u8]) -> bool {
    has_value(bytes, &[b"password"])
}

fn holds_auth(bytes: &[u8]) -> bool {
    has_value(bytes, &[b"\"auth\"", b"\"identitytoken\"", b"\"password\""])
}

/// Tells whether one of the names is followed by a value that is no reference to one.
fn has_value(bytes: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|name| {
        memmem::find_iter(bytes, name).any(|start| {
            let rest = bytes.get(start + name.len()..).unwrap_or_default();
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let is_filling =
                |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'=' | b':' | b'"' | b'\'');
            line.iter()
                .find(|byte| !is_filling(byte))
                .is_some_and(|first| {
                    !matches!(first, b'$' | b'<' | b'{' | b'}' | b',' | b'#' | b';' | b'%')
                })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_enough() {
        for name in [
            ".env",
            ".env.local",
            ".env.production",
            ".env.staging",
            ".env.test",
            "id_rsa",
            "id_ed25519",
            "id_ecdsa",
            "id_dsa",
            "credentials.json",
            "service-account.json",
            ".htpasswd",
            "wp-config.php",
            ".pgpass",
            ".git-credentials",
            "terraform.tfstate",
            "terraform.tfstate.backup",
            "a.jks",
            "release.keystore",
            "a.p12",
            "A.PFX",
            "a.kdbx",
        ] {
            assert!(
                of_name(name, "").is_some_and(|kind| kind.content.is_none()),
                "{name}"
            );
        }
        for name in [
            ".env.example",
            ".env.sample",
            ".env.template",
            ".env.dist",
            ".env.production.example",
            "environment",
            "env",
            ".envrc",
            "id_rsa.pub",
            "debug.keystore",
            "example.p12",
            "main.tf",
            "config",
            "wp-config-sample.php",
            "credentials",
            "kubeconfig.go",
            "",
        ] {
            assert!(of_name(name, "").is_none(), "{name}");
        }
        assert!(of_name("credentials", ".aws").is_some());
    }

    #[test]
    fn content_that_decides() {
        let begin = |label: &str| format!("-----BEGIN {label}-----\nMII\n-----END {label}-----\n");
        let private = ["PRIVATE", " KEY"].concat();
        let long = ["some", "value"].concat();
        for (name, folder, content, is_sensitive) in [
            ("a.pem", "", begin(&private), true),
            ("a.key", "", begin(&format!("RSA {private}")), true),
            ("a.key", "", begin(&format!("ENCRYPTED {private}")), true),
            (
                "a.pem",
                "",
                format!("{}{}", begin("CERTIFICATE"), begin(&private)),
                true,
            ),
            ("a.pem", "", begin("CERTIFICATE"), false),
            ("a.pem", "", begin("PUBLIC KEY"), false),
            (".npmrc", "", format!("//r/:_authToken={long}\n"), true),
            (
                ".npmrc",
                "",
                "//r/:_authToken=${NPM_TOKEN}\n".to_owned(),
                false,
            ),
            (".npmrc", "", "save-exact=true\n".to_owned(), false),
            (
                ".netrc",
                "",
                format!("machine x login y password {long}"),
                true,
            ),
            (".netrc", "", "machine x login y".to_owned(), false),
            (".pypirc", "", format!("[pypi]\npassword = {long}"), true),
            (".pypirc", "", "[pypi]\npassword =\n".to_owned(), false),
            (
                ".dockercfg",
                "",
                format!("{{\"r\": {{\"auth\": \"{long}\"}}}}"),
                true,
            ),
            (
                "config.json",
                ".docker",
                "{\"auths\": {}, \"auth\": \"\"}".to_owned(),
                false,
            ),
            (
                "kubeconfig",
                "",
                format!("users:\n- user:\n    token: {long}\n"),
                true,
            ),
            ("config", ".kube", "clusters: []\n".to_owned(), false),
        ] {
            let judge = of_name(name, folder)
                .and_then(|kind| kind.content)
                .expect(name);
            assert_eq!(judge(content.as_bytes()), is_sensitive, "{name}: {content}");
        }
    }
}
