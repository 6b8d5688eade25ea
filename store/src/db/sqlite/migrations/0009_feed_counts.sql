-- What is counted of each feed, as JSON, and the devices that it was seen to watch or should.

ALTER TABLE feed_activity ADD COLUMN counts TEXT NOT NULL DEFAULT '{}';

CREATE TABLE feed_device (
    feed     TEXT NOT NULL,
    device   TEXT NOT NULL, -- its name in lower case
    name     TEXT NOT NULL,
    first    INTEGER, -- null where it was never seen
    last     INTEGER,
    declared INTEGER, -- since when it is in the inventory; null where it is not
    PRIMARY KEY (feed, device)
) STRICT, WITHOUT ROWID;
