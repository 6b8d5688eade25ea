-- What analysts say about incidents, and what an incident's risk adds up from.

ALTER TABLE incident ADD COLUMN severity_detected INTEGER NOT NULL DEFAULT 0
    CHECK (severity_detected BETWEEN 0 AND 4);
ALTER TABLE incident ADD COLUMN severity_override TEXT; -- JSON: reason, by, at
ALTER TABLE incident ADD COLUMN rules_points INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incident ADD COLUMN risk_score INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incident ADD COLUMN assignee TEXT;
ALTER TABLE incident ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
ALTER TABLE incident ADD COLUMN acknowledged INTEGER;
ALTER TABLE incident ADD COLUMN resolved INTEGER;
ALTER TABLE incident ADD COLUMN closed INTEGER;
-- The incident that has its detections now.
ALTER TABLE incident ADD COLUMN merged_into BLOB CHECK (length(merged_into) = 16);
-- When it last changed, but later than every change before it: the order in which changes became
-- visible.
ALTER TABLE incident ADD COLUMN change INTEGER NOT NULL DEFAULT 0;

UPDATE incident SET severity_detected = severity, change = seq,
    acknowledged = CASE status WHEN 'new' THEN NULL ELSE updated END,
    resolved = CASE WHEN status IN ('resolved', 'closed') THEN updated END,
    closed = CASE status WHEN 'closed' THEN updated END;

CREATE UNIQUE INDEX incident_by_change ON incident (change) WHERE change > 0;

-- What an incident is found by, in lower case: apart, so that looking through all of it reads
-- nothing else.
CREATE TABLE incident_text (
    incident INTEGER PRIMARY KEY REFERENCES incident (seq),
    text     TEXT NOT NULL
) STRICT;

INSERT INTO incident_text SELECT seq, lower(commune || '-' || number || char(10) || title
    || char(10) || entities || char(10) || tags) FROM incident;

-- For the orders of lists other than by update; each holds what lists filter by most.
CREATE INDEX incident_by_severity ON incident (severity DESC, id, status, commune, assignee);
CREATE INDEX incident_by_risk ON incident (risk_score DESC, id, status, commune, severity);
CREATE INDEX incident_by_creation ON incident (created DESC, id, status, commune, severity);
CREATE INDEX incident_by_assignee ON incident (assignee, updated DESC, id)
    WHERE assignee IS NOT NULL;

-- Comments that only those who see all communes may read.
ALTER TABLE timeline ADD COLUMN soc_only INTEGER NOT NULL DEFAULT 0 CHECK (soc_only IN (0, 1));

-- The rules that fired in an incident.
CREATE TABLE incident_rule (
    incident   INTEGER NOT NULL REFERENCES incident (seq),
    commune    TEXT NOT NULL,
    rule       TEXT NOT NULL,
    name       TEXT NOT NULL,
    level      INTEGER NOT NULL CHECK (level BETWEEN 0 AND 4),
    detections INTEGER NOT NULL,
    PRIMARY KEY (incident, rule)
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_rule_by_rule ON incident_rule (rule, incident, commune);

INSERT INTO incident_rule (incident, commune, rule, name, level, detections)
SELECT incident, commune, body ->> '$.rule.id', max(body ->> '$.rule.name'),
    max(CASE body ->> '$.rule.level' WHEN 'low' THEN 1 WHEN 'medium' THEN 2 WHEN 'high' THEN 3
        WHEN 'critical' THEN 4 ELSE 0 END), count(*)
FROM detection WHERE incident IS NOT NULL GROUP BY incident, body ->> '$.rule.id';

-- The tactics of what was opened before are not added to: it is as severe as it was.
UPDATE incident SET rules_points = coalesce((
    SELECT sum(CASE level WHEN 1 THEN 5 WHEN 2 THEN 20 WHEN 3 THEN 60 WHEN 4 THEN 150 ELSE 0 END)
    FROM incident_rule WHERE incident = seq), 0);
UPDATE incident SET risk_score = rules_points;
