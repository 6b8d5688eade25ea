-- Reports as they were made: figures do not change any more.
CREATE TABLE report (
    id        TEXT PRIMARY KEY,
    commune   TEXT REFERENCES commune (id), -- null is all
    from_time INTEGER NOT NULL,
    to_time   INTEGER NOT NULL CHECK (to_time > from_time),
    made      INTEGER NOT NULL,
    by        TEXT NOT NULL,
    digest    TEXT NOT NULL, -- SHA-256 of figures
    figures   TEXT NOT NULL  -- JSON
) STRICT;

CREATE INDEX report_by_time ON report (made, id);
