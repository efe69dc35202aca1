-- Adds the second identity of findings and the moment of a scan's request; the reference ignores both.

-- Empty for findings of the reference, whose source text is not at hand any more.
ALTER TABLE findings ADD COLUMN fingerprint_v2 TEXT NOT NULL DEFAULT '';

-- UTC; NULL for scans of the reference, which knows only when a scan started.
ALTER TABLE scans ADD COLUMN created_at TEXT;
