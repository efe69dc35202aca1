-- A database of a reference before the added columns, with one of them added last, and no webhooks.
CREATE TABLE scans (
    id TEXT PRIMARY KEY, target_path TEXT NOT NULL, scan_types TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending', started_at TEXT, completed_at TEXT,
    findings_count INTEGER DEFAULT 0, risk_score REAL, summary TEXT, error TEXT
);
CREATE TABLE findings (
    id TEXT PRIMARY KEY, scan_id TEXT NOT NULL, scanner TEXT NOT NULL, scan_type TEXT NOT NULL,
    severity TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL, file_path TEXT,
    line_start INTEGER, line_end INTEGER, rule_id TEXT, cwe TEXT, remediation TEXT,
    metadata TEXT DEFAULT '{}',
    FOREIGN KEY (scan_id) REFERENCES scans(id)
);
ALTER TABLE findings ADD COLUMN compliance_tags TEXT DEFAULT '[]';
INSERT INTO scans VALUES ('s', '/srv/demo', '["code"]', 'completed', '2025-01-01T00:00:00', '2025-01-01T00:00:01', 1, 3.6, NULL, NULL);
INSERT INTO findings (id, scan_id, scanner, scan_type, severity, title, description) VALUES ('f', 's', 'secrets', 'code', 'info', 't', 'd');
