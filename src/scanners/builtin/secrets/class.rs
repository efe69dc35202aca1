//! What kind of file a name promises, and hence how little it takes to call a value a secret.

/// How values are written in a file, and how weak a secret there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileClass {
    /// Holds credentials and nothing else: `.netrc`, `sftp-config.json`.
    Credential,
    /// `.env` and its like: bare values, every assignment is a setting.
    Env,
    /// `key = value` to the end of the line: ini, properties, conf, rc files.
    Ini,
    /// YAML: bare values, but also translations and schemas.
    Yaml,
    /// Values are quoted or elements: JSON, XML, TOML, Terraform.
    Config,
    /// Bare words with expansion: shell, Dockerfile, Makefile.
    Shell,
    /// Program text that is mostly settings: `wp-config.php`, `settings.py`.
    SettingsCode,
    /// Program text.
    Code,
    /// Prose with samples.
    Document,
    /// Written by a machine or full of hashes: lock files, translations, minified text.
    Machine,
}

impl FileClass {
    /// Judges by the last part of the path and, for translations, by its folders.
    pub(super) fn of(relative: &str) -> Self {
        let lower = relative.to_ascii_lowercase();
        let name = lower.rsplit('/').next().unwrap_or(&lower);
        if is_machine_made(&lower, name) {
            return Self::Machine;
        }
        if is_credential_file(&lower, name) {
            return Self::Credential;
        }
        let extension =
            name.rsplit_once('.').map_or(
                "",
                |(stem, extension)| if stem.is_empty() { "" } else { extension },
            );
        if is_env_file(name, extension) {
            return Self::Env;
        }
        if is_shell_file(name, extension) {
            return Self::Shell;
        }
        match extension {
            "ini" | "cfg" | "conf" | "cnf" | "properties" | "props" | "prefs" | "rc" | "config"
            | "env" | "reg" | "desktop" | "service" | "inf" | "ovpn" | "rdp" | "pcf" => Self::Ini,
            "yml" | "yaml" | "eyaml" | "sls" | "raml" => Self::Yaml,
            "json" | "json5" | "jsonc" | "xml" | "toml" | "tf" | "tfvars" | "tfstate" | "hcl"
            | "plist" | "webconfig" | "pubxml" | "xaml" | "resx" | "dtsx" | "bicep" | "jsonnet"
            | "nix" => Self::Config,
            "md" | "markdown" | "mdx" | "rst" | "txt" | "adoc" | "asciidoc" | "html" | "htm"
            | "xhtml" | "tex" | "org" | "rdoc" | "pod" | "log" | "csv" | "tsv" | "textile"
            | "ipynb" | "1" | "5" | "8" | "me" => Self::Document,
            "" if name.starts_with('.') => Self::Ini,
            "" => extensionless(name),
            _ if is_settings_stem(name) => Self::SettingsCode,
            "bak" | "old" | "orig" | "swp" | "save" | "dist" | "template" | "example"
            | "sample" | "tmpl" | "tpl" | "j2" | "erb" => {
                Self::of(name.rsplit_once('.').map_or("config", |(inner, _)| inner))
            }
            _ => Self::Code,
        }
    }

    /// Tells whether a value needs no quotes here.
    pub(super) const fn takes_bare_values(self) -> bool {
        matches!(
            self,
            Self::Credential | Self::Env | Self::Ini | Self::Yaml | Self::Shell | Self::Document
        )
    }

    /// Tells whether a weak secret counts here.
    pub(super) const fn is_lenient(self) -> bool {
        matches!(
            self,
            Self::Credential
                | Self::Env
                | Self::Ini
                | Self::Yaml
                | Self::Config
                | Self::Shell
                | Self::SettingsCode
        )
    }
}

fn is_machine_made(path: &str, name: &str) -> bool {
    const ENDINGS: [&str; 23] = [
        ".lock",
        ".min.js",
        ".min.css",
        ".bundle.js",
        ".map",
        ".svg",
        ".po",
        ".pot",
        ".mo",
        ".xlf",
        ".xliff",
        ".arb",
        ".strings",
        ".sum",
        ".snap",
        ".dat",
        ".b64",
        ".patch.sig",
        ".css",
        ".scss",
        ".less",
        ".tsbuildinfo",
        ".resjson",
    ];
    const NAMES: [&str; 11] = [
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "composer.lock",
        "cargo.lock",
        "go.sum",
        "checksums.txt",
        ".package-lock.json",
        "packages.lock.json",
        "record",
    ];
    const FOLDERS: [&str; 9] = [
        "locale/",
        "locales/",
        "i18n/",
        "l10n/",
        "lang/",
        "langs/",
        "translations/",
        "languages/",
        "_locales/",
    ];
    // Folders of translations hold the word for "password" in every language.
    let is_translation = FOLDERS
        .iter()
        .any(|folder| path.starts_with(folder) || path.contains(&format!("/{folder}")));
    ENDINGS.iter().any(|ending| name.ends_with(ending)) || NAMES.contains(&name) || is_translation
}

fn is_credential_file(path: &str, name: &str) -> bool {
    const NAMES: [&str; 50] = [
        ".netrc",
        "_netrc",
        ".authinfo",
        ".pgpass",
        "pgpass.conf",
        ".my.cnf",
        ".mylogin.cnf",
        ".git-credentials",
        ".npmrc",
        ".pypirc",
        ".yarnrc",
        ".dockercfg",
        ".dockerconfigjson",
        ".htpasswd",
        ".esmtprc",
        ".msmtprc",
        ".fetchmailrc",
        ".mutt",
        ".muttrc",
        ".s3cfg",
        ".boto",
        ".passwd-s3fs",
        "credentials",
        ".credentials",
        "credentials.json",
        "credentials.xml",
        "credentials.yml",
        "sitemanager.xml",
        "recentservers.xml",
        "filezilla.xml",
        "webservers.xml",
        "sftp-config.json",
        "sftp.json",
        ".ftpconfig",
        ".sftpconfig",
        ".remote-sync.json",
        "deployment-config.json",
        "robomongo.json",
        "dbeaver-data-sources.xml",
        "data-sources.xml",
        "logins.json",
        "signons.sqlite",
        "rclone.conf",
        ".smbcredentials",
        ".vault_pass",
        ".tugboat",
        "winscp.ini",
        "heroku.json",
        "hub",
        ".pryrc-credentials",
    ];
    NAMES.contains(&name)
        || path.ends_with(".docker/config.json")
        || path.ends_with(".aws/config")
        || path.ends_with("rclone/rclone.conf")
        || path.ends_with(".m2/settings.xml")
}

fn is_env_file(name: &str, extension: &str) -> bool {
    name == ".env"
        || name == "env"
        || name.starts_with(".env.")
        || name.starts_with(".env-")
        || extension == "env"
        || name.contains(".env.")
        || name == ".envrc"
        || name == ".flaskenv"
}

fn is_shell_file(name: &str, extension: &str) -> bool {
    const NAMES: [&str; 19] = [
        ".bashrc",
        ".bash_profile",
        ".bash_aliases",
        ".bash_history",
        ".zsh_history",
        ".sh_history",
        ".history",
        ".profile",
        ".zshrc",
        ".zshenv",
        ".zprofile",
        ".cshrc",
        ".tcshrc",
        ".kshrc",
        ".exports",
        ".aliases",
        "makefile",
        "vagrantfile",
        "procfile",
    ];
    NAMES.contains(&name)
        || matches!(
            extension,
            "sh" | "bash"
                | "zsh"
                | "ksh"
                | "csh"
                | "fish"
                | "bat"
                | "cmd"
                | "mk"
                | "dockerfile"
                | "history"
                | "ebuild"
                | "bats"
        )
        || name.starts_with("dockerfile")
        || name.starts_with("containerfile")
}

fn extensionless(name: &str) -> FileClass {
    match name {
        "readme" | "license" | "licence" | "copying" | "changelog" | "changes" | "notice"
        | "authors" | "news" | "todo" | "install" | "history" | "metadata" | "pkg-info"
        | "contributors" | "manifest" => FileClass::Document,
        "jenkinsfile" | "gemfile" | "rakefile" | "podfile" | "brewfile" | "berksfile"
        | "fastfile" | "sconstruct" | "build" | "workspace" => FileClass::Code,
        _ => FileClass::Ini,
    }
}

fn is_settings_stem(name: &str) -> bool {
    const STEMS: [&str; 26] = [
        "config",
        "configuration",
        "settings",
        "local_settings",
        "wp-config",
        "config.inc",
        "config.local",
        "database",
        "credentials",
        "secrets",
        "secret",
        "connection",
        "connect",
        "dbconnect",
        "db_connect",
        "dbconfig",
        "db_config",
        "conn",
        "db",
        "parameters",
        "keys",
        "passwords",
        "password",
        "local",
        "constants",
        "prod",
    ];
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    STEMS.contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_class() {
        for (path, class) in [
            ("home/.netrc", FileClass::Credential),
            (".docker/config.json", FileClass::Credential),
            (".env.production", FileClass::Env),
            ("distribution/.env", FileClass::Env),
            ("config.env.example", FileClass::Env),
            ("a/application.properties", FileClass::Ini),
            ("docker-compose.yml", FileClass::Yaml),
            ("Dockerfile", FileClass::Shell),
            ("web/wp-config.php", FileClass::SettingsCode),
            ("wp-config.php.bak", FileClass::SettingsCode),
            ("tests/test_login.py", FileClass::Code),
            ("README.md", FileClass::Document),
            ("config/locales/pt-BR.yml", FileClass::Machine),
            ("package-lock.json", FileClass::Machine),
            ("config", FileClass::Ini),
        ] {
            assert_eq!(FileClass::of(path), class, "{path}");
        }
    }
}
