-- Adds the completeness record: without it, "no findings" cannot be told from "not looked at".

-- What one scanner did in one scan that has ended; `position` is its place in the registry.
CREATE TABLE scan_scanners (
    scan_id TEXT NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    scanner TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    install_hint TEXT,
    version TEXT,
    -- Before deduplication.
    findings_count INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    files_seen INTEGER NOT NULL,
    bytes_seen INTEGER NOT NULL,
    -- A JSON object: how many files or folders were passed over, by reason.
    skipped TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (scan_id, position),
    CONSTRAINT scan_scanners_status_known CHECK (status IN ('completed', 'failed', 'skipped')),
    CONSTRAINT scan_scanners_counts_not_negative CHECK (
        position >= 0 AND findings_count >= 0 AND duration_ms >= 0 AND files_seen >= 0 AND bytes_seen >= 0
    ),
    CONSTRAINT scan_scanners_skipped_is_json CHECK (json_valid(skipped))
) STRICT, WITHOUT ROWID;
