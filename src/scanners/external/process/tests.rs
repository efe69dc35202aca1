//! The runner against small shell scripts.

use std::fs;

use super::*;

/// Longest time that anything here may take; only reached when something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

struct Script {
    folder: tempfile::TempDir,
    settings: ScannerSettings,
}

impl Script {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: ScannerSettings {
                tool_environment: super::super::ToolEnvironment::of([(
                    "PATH",
                    "/usr/local/bin:/usr/bin:/bin",
                )]),
                ..ScannerSettings::default()
            },
        }
    }

    /// Runs through the shell's own program, so that no test meets a script that another one's
    /// fork still has open.
    fn invocation(&self, text: &str) -> Invocation {
        let script = self.folder.path().join("script.sh");
        fs::write(&script, text).unwrap();
        Invocation::new(Path::new("/bin/sh"), self.folder.path(), &self.settings).with([script])
    }

    fn run(&self, text: &str) -> Result<Output, ScannerError> {
        self.invocation(text).run(&CancelFlag::default())
    }

    /// Waits until the script has written this file, whole lines only.
    fn wait_for(&self, name: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(text) = fs::read_to_string(self.folder.path().join(name))
                && text.ends_with('\n')
            {
                return text.trim().to_owned();
            }
            assert!(Instant::now() < deadline, "{name} was never written");
            std::thread::yield_now();
        }
    }

    fn pid(&self, name: &str) -> i32 {
        self.wait_for(name).parse().unwrap()
    }
}

/// Tells whether a process runs; one that died but was not reaped by its new parent does not.
fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
        !matches!(state, Some(Some('Z' | 'X')))
    })
}

/// A killed process may still be on its way out: SIGKILL does not wait.
fn assert_dies(pid: i32) {
    let deadline = Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still alive");
        std::thread::yield_now();
    }
}

const FAMILY: &str = "\
sh -c 'echo $$ > grandchild; while :; do sleep 60; done' &
echo $$ > child
wait
";

#[test]
fn output_and_exit_code_are_told() {
    let output = Script::new()
        .run("echo found; echo 'first' >&2; printf 'last \\033words\\n\\n' >&2; exit 7")
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"found\n");
    assert_eq!(output.last_words(), "exit code 7: last  words");
}

#[test]
fn a_signal_is_told() {
    let output = Script::new().run("kill -SEGV $$").unwrap();
    assert_eq!(output.last_words(), "killed by signal 11");
}

#[test]
fn stdin_is_empty() {
    let output = Script::new().run("cat; echo done").unwrap();
    assert_eq!(output.stdout, b"done\n");
}

#[test]
fn arguments_are_not_for_a_shell() {
    let script = Script::new();
    let output = script
        .invocation("printf '%s|' \"$@\"")
        .with(["a b", "$(id)", "; id", "--"])
        .run(&CancelFlag::default())
        .unwrap();
    assert_eq!(output.stdout, b"a b|$(id)|; id|--|");
}

#[test]
fn the_environment_is_scrubbed() {
    let script = Script::new();
    let output = script
        .invocation("env")
        .with_variables([("TOOL_EXTRA", "1")])
        .run(&CancelFlag::default())
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // The shell adds these by itself.
    let mut names: Vec<&str> = text
        .lines()
        .filter_map(|l| Some(l.split_once('=')?.0))
        .collect();
    names.retain(|name| !matches!(*name, "PWD" | "SHLVL" | "OLDPWD" | "_"));
    names.sort_unstable();
    assert_eq!(names, ["PATH", "PYTHONSAFEPATH", "TOOL_EXTRA"], "{text}");
}

#[test]
fn the_working_directory_is_the_one_given() {
    let script = Script::new();
    let output = script.run("pwd -P").unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        Path::new(text.trim()),
        script.folder.path().canonicalize().unwrap()
    );
}

#[test]
fn a_missing_program_is_an_error() {
    let script = Script::new();
    let missing = script.folder.path().join("missing");
    let error = Invocation::new(&missing, script.folder.path(), &script.settings)
        .run(&CancelFlag::default())
        .unwrap_err();
    assert!(
        matches!(&error, ScannerError::Crashed(why) if why.starts_with("missing cannot be started")),
        "{error}"
    );
}

#[test]
fn cancelling_ends_child_and_grandchild() {
    let script = Script::new();
    let cancel = CancelFlag::default();
    let invocation = script.invocation(FAMILY);
    let (result, pids) = std::thread::scope(|scope| {
        let run = scope.spawn(|| invocation.run(&cancel));
        let pids = [script.pid("child"), script.pid("grandchild")];
        assert!(pids.iter().all(|pid| is_alive(*pid)));
        cancel.cancel();
        (run.join().unwrap(), pids)
    });
    assert!(matches!(result, Err(ScannerError::Cancelled)));
    pids.into_iter().for_each(assert_dies);
}

#[test]
fn nothing_starts_once_cancelled() {
    let script = Script::new();
    let cancel = CancelFlag::default();
    cancel.cancel();
    let result = script.invocation("echo $$ > child").run(&cancel);
    assert!(matches!(result, Err(ScannerError::Cancelled)));
    assert!(!script.folder.path().join("child").exists());
}

#[test]
fn the_time_limit_ends_child_and_grandchild() {
    let script = Script::new();
    let limit = Duration::from_secs(2);
    let result = script
        .invocation(FAMILY)
        .within(limit)
        .run(&CancelFlag::default());
    assert!(matches!(result, Err(ScannerError::TimedOut(found)) if found == limit));
    assert_dies(script.pid("child"));
    assert_dies(script.pid("grandchild"));
}

#[test]
fn a_program_that_ignores_the_polite_signal_is_killed() {
    let script = Script::new();
    let started = Instant::now();
    let result = script
        .invocation("trap '' TERM; echo $$ > child; while :; do sleep 60; done")
        .within(Duration::from_secs(2))
        .run(&CancelFlag::default());
    assert!(matches!(result, Err(ScannerError::TimedOut(_))));
    assert!(started.elapsed() >= GRACE);
    assert_dies(script.pid("child"));
}

#[test]
fn a_program_may_end_in_good_order() {
    let script = Script::new();
    let result = script
        .invocation("trap 'echo bye > good-order; exit 0' TERM; while :; do sleep 0.05; done")
        .within(Duration::from_secs(2))
        .run(&CancelFlag::default());
    assert!(matches!(result, Err(ScannerError::TimedOut(_))));
    assert_eq!(script.wait_for("good-order"), "bye");
}

#[test]
fn a_flood_on_stdout_is_an_error_and_ends_the_program() {
    let mut script = Script::new();
    script.settings.tool_output_limit = 100_000;
    let error = script
        .run("echo $$ > child; while :; do echo 0123456789012345678901234567890123456789; done")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "unreadable output: more than 100000 bytes"
    );
    assert_dies(script.pid("child"));
}

#[test]
fn the_limit_holds_for_programs_that_end_at_once() {
    let mut script = Script::new();
    script.settings.tool_output_limit = 3;
    assert_eq!(script.run("printf abc").unwrap().stdout, b"abc");
    let error = script.run("printf abcd").unwrap_err();
    assert!(matches!(error, ScannerError::Unreadable(_)), "{error}");
}

#[test]
fn of_a_flood_on_stderr_the_end_is_kept() {
    let output = Script::new()
        .run("i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; echo ok")
        .unwrap();
    assert_eq!(output.stdout, b"ok\n");
    assert_eq!(output.stderr.len(), STDERR_KEPT);
    assert_eq!(output.last_words(), "exit code 0: line 19999");
}

#[test]
fn more_than_a_pipe_holds_arrives_whole() {
    let output = Script::new()
        .run("i=0; while [ $i -lt 20000 ]; do echo 'out of many'; echo err >&2; i=$((i+1)); done")
        .unwrap();
    assert_eq!(output.stdout.len(), 20_000 * "out of many\n".len());
}

#[test]
fn what_a_program_leaves_behind_is_ended() {
    let script = Script::new();
    let output = script
        .run("sh -c 'echo $$ > left; while :; do sleep 60; done' & while [ ! -s left ]; do :; done; echo ok")
        .unwrap();
    assert_eq!(output.stdout, b"ok\n");
    assert_dies(script.pid("left"));
}

/// Ends a process that left its group on purpose.
struct Escaped(i32);

impl Drop for Escaped {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.0) {
            let _gone = rustix::process::kill_process(pid, Signal::KILL).is_ok();
        }
    }
}

#[test]
fn a_pipe_held_by_an_escaped_process_is_not_waited_for() {
    let script = Script::new();
    let started = Instant::now();
    let output = script
        .run("setsid sh -c 'echo $$ > escaped; exec sleep 600' & while [ ! -s escaped ]; do :; done; echo ok")
        .unwrap();
    let escaped = Escaped(script.pid("escaped"));
    assert_eq!(output.stdout, b"ok\n");
    assert!(
        is_alive(escaped.0),
        "the test wants somebody who holds the pipe"
    );
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_panic_leaves_nobody_behind() {
    let script = Script::new();
    let mut child = script.invocation(FAMILY).spawn().unwrap();
    let pipes = Pipes::new(&mut child, 10);
    let running = Running {
        group: Group::new(child),
        pipes,
    };
    let pids = [script.pid("child"), script.pid("grandchild")];
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _running = running;
        panic!("in the middle of a run");
    }));
    assert!(caught.is_err());
    assert!(!Path::new(&format!("/proc/{}", pids[0])).exists(), "reaped");
    pids.into_iter().for_each(assert_dies);
}
