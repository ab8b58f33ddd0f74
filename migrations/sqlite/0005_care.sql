-- Findings and the tasks that follow from them. Which rule it was is sealed: a rule's name tells a
-- diagnosis; `rule_index` is its keyed hash, so that counts per rule are possible for the hub only.
CREATE TABLE finding (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    key BLOB NOT NULL,
    rule_index BLOB NOT NULL,
    state TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    message BLOB,
    cell BLOB NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, key),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX finding_of ON finding (tenant, person);

CREATE TABLE task (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    finding BLOB NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('observe', 'pilot', 'live')),
    routing_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    ask_at INTEGER,
    released_at INTEGER,
    message BLOB,
    decision BLOB,
    cell BLOB NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, key),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, finding) REFERENCES finding (tenant, id)
) STRICT;
CREATE INDEX task_of ON task (tenant, person);
CREATE INDEX task_released ON task (tenant, released_at) WHERE released_at IS NOT NULL;

-- People whose tasks leave in pilot mode.
CREATE TABLE pilot_person (
    tenant INTEGER NOT NULL,
    person BLOB NOT NULL,
    since_at INTEGER NOT NULL,
    operator TEXT NOT NULL,
    PRIMARY KEY (tenant, person),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
