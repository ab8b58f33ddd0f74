-- Since when, and until when, a tenant's keys are under a root key. The root keys themselves are not
-- in the database; a backup wants the one of its time.
CREATE TABLE root_key (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id BIGINT NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT,
    PRIMARY KEY (tenant, id)
);

-- One tenant key and one index key wrap at a time, whoever rotates.
CREATE UNIQUE INDEX tenant_key_active ON tenant_key (tenant, purpose) WHERE state = 'active' AND purpose <> 'inbox';
