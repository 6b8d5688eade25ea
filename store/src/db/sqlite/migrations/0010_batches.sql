-- Batches that their senders may repeat; the receipt is null while one is being taken.
CREATE TABLE batch (
    feed    TEXT NOT NULL,
    key     TEXT NOT NULL,
    digest  TEXT NOT NULL,
    receipt TEXT,
    begun   INTEGER NOT NULL,
    PRIMARY KEY (feed, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX batch_by_time ON batch (begun);
CREATE INDEX batch_pending ON batch (begun) WHERE receipt IS NULL;
