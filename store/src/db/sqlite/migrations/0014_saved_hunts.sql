-- Queries that somebody keeps.
CREATE TABLE saved_hunt (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    query   TEXT NOT NULL,
    note    TEXT,
    commune TEXT REFERENCES commune (id), -- null is all
    shared  INTEGER NOT NULL CHECK (shared IN (0, 1)),
    owner   TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE INDEX saved_hunt_by_owner ON saved_hunt (owner);
CREATE INDEX saved_hunt_by_commune ON saved_hunt (commune, shared);
