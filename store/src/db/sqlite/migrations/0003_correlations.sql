-- The state of correlations at a position of the bus, cut into pieces, of which one transaction
-- replaces all.
CREATE TABLE correlation_state (
    bus       BLOB NOT NULL CHECK (length(bus) = 16),
    partition INTEGER NOT NULL,
    next      INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    taken     INTEGER NOT NULL,
    PRIMARY KEY (bus, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE correlation_piece (
    bus       BLOB NOT NULL,
    partition INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    bytes     BLOB NOT NULL,
    PRIMARY KEY (bus, partition, number)
) STRICT;
