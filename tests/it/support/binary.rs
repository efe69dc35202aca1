//! The real program as a child process with an environment of its own.

use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use securescan::storage::{Database, DatabaseOptions, assert_consistent};
use tempfile::TempDir;

use super::client::Client;
use super::wait_for;

/// A home folder with a database in it, which outlives the processes that use it.
pub struct Home {
    pub folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn database(&self) -> PathBuf {
        self.path().join("scans.db")
    }

    /// Makes a folder for programs that the child finds on its `PATH`.
    pub fn programs(&self) -> PathBuf {
        let programs = self.path().join("bin");
        std::fs::create_dir_all(&programs).expect("a folder");
        programs
    }

    /// A command with nothing of this process's environment.
    #[expect(clippy::disallowed_methods, reason = "tests start the program itself")]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_securescan"));
        let path = format!("{}:/usr/bin:/bin", self.programs().display());
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", path)
            .env("SECURESCAN_DATABASE_PATH", self.database())
            .env("SECURESCAN_FINGERPRINT_BASE", "/")
            .stdin(Stdio::null())
            .current_dir(self.path());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        Ran::of(&command.output().expect("the program starts"))
    }

    /// Starts a server and waits until it listens.
    pub fn serve(&self, variables: &[(&str, &str)]) -> Server {
        let mut command = self.command(&["serve", "--port", "0"]);
        command.envs(variables.iter().copied());
        Server::start(command)
    }

    /// Asserts that no rule of the database is broken and that nothing counts as running.
    pub fn assert_consistent(&self) {
        let database = Database::open(&DatabaseOptions::at(self.database())).expect("a database");
        database
            .blocking(assert_consistent)
            .expect("a sound database");
    }
}

/// What a finished command said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout.clone()).expect("UTF-8 on stdout"),
            stderr: String::from_utf8(output.stderr.clone()).expect("UTF-8 on stderr"),
        }
    }
}

/// A child that is killed when the test ends.
pub struct Process {
    child: Child,
    stderr: Arc<Mutex<String>>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = Arc::new(Mutex::new(String::new()));
        let pipe = child.stderr.take().expect("a pipe");
        let said = Arc::clone(&stderr);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut said = said.lock().expect("no panic while holding it");
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, stderr }
    }

    pub fn stderr(&self) -> String {
        self.stderr
            .lock()
            .expect("no panic while holding it")
            .clone()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a signal");
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the program to end", || child.try_wait().expect("a child"))
    }

    /// Reads all of a piped stdout.
    pub fn stdout(&mut self) -> String {
        let mut text = String::new();
        let pipe = self.child.stdout.as_mut().expect("a pipe");
        pipe.read_to_string(&mut text).expect("UTF-8 on stdout");
        text
    }

    /// Closes our end of a piped stdout.
    pub fn close_stdout(&mut self) {
        drop(self.child.stdout.take());
    }

    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _killed = self.child.kill().is_ok();
            let _reaped = self.child.wait().is_ok();
        }
    }
}

/// A process that serves.
pub struct Server {
    pub process: Process,
    pub client: Client,
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    fn start(command: Command) -> Self {
        let mut process = Process::start(command);
        let port = wait_for("the server to listen", || {
            let said = process.stderr();
            if let Some(status) = process.child.try_wait().expect("a child") {
                panic!("the server ended with {status}: {said}");
            }
            let (_, rest) = said.split_once("listening on http://127.0.0.1:")?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            rest[digits.len()..]
                .starts_with(|c: char| !c.is_ascii_digit())
                .then_some(())?;
            digits.parse().ok()
        });
        Self {
            process,
            client: Client::new(port),
        }
    }

    /// SIGTERM, then the end; returns the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.process.signal(Signal::TERM);
        self.process.wait().code()
    }
}
