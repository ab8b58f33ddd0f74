-- Findings and the tasks that follow from them. Which rule it was is sealed: a rule's name tells a
-- diagnosis; `rule_index` is its keyed hash, so that counts per rule are possible for the hub only.
CREATE TABLE finding (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    key BYTEA NOT NULL,
    rule_index BYTEA NOT NULL,
    state TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    message UUID,
    cell BYTEA NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, key),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX finding_of ON finding (tenant, person);

CREATE TABLE task (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    finding UUID NOT NULL,
    key BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('observe', 'pilot', 'live')),
    routing_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    ask_at BIGINT,
    released_at BIGINT,
    message UUID,
    decision UUID,
    cell BYTEA NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, key),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, finding) REFERENCES finding (tenant, id)
);
CREATE INDEX task_of ON task (tenant, person);
CREATE INDEX task_released ON task (tenant, released_at) WHERE released_at IS NOT NULL;

-- People whose tasks leave in pilot mode.
CREATE TABLE pilot_person (
    tenant BIGINT NOT NULL,
    person UUID NOT NULL,
    since_at BIGINT NOT NULL,
    operator TEXT NOT NULL,
    PRIMARY KEY (tenant, person),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
