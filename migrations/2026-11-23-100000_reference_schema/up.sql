-- Creates the tables of the reference server v0.11 where they are missing, so that one file serves both programs.
--
-- In a file of the reference they are there already: storage/adopt.rs has added what older versions
-- lacked before this runs. Unlike the reference's, `sbom_documents.scan_id` refers to nothing: it
-- holds any text (`unknown`), and outlives its scan.

-- One scan: a request, its state and, once it has ended, its result in figures.
CREATE TABLE IF NOT EXISTS scans (
    id TEXT PRIMARY KEY NOT NULL,
    target_path TEXT NOT NULL,
    scan_types TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    started_at TEXT,
    completed_at TEXT,
    findings_count INTEGER DEFAULT 0,
    risk_score REAL,
    summary TEXT,
    error TEXT,
    target_url TEXT,
    target_host TEXT,
    scanners_run TEXT DEFAULT '[]',
    scanners_skipped TEXT DEFAULT '[]'
);

-- One finding of one scan; written once, when the scan completes.
CREATE TABLE IF NOT EXISTS findings (
    id TEXT PRIMARY KEY NOT NULL,
    scan_id TEXT NOT NULL REFERENCES scans (id),
    scanner TEXT NOT NULL,
    scan_type TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    file_path TEXT,
    line_start INTEGER,
    line_end INTEGER,
    rule_id TEXT,
    cwe TEXT,
    remediation TEXT,
    metadata TEXT DEFAULT '{}',
    fingerprint TEXT DEFAULT '',
    compliance_tags TEXT DEFAULT '[]'
);

-- The verdict of a person on a fingerprint, across scans.
CREATE TABLE IF NOT EXISTS finding_states (
    fingerprint TEXT PRIMARY KEY NOT NULL,
    status TEXT NOT NULL,
    note TEXT,
    updated_at TEXT NOT NULL,
    updated_by TEXT
);

-- One remark on a fingerprint.
CREATE TABLE IF NOT EXISTS finding_comments (
    id TEXT PRIMARY KEY NOT NULL,
    fingerprint TEXT NOT NULL,
    text TEXT NOT NULL,
    author TEXT,
    created_at TEXT NOT NULL
);

-- One generated bill of materials.
CREATE TABLE IF NOT EXISTS sbom_documents (
    id TEXT PRIMARY KEY NOT NULL,
    scan_id TEXT,
    target_path TEXT NOT NULL,
    format TEXT NOT NULL DEFAULT 'cyclonedx',
    created_at TEXT NOT NULL
);

-- One package in a bill of materials.
CREATE TABLE IF NOT EXISTS sbom_components (
    id TEXT PRIMARY KEY NOT NULL,
    sbom_id TEXT NOT NULL REFERENCES sbom_documents (id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT 'library',
    purl TEXT,
    license TEXT,
    supplier TEXT
);

-- One API key: a salted hash, never the key.
CREATE TABLE IF NOT EXISTS api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at TEXT NOT NULL,
    last_used_at TEXT,
    revoked_at TEXT
);

-- One line in the dashboard's bell.
CREATE TABLE IF NOT EXISTS notifications (
    id TEXT PRIMARY KEY NOT NULL,
    type TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT,
    link TEXT,
    severity TEXT NOT NULL DEFAULT 'info',
    created_at TEXT NOT NULL,
    read_at TEXT
);

-- One receiver of events.
CREATE TABLE IF NOT EXISTS webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    event_filter TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
);

-- One event owed to one receiver: the outbox.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id),
    event TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    response_code INTEGER,
    response_body TEXT
);

CREATE INDEX IF NOT EXISTS idx_finding_states_status ON finding_states (status);
CREATE INDEX IF NOT EXISTS idx_finding_comments_fingerprint ON finding_comments (fingerprint);
CREATE INDEX IF NOT EXISTS idx_findings_scan_id ON findings (scan_id);
CREATE INDEX IF NOT EXISTS idx_api_keys_revoked ON api_keys (revoked_at);
CREATE INDEX IF NOT EXISTS idx_notifications_unread ON notifications (read_at, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_webhook_deliveries_pending ON webhook_deliveries (status, next_attempt_at);
CREATE INDEX IF NOT EXISTS idx_webhook_deliveries_webhook ON webhook_deliveries (webhook_id, created_at DESC);
