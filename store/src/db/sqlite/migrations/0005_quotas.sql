-- How much communes and feeds may send. What has no row here is not bounded.
CREATE TABLE quota (
    kind TEXT NOT NULL CHECK (kind IN ('commune', 'feed')),
    id TEXT NOT NULL,
    -- The commune itself, or the feed's.
    commune TEXT NOT NULL REFERENCES commune (id),
    records_per_s INTEGER CHECK (records_per_s > 0),
    bytes_per_s INTEGER CHECK (bytes_per_s > 0),
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
