-- Service tokens of the CRM: the secret is not here, only its SHA-256.
CREATE TABLE service_token (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    scopes TEXT NOT NULL,
    purposes TEXT NOT NULL,
    operator TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT;

-- Every disclosure of a task's content with the decision that allowed it, written before the first
-- byte leaves; with the audit it is the accounting of disclosures (45 CFR 164.528).
CREATE TABLE disclosure (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    task BLOB NOT NULL,
    version INTEGER NOT NULL,
    token BLOB NOT NULL,
    purpose TEXT NOT NULL,
    fields TEXT NOT NULL,
    at INTEGER NOT NULL,
    result TEXT NOT NULL,
    reason_codes TEXT NOT NULL,
    channel TEXT,
    contact_point BLOB,
    valid_until INTEGER,
    consents TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, token) REFERENCES service_token (tenant, id)
) STRICT;
CREATE INDEX disclosure_of ON disclosure (tenant, person, at);

-- The id under which the CRM knows a person, sealed; the index finds one that is taken.
CREATE TABLE person_crm_id (
    tenant INTEGER NOT NULL,
    person BLOB NOT NULL,
    value_index BLOB NOT NULL,
    registered_at INTEGER NOT NULL,
    token BLOB NOT NULL,
    cell BLOB NOT NULL,
    PRIMARY KEY (tenant, person),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX person_crm_id_value ON person_crm_id (tenant, value_index);
