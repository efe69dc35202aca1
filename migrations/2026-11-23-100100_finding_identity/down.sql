-- Gives the reference its columns back as they were.
ALTER TABLE scans DROP COLUMN created_at;
ALTER TABLE findings DROP COLUMN fingerprint_v2;
