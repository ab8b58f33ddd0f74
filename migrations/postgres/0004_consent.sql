-- Consent: entries, opt-outs, holds, and every decision with its reasons.
CREATE TABLE consent_entry (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    channel TEXT,
    purpose TEXT,
    content_class TEXT,
    permit BOOLEAN NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_until BIGINT,
    recorded_at BIGINT NOT NULL,
    revoked_at BIGINT,
    method TEXT NOT NULL,
    operator TEXT NOT NULL,
    evidence BYTEA NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX consent_entry_of ON consent_entry (tenant, person);

-- An opt-out blocks a contact point (by `value_index`, for everybody who shares it), a channel of
-- a person, or the person altogether.
CREATE TABLE opt_out (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    value_index BYTEA,
    channel TEXT,
    at BIGINT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX opt_out_of ON opt_out (tenant, person);
CREATE INDEX opt_out_contact ON opt_out (tenant, value_index) WHERE value_index IS NOT NULL;

-- While a hold stands, nothing is published to or about the person.
CREATE TABLE outreach_hold (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    reason TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX outreach_hold_of ON outreach_hold (tenant, person);

CREATE TABLE consent_decision (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    task UUID NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('made', 'published')),
    at BIGINT NOT NULL,
    result TEXT NOT NULL,
    reason_codes TEXT NOT NULL,
    sentence TEXT NOT NULL,
    next_allowed_at BIGINT,
    valid_until BIGINT,
    consents TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX consent_decision_of ON consent_decision (tenant, task, at);
