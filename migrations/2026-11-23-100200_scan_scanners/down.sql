-- Drops the completeness record; scans keep their lists of scanners run and skipped.
DROP TABLE scan_scanners;
