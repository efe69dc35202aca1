//! Just enough of the shell to judge what a `RUN` does.

use std::sync::LazyLock;

use regex::Regex;

/// Tells whether a word names a Bourne-like shell.
pub(super) fn is_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    matches!(name, "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash")
}

/// Splits a script into simple commands of words, without quotes.
///
/// Separators inside quotes separate too: `sh -c "a && b"` should show both commands.
pub(super) fn commands(script: &str) -> Vec<Vec<&str>> {
    let separators = [';', '|', '&', '\n', '(', ')', '{', '}', '`'];
    let is_edge = |c: char| matches!(c, '"' | '\'' | ',' | '[' | ']');
    script
        .split(separators)
        .map(|command| {
            command
                .split_whitespace()
                .map(|word| word.trim_matches(is_edge))
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
        })
        .filter(|command| !matches!(command.first(), None | Some(&("echo" | "printf"))))
        .collect()
}

/// Tells whether a download goes straight into a shell.
pub(super) fn pipes_download_to_shell(script: &str) -> bool {
    #[expect(clippy::expect_used, reason = "a constant, compiled in every test run")]
    static PIPED: LazyLock<Regex> = LazyLock::new(|| {
        // Within one pipeline, other programs may stand between the two.
        let pipeline = r"(?:[^;&|\n]|&[^&]|\|[^|])*?";
        let prefix = r"(?:(?:sudo|exec|nohup|env)\s+(?:-\S+\s+|\w+=\S*\s+)*)*";
        let shell = r"(?:/\S*/)?(?:ba|z|da|k|a)?sh\b(?:[^\w.=/-]|$)";
        let substituted =
            r#"\b(?:eval|source|(?:ba|z|da|k|a)?sh)\s+(?:-\S+\s+)*["']?(?:\$\(|`|<\()"#;
        Regex::new(&format!(
            r"(?i)\b(?:curl|wget)\s{pipeline}\|&?\s*{prefix}{shell}|{substituted}\s*(?:curl|wget)\s"
        ))
        .expect("valid")
    });
    PIPED.is_match(script)
}

/// Tells whether a command installs Debian packages together with those merely recommended.
pub(super) fn installs_recommended(command: &[&str]) -> bool {
    has_subcommand(command, |word| matches!(word, "apt" | "apt-get"), "install")
        && !command
            .iter()
            .any(|word| *word == "--no-install-recommends" || turns_off_recommended(word))
}

/// Tells whether a text switches `APT::Install-Recommends` off.
pub(super) fn turns_off_recommended(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.split("apt::install-recommends").skip(1).any(|after| {
        let value = after.trim_start_matches([' ', '=', '"', '\'', '\\', '\t']);
        ["0", "false", "no"]
            .iter()
            .any(|off| value.starts_with(off))
    })
}

/// Tells whether a command runs `pip install` and keeps the cache.
pub(super) fn caches_pip(command: &[&str]) -> bool {
    let is_pip = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or(word);
        name.strip_prefix("pip")
            .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    !command.contains(&"uv")
        && has_subcommand(command, is_pip, "install")
        && !command
            .iter()
            .any(|word| word.starts_with("--no-cache-dir"))
}

/// Tells whether a program is called with `subcommand` as its first argument that is no option.
fn has_subcommand(command: &[&str], is_program: impl Fn(&str) -> bool, subcommand: &str) -> bool {
    command
        .iter()
        .position(|word| is_program(word))
        .is_some_and(|at| {
            command
                .iter()
                .skip(at + 1)
                .take_while(|word| {
                    word.starts_with('-') || **word == subcommand
            // The argument of an option such as `-o Key=Value`.
            || word.contains('=') || word.contains("::")
                })
                .any(|word| *word == subcommand)
        })
}

/// Tells whether a command lets everybody write.
pub(super) fn makes_world_writable(command: &[&str]) -> bool {
    let chmod = command
        .iter()
        .position(|word| *word == "chmod" || word.ends_with("/chmod"));
    chmod.is_some_and(|at| {
        let mode = command
            .iter()
            .skip(at + 1)
            .find(|word| !word.starts_with('-'));
        mode.is_some_and(|mode| is_world_writable(mode))
    })
}

/// Tells whether a mode of `chmod` gives everything to everybody, or writing to others.
pub(super) fn is_world_writable(mode: &str) -> bool {
    if !mode.is_empty() && mode.bytes().all(|digit| digit.is_ascii_digit()) {
        return mode.trim_start_matches('0') == "777";
    }
    mode.split(',').any(|clause| {
        let Some(at) = clause.find(['+', '=']) else {
            return false;
        };
        let (who, what) = clause.split_at(at);
        who.contains(['a', 'o']) && what.contains('w')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_into_a_shell() {
        for script in [
            "curl -sSL https://x/install.sh | bash",
            "curl https://x|sh",
            "wget -qO- https://x | sh -s -- -y",
            "curl https://x | sudo -E bash -",
            "curl https://x | tac | tac | zsh",
            "curl 'https://x?a=1&b=2' | dash",
            "wget -O- x | /bin/bash",
            "apt-get update && curl x | FOO=1 sh; true"
                .replace("FOO=1 ", "env FOO=1 ")
                .as_str(),
            "bash -c \"$(curl -fsSL https://x)\"",
            "bash <(curl -s x)",
            "sh -c \"curl x | sh\"",
        ] {
            assert!(pipes_download_to_shell(script), "{script}");
        }
        for script in [
            "curl -o x https://x && sh x",
            "curl https://x | tar xz",
            "curl https://x/install.sh -o a || sh b",
            "curl https://x | shasum -c",
            "curl x; cat y | sh",
            "curl x && cat y | sh",
            "curl https://x | sh-like",
            "curl https://x | tee install.sh",
            "apt-get install curl bash",
            "cat x | sh",
        ] {
            assert!(!pipes_download_to_shell(script), "{script}");
        }
    }

    fn any(script: &str, judge: fn(&[&str]) -> bool) -> bool {
        commands(script).iter().any(|command| judge(command))
    }

    #[test]
    fn apt_with_recommended_packages() {
        for script in [
            "apt-get install -y curl",
            "apt-get -y install curl",
            "apt install curl",
            "apt-get update && sudo apt-get -qq install curl",
            "[\"apt-get\", \"install\", \"curl\"]",
            "sh -c 'apt-get install curl'",
        ] {
            assert!(any(script, installs_recommended), "{script}");
        }
        for script in [
            "apt-get install --no-install-recommends curl",
            "apt-get install -y curl --no-install-recommends",
            "apt-get -o APT::Install-Recommends=false install curl",
            "apt-get update",
            "apt-get remove install",
            "echo apt-get install curl",
            "apt-key install",
            "apk add apt",
        ] {
            assert!(!any(script, installs_recommended), "{script}");
        }
    }

    #[test]
    fn pip_that_keeps_its_cache() {
        for script in [
            "pip install x",
            "pip3 install x",
            "pip3.12 install x",
            "python -m pip install x",
            "/venv/bin/pip install --upgrade pip",
            "pip --no-cache-dir install a && pip install b",
        ] {
            assert!(any(script, caches_pip), "{script}");
        }
        for script in [
            "pip install --no-cache-dir x",
            "pip --no-cache-dir install x",
            "pip download x",
            "pipx install x",
            "uv pip install x",
            "pipenv install",
        ] {
            assert!(!any(script, caches_pip), "{script}");
        }
    }

    #[test]
    fn modes_for_everybody() {
        for script in [
            "chmod 777 x",
            "chmod -R 777 x",
            "chmod 0777 x",
            "chmod --recursive a+rwx x",
            "chmod ugo=rwx x",
            "chmod u+x,o+w x",
            "a; /bin/chmod -Rv 777 x",
        ] {
            assert!(any(script, makes_world_writable), "{script}");
        }
        for script in [
            "chmod 755 777",
            "chmod 1777 /tmp",
            "chmod +x x",
            "chmod a+x x",
            "chmod g+w x",
            "chmod o-w x",
        ] {
            assert!(!any(script, makes_world_writable), "{script}");
        }
    }
}
