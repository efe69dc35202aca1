-- Adds an index for every list that the API offers; the reference reads whole tables for them.

CREATE INDEX scans_by_start ON scans (started_at);
CREATE INDEX scans_by_status ON scans (status, started_at);
CREATE INDEX scans_by_target ON scans (target_path);
-- The expression is that of storage/findings.rs, letter by letter: another one would not use the index.
CREATE INDEX findings_by_severity ON findings (
    scan_id,
    (CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END)
);
CREATE INDEX findings_by_fingerprint ON findings (fingerprint);
CREATE INDEX findings_by_fingerprint_v2 ON findings (fingerprint_v2);
CREATE INDEX sbom_components_by_document ON sbom_components (sbom_id);
CREATE INDEX sbom_documents_by_scan ON sbom_documents (scan_id);
CREATE INDEX sbom_documents_by_creation ON sbom_documents (created_at);
CREATE INDEX notifications_by_creation ON notifications (created_at);
CREATE INDEX webhook_deliveries_by_creation ON webhook_deliveries (status, created_at);
