//! What is known of the scanners that this version recognises but cannot drive yet
//! (contract/scanners.md 3 to 14; the numbers of checks are those of contract/http-api.md 15.1).

use crate::domain::ScanType::{Dast, Dependency, Iac, Network};
use crate::scanners::ScannerInfo;

/// How to get ZAP (contract/http-api.md 7.4).
const ZAP_HINT: &str = "pip install python-owasp-zap-v2.4 then start the ZAP daemon: zap.sh -daemon -host 127.0.0.1 -port 8090 -config api.key=<key>; set SECURESCAN_ZAP_ADDRESS=http://127.0.0.1:8090 and SECURESCAN_ZAP_API_KEY=<key> in your environment (or ~/.config/securescan/.env)";

/// Trivy.
pub const TRIVY: ScannerInfo = ScannerInfo {
    name: "trivy",
    scan_type: Dependency,
    description: "Looks up packages of many ecosystems in databases of known vulnerabilities.",
    checks: &[
        "Known vulnerabilities of npm, pip, gem and cargo packages",
        "Outdated packages",
        "Packages of the operating system",
        "Container images",
        "Licences",
    ],
    install_hint: "See https://trivy.dev/docs/latest/getting-started/installation/",
    installable: false,
};

/// Checkov.
pub const CHECKOV: ScannerInfo = ScannerInfo {
    name: "checkov",
    scan_type: Iac,
    description: "Finds misconfigured infrastructure in Terraform, Kubernetes and other templates.",
    checks: &[
        "Permissions that are too broad",
        "Storage without encryption",
        "Open security groups",
        "Missing logs",
        "Unsafe pods",
        "Practice in Docker files",
    ],
    install_hint: "pip install checkov",
    installable: true,
};

/// Safety.
pub const SAFETY: ScannerInfo = ScannerInfo {
    name: "safety",
    scan_type: Dependency,
    description: "Looks up Python packages in a database of known vulnerabilities.",
    checks: &[
        "Known vulnerabilities of Python packages",
        "Versions that fix them",
        "Versions known to be bad",
        "Requirements files",
    ],
    install_hint: "pip install safety",
    installable: true,
};

/// The licence scanner.
pub const LICENSES: ScannerInfo = ScannerInfo {
    name: "licenses",
    scan_type: Dependency,
    description: "Finds dependencies under copyleft or unknown licences.",
    checks: &[
        "GPL and AGPL licences",
        "Unknown licences",
        "Compatibility of licences",
        "Packages of npm and pip",
    ],
    install_hint: "pip install pip-licenses",
    installable: true,
};

/// The audit of npm.
pub const NPM_AUDIT: ScannerInfo = ScannerInfo {
    name: "npm-audit",
    scan_type: Dependency,
    description: "Asks the npm registry for advisories on locked npm packages.",
    checks: &[
        "Known vulnerabilities of npm packages",
        "Patched versions",
        "Indirect dependencies",
        "npm's advisory database",
    ],
    install_hint: "Install Node.js from https://nodejs.org",
    installable: false,
};

/// The built-in look at a web application.
pub const BUILTIN_DAST: ScannerInfo = ScannerInfo {
    name: "builtin_dast",
    scan_type: Dast,
    description: "Looks at one answer of a running web application.",
    checks: &[
        "Missing security headers",
        "Headers that disclose software",
        "Flags of cookies",
    ],
    install_hint: "built-in, not part of this version",
    installable: false,
};

/// ZAP.
pub const ZAP: ScannerInfo = ScannerInfo {
    name: "zap",
    scan_type: Dast,
    description: "Lets a ZAP daemon attack a running web application.",
    checks: &["Active scan", "Spider", "Alerts by risk"],
    install_hint: ZAP_HINT,
    installable: false,
};

/// Nmap.
pub const NMAP: ScannerInfo = ScannerInfo {
    name: "nmap",
    scan_type: Network,
    description: "Finds open ports of a host and the services behind them.",
    checks: &[
        "Open ports",
        "Versions of services",
        "Risky ports",
        "Services without encryption",
    ],
    install_hint: "Install nmap: https://nmap.org/download.html",
    installable: false,
};
