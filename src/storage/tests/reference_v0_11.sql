-- A database as reference v0.11 writes it, with a row in every table.
CREATE TABLE scans (
    id TEXT PRIMARY KEY, target_path TEXT NOT NULL, scan_types TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending', started_at TEXT, completed_at TEXT,
    findings_count INTEGER DEFAULT 0, risk_score REAL, summary TEXT, error TEXT,
    target_url TEXT, target_host TEXT, scanners_run TEXT DEFAULT '[]', scanners_skipped TEXT DEFAULT '[]'
);
CREATE TABLE findings (
    id TEXT PRIMARY KEY, scan_id TEXT NOT NULL, scanner TEXT NOT NULL, scan_type TEXT NOT NULL,
    severity TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL, file_path TEXT,
    line_start INTEGER, line_end INTEGER, rule_id TEXT, cwe TEXT, remediation TEXT,
    metadata TEXT DEFAULT '{}', fingerprint TEXT DEFAULT '', compliance_tags TEXT DEFAULT '[]',
    FOREIGN KEY (scan_id) REFERENCES scans(id)
);
CREATE TABLE finding_states (
    fingerprint TEXT PRIMARY KEY, status TEXT NOT NULL, note TEXT, updated_at TEXT NOT NULL, updated_by TEXT
);
CREATE TABLE finding_comments (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, text TEXT NOT NULL, author TEXT, created_at TEXT NOT NULL
);
CREATE TABLE sbom_documents (
    id TEXT PRIMARY KEY, scan_id TEXT, target_path TEXT NOT NULL,
    format TEXT NOT NULL DEFAULT 'cyclonedx', created_at TEXT NOT NULL,
    FOREIGN KEY (scan_id) REFERENCES scans(id)
);
CREATE TABLE sbom_components (
    id TEXT PRIMARY KEY, sbom_id TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT 'library', purl TEXT, license TEXT, supplier TEXT,
    FOREIGN KEY (sbom_id) REFERENCES sbom_documents(id)
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, key_hash TEXT NOT NULL, prefix TEXT NOT NULL,
    scopes TEXT NOT NULL, created_at TEXT NOT NULL, last_used_at TEXT, revoked_at TEXT
);
CREATE TABLE notifications (
    id TEXT PRIMARY KEY, type TEXT NOT NULL, title TEXT NOT NULL, body TEXT, link TEXT,
    severity TEXT NOT NULL DEFAULT 'info', created_at TEXT NOT NULL, read_at TEXT
);
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL, secret TEXT NOT NULL,
    event_filter TEXT NOT NULL, enabled INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL
);
CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY, webhook_id TEXT NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL,
    status TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, next_attempt_at TEXT NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, response_code INTEGER, response_body TEXT,
    FOREIGN KEY (webhook_id) REFERENCES webhooks(id)
);
CREATE INDEX idx_finding_states_status ON finding_states(status);
CREATE INDEX idx_finding_comments_fingerprint ON finding_comments(fingerprint);
CREATE INDEX idx_findings_scan_id ON findings(scan_id);
CREATE INDEX idx_api_keys_revoked ON api_keys(revoked_at);
CREATE INDEX idx_notifications_unread ON notifications(read_at, created_at DESC);
CREATE INDEX idx_webhook_deliveries_pending ON webhook_deliveries(status, next_attempt_at);
CREATE INDEX idx_webhook_deliveries_webhook ON webhook_deliveries(webhook_id, created_at DESC);

INSERT INTO scans VALUES ('05796b0b-8a04-413e-b982-28beca8582ff', '/srv/demo/clean', '["network", "code"]', 'completed', '2026-11-23T13:02:47.211736', '2026-11-23T13:02:48.262096', 2, 49.7, NULL, NULL, NULL, '127.0.0.1', '["bandit", "git-hygiene", "secrets", "semgrep"]', '[]');
INSERT INTO scans VALUES ('interrupted', '.', '["code"]', 'running', '2026-11-23T13:00:00', NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, '');
INSERT INTO scans VALUES ('cli', '.', '["iac", "iac"]', 'failed', NULL, NULL, NULL, NULL, NULL, 'gone', NULL, NULL, '[]', '[{"name": "checkov", "reason": "not installed", "install_hint": null}]');
INSERT INTO scans VALUES ('odd', '.', '["code"]', 'paused', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[]', '[]');
INSERT INTO findings VALUES ('2b1f6a36-cc99-4cc0-acbc-aa468d902b6b', '05796b0b-8a04-413e-b982-28beca8582ff', 'semgrep', 'code', 'high', 'INCOMPLETE SCAN: Semgrep scan timed out', 'Scan timed out after 1s', NULL, NULL, NULL, NULL, NULL, NULL, '{}', '8b63e2e4e048eb6c31fd5168dafca34e113449968cf80b4387b243c11ef18e35', '[]');
INSERT INTO findings VALUES ('second', '05796b0b-8a04-413e-b982-28beca8582ff', 'bandit', 'code', 'low', 't', 'd', 'a.py', 3, NULL, 'B1', NULL, NULL, NULL, NULL, NULL);
INSERT INTO findings VALUES ('orphan', 'deleted-scan', 'bandit', 'code', 'low', 't', 'd', 'a.py', 3, NULL, 'B1', NULL, NULL, '{"suppressed_by": "inline"}', '', '["A03"]');
INSERT INTO finding_states VALUES ('8b63e2e4e048eb6c31fd5168dafca34e113449968cf80b4387b243c11ef18e35', 'false_positive', 'é', '2026-11-23T12:44:36.518324', NULL);
INSERT INTO finding_comments VALUES ('c1', '8b63e2e4e048eb6c31fd5168dafca34e113449968cf80b4387b243c11ef18e35', 'hm', 'me', '2026-11-23T12:44:36.518324');
INSERT INTO sbom_documents VALUES ('d1', '05796b0b-8a04-413e-b982-28beca8582ff', '/srv/demo/shop', 'cyclonedx', '2026-11-23T12:44:39.343265');
INSERT INTO sbom_documents VALUES ('d2', 'unknown', '/srv/demo/clean', 'spdx', '2026-11-23T12:44:39.343265');
INSERT INTO sbom_components VALUES ('k1', 'd1', 'Django', '3.2.0', 'library', 'pkg:pypi/django@3.2.0', NULL, NULL);
INSERT INTO api_keys VALUES ('sqsOt72ez9', 'a', 'salt$hash', 'ssk_sqsOt72ez9_8', '["admin", "read"]', '2026-11-23T12:44:36', NULL, NULL);
INSERT INTO notifications VALUES ('f74dbe92-874c-4661-9292-cd1e1aa5bb98', 'scanner.failed', 'Scanner failed', 'nmap failed: ', '/scan/05796b0b-8a04-413e-b982-28beca8582ff', 'warning', '2026-11-23T13:02:48.251615', NULL);
INSERT INTO webhooks VALUES ('w1', 'ops', 'https://hooks.acme.example/in', 'whsec', '["scan.complete"]', 1, '2026-11-23T12:44:36.624922');
INSERT INTO webhook_deliveries VALUES ('e1', 'w1', 'scan.complete', '{"scan_id": "x"}', 'pending', 0, '2026-11-23T12:44:36', '2026-11-23T12:44:36', '2026-11-23T12:44:36', NULL, NULL);
INSERT INTO webhook_deliveries VALUES ('e2', 'deleted-webhook', 'scan.complete', '{}', 'failed', 3, '2026-11-23T12:44:36', '2026-11-23T12:44:36', '2026-11-23T12:44:36', 500, 'oops');
