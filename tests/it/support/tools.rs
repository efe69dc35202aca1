//! Two scanners of the tests' own, so that what a scan finds and how long it takes is theirs to say.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use securescan::domain::{RawFinding, ScanType, Severity};
use securescan::scanners::external::{Tool, ToolRun};
use securescan::scanners::registry::{Kind, Registered, Registry};
use securescan::scanners::{ScanContext, ScannerError, ScannerInfo, standard};

/// Scans of this type run [`Holder`].
pub const HELD: &str = "network";
/// Scans of this type run [`Script`].
pub const SCRIPTED: &str = "dast";
/// The file whose lines [`Script`] reports.
pub const SCRIPT_FILE: &str = "findings.txt";

/// Holds every scan of its type until the gate opens or the scan is cancelled.
#[derive(Debug, Default)]
pub struct Holder {
    open: AtomicBool,
    inside: AtomicUsize,
}

impl Holder {
    pub fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// Returns how many scans are held.
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }
}

struct Gate(Arc<Holder>);

impl Tool for Gate {
    fn info(&self) -> ScannerInfo {
        info("holder", ScanType::Network)
    }

    fn program(&self) -> &'static str {
        "holder"
    }

    fn scan(&self, _program: &Path, context: &ScanContext) -> Result<ToolRun, ScannerError> {
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        while !self.0.open.load(Ordering::SeqCst) && !context.cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        if context.cancel.is_cancelled() {
            return Err(ScannerError::Cancelled);
        }
        Ok(ToolRun::default())
    }
}

/// Reports the lines of [`SCRIPT_FILE`] in the target: `severity|rule|file|line|title`. A line
/// `panic` makes it panic, `fail` makes it fail.
struct Script;

impl Tool for Script {
    fn info(&self) -> ScannerInfo {
        info("script", ScanType::Dast)
    }

    fn program(&self) -> &'static str {
        "script"
    }

    fn scan(&self, _program: &Path, context: &ScanContext) -> Result<ToolRun, ScannerError> {
        let file = context.target.root.join(SCRIPT_FILE);
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut run = ToolRun::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line {
                "panic" => panic!("the script says so"),
                "fail" => return Err(ScannerError::Unreadable("the script says so".into())),
                line => run.findings.push(finding(line)),
            }
        }
        Ok(run)
    }
}

fn finding(line: &str) -> RawFinding {
    let parts: Vec<&str> = line.split('|').collect();
    let [severity, rule, file, number, title] = parts[..] else {
        panic!("five parts, not {line:?}");
    };
    let severity: Severity = severity.parse().expect("a severity");
    RawFinding::new("script", ScanType::Dast, severity, rule, title)
        .described(format!("{title} in {file}"))
        .in_file(file)
        .at_line(number.parse().expect("a line number"))
        .placed(title)
}

fn info(name: &'static str, scan_type: ScanType) -> ScannerInfo {
    ScannerInfo {
        name,
        scan_type,
        description: "",
        checks: &[],
        install_hint: "",
        installable: false,
    }
}

/// The registry as shipped, with no program installed, and the two above.
pub fn registry(programs: &Path) -> (Registry, Arc<Holder>) {
    use std::os::unix::fs::PermissionsExt;
    for name in ["holder", "script"] {
        let path = programs.join(name);
        std::fs::write(&path, "").expect("a program file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let holder = Arc::new(Holder::default());
    let tools: [Arc<dyn Tool>; 2] = [Arc::new(Gate(Arc::clone(&holder))), Arc::new(Script)];
    let mut scanners = standard::registry(Vec::new()).all().to_vec();
    scanners.extend(tools.map(|tool| Registered {
        info: tool.info(),
        kind: Kind::Wrapped(tool),
    }));
    (Registry::new(scanners, vec![programs.to_owned()]), holder)
}
