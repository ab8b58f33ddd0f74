-- Since when, and until when, a tenant's keys are under a root key. The root keys themselves are not
-- in the database; a backup wants the one of its time.
CREATE TABLE root_key (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id INTEGER NOT NULL,
    since_at INTEGER NOT NULL,
    until_at INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT;

-- One tenant key and one index key wrap at a time, whoever rotates.
CREATE UNIQUE INDEX tenant_key_active ON tenant_key (tenant, purpose) WHERE state = 'active' AND purpose <> 'inbox';
