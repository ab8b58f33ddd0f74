-- Identity worked by people: who ended and made a link, identifiers that belong to somebody else
-- since a day, links that demographics propose, and what named people decided.
ALTER TABLE person_link ADD COLUMN message UUID;
ALTER TABLE person_link ADD COLUMN made_by TEXT;
ALTER TABLE person_link ADD COLUMN ended_by TEXT;

-- Who shares a contact point, and what went to it: caps hold for the number, whoever has it.
CREATE INDEX contact_point_value ON contact_point (tenant, value_index);
CREATE INDEX outbox_contact ON outbox (tenant, contact_point) WHERE contact_point IS NOT NULL;

-- An identifier belongs to another person since then. Its own row never moves; the newest event wins.
CREATE TABLE identifier_assignment (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    value_index BYTEA NOT NULL,
    person UUID NOT NULL,
    event_time BIGINT NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT,
    message UUID,
    made_by TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, value_index) REFERENCES person_identifier (tenant, value_index)
);
CREATE UNIQUE INDEX identifier_assignment_now ON identifier_assignment (tenant, value_index) WHERE until_at IS NULL;

-- People whose demographics changed and are to be compared with others.
CREATE TABLE identity_check (
    tenant BIGINT NOT NULL,
    person UUID NOT NULL,
    since_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, person),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);

-- Where to look for people who may be the same: a short keyed hash of family name and birth date,
-- which several people share by chance.
CREATE TABLE person_trait (
    tenant BIGINT NOT NULL,
    person UUID NOT NULL,
    value_index BYTEA NOT NULL,
    PRIMARY KEY (tenant, person, value_index),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX person_trait_by ON person_trait (tenant, value_index);

-- Two people who may be one. Only names of fields stand here; the values are read from their cells.
CREATE TABLE identity_proposal (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    low UUID NOT NULL,
    high UUID NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'linked', 'kept-apart', 'lapsed')),
    score BIGINT NOT NULL,
    agree TEXT NOT NULL,
    differ TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    proposed_at BIGINT NOT NULL,
    decided_at BIGINT,
    decided_by TEXT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, low) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, high) REFERENCES person (tenant, id)
);
CREATE UNIQUE INDEX identity_proposal_open ON identity_proposal (tenant, low, high) WHERE state = 'open';
CREATE INDEX identity_proposal_high ON identity_proposal (tenant, high);
CREATE INDEX identity_proposal_low ON identity_proposal (tenant, low);

-- What named people decided; the reason is sealed under the key of `person`.
CREATE TABLE identity_decision (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('link', 'keep-apart', 'unmerge', 'means', 'assign')),
    person UUID NOT NULL,
    other UUID,
    message UUID,
    at BIGINT NOT NULL,
    operator TEXT NOT NULL,
    cell BYTEA NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX identity_decision_of ON identity_decision (tenant, person);

-- Whom a held message means, said by a named person.
CREATE TABLE message_person (
    tenant BIGINT NOT NULL,
    message UUID NOT NULL,
    person UUID NOT NULL,
    at BIGINT NOT NULL,
    operator TEXT NOT NULL,
    PRIMARY KEY (tenant, message),
    FOREIGN KEY (tenant, message) REFERENCES message (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
