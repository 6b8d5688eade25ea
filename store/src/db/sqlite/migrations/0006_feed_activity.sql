-- When feeds sent something, in slots of five minutes; the row with an empty feed is when anybody
-- listened.
CREATE TABLE feed_activity (
    feed TEXT PRIMARY KEY,
    slots BLOB NOT NULL,
    first INTEGER,
    last INTEGER,
    silence_told INTEGER,
    end_told INTEGER
) STRICT, WITHOUT ROWID;
