//! The one place that starts programs: each in a process group of its own, with bounds on time and
//! output, and never left behind.
//!
//! Invariant: when [`Invocation::run`] returns or panics, the program has been reaped and every
//! process of its group has been sent SIGKILL. The group is signalled only while its leader is
//! unreaped, so its number cannot have been given to somebody else.
//! Bounds: [`Invocation::time_limit`], [`Invocation::stdout_limit`], [`STDERR_KEPT`], [`GRACE`]. A
//! process that left the group keeps running, as a session of its own may; nobody waits for it.
//!
//! One loop polls both pipes, the exit and the cancel flag. No threads: one that reads a pipe which
//! an escaped process holds open could not be stopped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::scanners::{CancelFlag, ScannerError, ScannerSettings};

/// Longest time between two looks at the cancel flag.
const POLL: Duration = Duration::from_millis(20);
/// The same when nothing but the exit is left to come.
const SHORT_POLL: Duration = Duration::from_millis(1);
/// Time to end in good order before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Longest time spent on what is left in the pipes after the exit.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes kept of the end of stderr.
const STDERR_KEPT: usize = 64 * 1024;
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Characters of a stderr line that enter an error.
const LINE_SHOWN: usize = 300;
/// Tries to start a program that is being written at the moment.
const BUSY_TRIES: u32 = 20;

/// A program about to run: no shell, stdin empty, the environment exactly as given here.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    time_limit: Duration,
    stdout_limit: u64,
}

impl Invocation {
    /// Prepares a program with the common environment and the configured limits.
    pub(super) fn new(program: &Path, directory: &Path, settings: &ScannerSettings) -> Self {
        Self {
            program: program.to_path_buf(),
            arguments: Vec::new(),
            directory: directory.to_path_buf(),
            environment: settings
                .tool_environment
                .common()
                // Python otherwise may load modules from the working directory, the scanned project.
                .chain([("PYTHONSAFEPATH", "1")])
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            time_limit: settings.tool_timeout,
            stdout_limit: settings.tool_output_limit,
        }
    }

    /// Adds arguments.
    pub(super) fn with<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets variables.
    pub(super) fn with_variables<'a>(
        mut self,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        self.environment.extend(
            variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        self
    }

    /// Shortens the time limit.
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.time_limit = self.time_limit.min(limit);
        self
    }

    /// Runs the program to its end. Blocks.
    ///
    /// # Errors
    /// `Cancelled`; `TimedOut`; `Unreadable` when it writes more than allowed; `Crashed` when it
    /// cannot be started or watched. An exit code other than 0 is for the caller to judge.
    pub(super) fn run(&self, cancel: &CancelFlag) -> Result<Output, ScannerError> {
        if cancel.is_cancelled() {
            return Err(ScannerError::Cancelled);
        }
        let started = Instant::now();
        let mut child = self.spawn().map_err(|error| {
            ScannerError::Crashed(format!("{} cannot be started: {error}", self.name()))
        })?;
        let pipes = Pipes::new(&mut child, self.stdout_limit);
        let mut running = Running {
            group: Group::new(child),
            pipes,
        };
        match running.watch(cancel, started, self.time_limit) {
            Ok(()) => running.conclude().map_err(|error| self.lost(&error)),
            Err(Stop::Lost(error)) => Err(self.lost(&error)),
            Err(stop) => {
                running.terminate();
                Err(match stop {
                    Stop::Cancelled => ScannerError::Cancelled,
                    Stop::TooMuch => self.too_much(),
                    Stop::TooLong | Stop::Lost(_) => ScannerError::TimedOut(self.time_limit),
                })
            }
        }
        .and_then(|output| {
            if output.is_cut_off {
                Err(self.too_much())
            } else {
                Ok(output)
            }
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that starts programs"
    )]
    fn spawn(&self) -> io::Result<Child> {
        // A relative program would be looked up in the scanned project.
        let program = std::path::absolute(&self.program)?;
        let mut command = std::process::Command::new(program);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(&self.environment)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut tries = 1;
        loop {
            match command.spawn() {
                // Just installed: whoever wrote it, or a fork of theirs, has not closed it yet.
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
                {
                    tries += 1;
                    std::thread::sleep(POLL);
                }
                result => return result,
            }
        }
    }

    fn name(&self) -> String {
        self.program
            .file_name()
            .unwrap_or(self.program.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    fn lost(&self, error: &io::Error) -> ScannerError {
        ScannerError::Crashed(format!("{} cannot be watched: {error}", self.name()))
    }

    fn too_much(&self) -> ScannerError {
        ScannerError::Unreadable(format!("more than {} bytes", self.stdout_limit))
    }
}

/// What a program left when it ended by itself.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The last [`STDERR_KEPT`] bytes.
    pub(super) stderr: Vec<u8>,
    is_cut_off: bool,
}

impl Output {
    /// Says how the program ended and what it said last: the reason shown for a failed scanner.
    pub(super) fn last_words(&self) -> String {
        let ending = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "unknown end".to_owned(),
        };
        let text = String::from_utf8_lossy(&self.stderr);
        let line = text
            .lines()
            .rev()
            .map(shown)
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        if line.is_empty() {
            ending
        } else {
            format!("{ending}: {line}")
        }
    }
}

/// Makes one line of a tool's words safe to show: no control characters, bounded.
pub(super) fn shown(line: &str) -> String {
    let line = line.trim();
    let mut text: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LINE_SHOWN)
        .collect();
    if line.chars().count() > LINE_SHOWN {
        text.push('…');
    }
    text
}

/// Why a program is not left to end by itself.
enum Stop {
    Cancelled,
    TooLong,
    TooMuch,
    Lost(io::Error),
}

struct Running {
    group: Group,
    pipes: Pipes,
}

impl Running {
    /// Reads until the leader has exited.
    fn watch(
        &mut self,
        cancel: &CancelFlag,
        started: Instant,
        limit: Duration,
    ) -> Result<(), Stop> {
        loop {
            if cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            if self.group.has_exited().map_err(Stop::Lost)? {
                return Ok(());
            }
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Stop::TooLong);
            }
            self.pipes.pump(left).map_err(Stop::Lost)?;
            if self.pipes.is_over() {
                return Err(Stop::TooMuch);
            }
        }
    }

    /// Ends what the leader left behind and reads what it wrote.
    fn conclude(mut self) -> io::Result<Output> {
        self.group.signal(Signal::KILL);
        // What the leader wrote is in the pipes already: no need to wait for more.
        let deadline = Instant::now() + DRAIN;
        while !self.pipes.is_over()
            && Instant::now() < deadline
            && self.pipes.pump(Duration::ZERO)?
        {}
        let status = self.group.reap()?;
        Ok(Output {
            status,
            is_cut_off: self.pipes.is_over(),
            stdout: std::mem::take(&mut self.pipes.stdout_bytes),
            stderr: std::mem::take(&mut self.pipes.stderr_bytes),
        })
    }

    /// Asks the group to end, and makes it when it does not. The pipes are read on, so that nobody
    /// is stuck in a write.
    fn terminate(mut self) {
        self.group.signal(Signal::TERM);
        let deadline = Instant::now() + GRACE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let is_over = self.group.has_exited().unwrap_or(true) && self.pipes.are_closed();
            if is_over || left.is_zero() || self.pipes.pump(left).is_err() {
                break;
            }
            self.pipes.stdout_bytes.clear();
        }
        // Dropping the group kills whoever is left and reaps the leader.
    }
}

/// A process group by its leader.
struct Group {
    leader: Child,
    id: Pid,
    is_reaped: bool,
}

impl Group {
    fn new(leader: Child) -> Self {
        let id = Pid::from_child(&leader);
        Self {
            leader,
            id,
            is_reaped: false,
        }
    }

    /// Looks without reaping: the leader's number stays taken, and with it the group's.
    fn has_exited(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::Pid(self.id), options) {
            Ok(status) => Ok(status.is_some()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn signal(&self, signal: Signal) {
        debug_assert!(!self.is_reaped, "the number may be somebody else's by now");
        // Fails only when nobody of the group is left to hear it.
        let _heard = rustix::process::kill_process_group(self.id, signal).is_ok();
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.leader.wait()?;
        self.is_reaped = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.signal(Signal::KILL);
            if let Err(error) = self.reap() {
                log::error!("a tool's process cannot be reaped: {error}");
            }
        }
    }
}

/// Our ends of the program's output.
struct Pipes {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    stdout_bytes: Vec<u8>,
    stderr_bytes: Vec<u8>,
    stdout_limit: usize,
    buffer: Vec<u8>,
}

impl Pipes {
    fn new(child: &mut Child, stdout_limit: u64) -> Self {
        Self {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            stdout_bytes: Vec::new(),
            stderr_bytes: Vec::new(),
            stdout_limit: usize::try_from(stdout_limit).unwrap_or(usize::MAX),
            buffer: vec![0; CHUNK],
        }
    }

    fn are_closed(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    fn is_over(&self) -> bool {
        self.stdout_bytes.len() > self.stdout_limit
    }

    /// Waits at most [`POLL`] for something to read, and reads it; tells whether there was anything.
    fn pump(&mut self, at_most: Duration) -> io::Result<bool> {
        if self.are_closed() {
            std::thread::sleep(at_most.min(SHORT_POLL));
            return Ok(false);
        }
        let (stdout_ready, stderr_ready) = self.wait(at_most.min(POLL))?;
        if stdout_ready {
            let Self {
                stdout,
                stdout_bytes,
                buffer,
                ..
            } = self;
            // At most a chunk beyond the limit is kept: [`Self::is_over`] is asked after each.
            read_some(stdout, buffer, |bytes| {
                stdout_bytes.extend_from_slice(bytes)
            });
        }
        if stderr_ready {
            let Self {
                stderr,
                stderr_bytes,
                buffer,
                ..
            } = self;
            read_some(stderr, buffer, |bytes| {
                stderr_bytes.extend_from_slice(bytes);
                let surplus = stderr_bytes.len().saturating_sub(STDERR_KEPT);
                stderr_bytes.drain(..surplus);
            });
        }
        Ok(stdout_ready || stderr_ready)
    }

    /// Tells which pipes can be read without blocking.
    fn wait(&self, at_most: Duration) -> io::Result<(bool, bool)> {
        let mut polled = Vec::with_capacity(2);
        if let Some(pipe) = &self.stdout {
            polled.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        if let Some(pipe) = &self.stderr {
            polled.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok((false, false)),
            Err(error) => return Err(error.into()),
        }
        let mut ready = polled.iter().map(|pipe| !pipe.revents().is_empty());
        let stdout_ready = self.stdout.is_some() && ready.next().unwrap_or(false);
        let stderr_ready = self.stderr.is_some() && ready.next().unwrap_or(false);
        Ok((stdout_ready, stderr_ready))
    }
}

/// Reads once from a pipe that is ready; at its end, or when it is broken, closes it.
fn read_some<R: Read>(pipe: &mut Option<R>, buffer: &mut [u8], take: impl FnOnce(&[u8])) {
    let Some(open) = pipe else { return };
    match open.read(buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => take(buffer.get(..count).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => *pipe = None,
    }
}

#[cfg(test)]
mod tests;
