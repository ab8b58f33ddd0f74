-- Service tokens of the CRM: the secret is not here, only its SHA-256.
CREATE TABLE service_token (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    purposes TEXT NOT NULL,
    operator TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, id)
);

-- Every disclosure of a task's content with the decision that allowed it, written before the first
-- byte leaves; with the audit it is the accounting of disclosures (45 CFR 164.528).
CREATE TABLE disclosure (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    task UUID NOT NULL,
    version BIGINT NOT NULL,
    token UUID NOT NULL,
    purpose TEXT NOT NULL,
    fields TEXT NOT NULL,
    at BIGINT NOT NULL,
    result TEXT NOT NULL,
    reason_codes TEXT NOT NULL,
    channel TEXT,
    contact_point UUID,
    valid_until BIGINT,
    consents TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, token) REFERENCES service_token (tenant, id)
);
CREATE INDEX disclosure_of ON disclosure (tenant, person, at);

-- The id under which the CRM knows a person, sealed; the index finds one that is taken.
CREATE TABLE person_crm_id (
    tenant BIGINT NOT NULL,
    person UUID NOT NULL,
    value_index BYTEA NOT NULL,
    registered_at BIGINT NOT NULL,
    token UUID NOT NULL,
    cell BYTEA NOT NULL,
    PRIMARY KEY (tenant, person),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX person_crm_id_value ON person_crm_id (tenant, value_index);
