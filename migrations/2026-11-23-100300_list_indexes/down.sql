-- Drops our indexes; the reference's stay.
DROP INDEX scans_by_start;
DROP INDEX scans_by_status;
DROP INDEX scans_by_target;
DROP INDEX findings_by_severity;
DROP INDEX findings_by_fingerprint;
DROP INDEX findings_by_fingerprint_v2;
DROP INDEX sbom_components_by_document;
DROP INDEX sbom_documents_by_scan;
DROP INDEX sbom_documents_by_creation;
DROP INDEX notifications_by_creation;
DROP INDEX webhook_deliveries_by_creation;
