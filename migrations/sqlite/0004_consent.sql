-- Consent: entries, opt-outs, holds, and every decision with its reasons.
CREATE TABLE consent_entry (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    channel TEXT,
    purpose TEXT,
    content_class TEXT,
    permit INTEGER NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_until INTEGER,
    recorded_at INTEGER NOT NULL,
    revoked_at INTEGER,
    method TEXT NOT NULL,
    operator TEXT NOT NULL,
    evidence BLOB NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX consent_entry_of ON consent_entry (tenant, person);

-- An opt-out blocks a contact point (by `value_index`, for everybody who shares it), a channel of
-- a person, or the person altogether.
CREATE TABLE opt_out (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    value_index BLOB,
    channel TEXT,
    at INTEGER NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX opt_out_of ON opt_out (tenant, person);
CREATE INDEX opt_out_contact ON opt_out (tenant, value_index) WHERE value_index IS NOT NULL;

-- While a hold stands, nothing is published to or about the person.
CREATE TABLE outreach_hold (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    reason TEXT NOT NULL,
    since_at INTEGER NOT NULL,
    until_at INTEGER,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX outreach_hold_of ON outreach_hold (tenant, person);

CREATE TABLE consent_decision (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    task BLOB NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('made', 'published')),
    at INTEGER NOT NULL,
    result TEXT NOT NULL,
    reason_codes TEXT NOT NULL,
    sentence TEXT NOT NULL,
    next_allowed_at INTEGER,
    valid_until INTEGER,
    consents TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX consent_decision_of ON consent_decision (tenant, task, at);
