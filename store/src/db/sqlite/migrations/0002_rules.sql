-- Which rules were in force when, and what communes chose about them. Nothing here is deleted:
-- what ends says when and by whom, so that any moment can be asked for later.

CREATE TABLE rule_text (
    id      TEXT NOT NULL,
    version TEXT NOT NULL,
    title   TEXT NOT NULL,
    level   INTEGER NOT NULL CHECK (level BETWEEN 0 AND 4), -- 4 is critical
    text    TEXT NOT NULL,
    PRIMARY KEY (id, version)
) STRICT;

CREATE TABLE rule_activation (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL,
    version     TEXT NOT NULL,
    path        TEXT NOT NULL, -- the file it was read from, last seen
    began       INTEGER NOT NULL,
    began_cause TEXT NOT NULL,
    began_by    TEXT NOT NULL,
    ended       INTEGER, -- null while in force
    ended_cause TEXT,
    ended_by    TEXT,
    FOREIGN KEY (id, version) REFERENCES rule_text (id, version),
    CHECK (ended IS NULL OR ended >= began)
) STRICT;

CREATE UNIQUE INDEX rule_in_force ON rule_activation (id) WHERE ended IS NULL;
CREATE INDEX rule_activation_by_rule ON rule_activation (id, began);
CREATE INDEX rule_activation_by_time ON rule_activation (began, ended);

-- A commune's choice for the rules that a selector names: on, off, or another level.
CREATE TABLE rule_choice (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    commune  TEXT NOT NULL REFERENCES commune (id),
    selector TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('state', 'level')),
    effect   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    began    INTEGER NOT NULL,
    began_by TEXT NOT NULL,
    ended    INTEGER,
    ended_by TEXT
) STRICT;

CREATE UNIQUE INDEX rule_choice_in_force ON rule_choice (commune, selector, kind)
    WHERE ended IS NULL;
CREATE INDEX rule_choice_by_commune ON rule_choice (commune, began);

-- A commune's exception: a Sigma filter joined to the rules it names, until it expires.
CREATE TABLE rule_exception (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    commune  TEXT NOT NULL REFERENCES commune (id),
    title    TEXT NOT NULL,
    filter   TEXT NOT NULL,
    owner    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    expires  INTEGER NOT NULL,
    began    INTEGER NOT NULL,
    began_by TEXT NOT NULL,
    ended    INTEGER,
    ended_by TEXT
) STRICT;

CREATE INDEX rule_exception_by_commune ON rule_exception (commune, began);
