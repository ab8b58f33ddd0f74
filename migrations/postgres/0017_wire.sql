-- What enhanced mode still owes: one row a message that asked for an application acknowledgement
-- (MSH-16), written in the transaction in which the message ended.
ALTER TABLE message ADD COLUMN application_ack TEXT;

CREATE TABLE application_ack (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    source TEXT NOT NULL,
    message UUID NOT NULL,
    ack TEXT NOT NULL CHECK (ack IN ('AA', 'AE')),
    code TEXT,
    place TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'rejected', 'dropped')),
    attempts BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, message),
    FOREIGN KEY (tenant, message) REFERENCES message (tenant, id)
);
CREATE INDEX application_ack_waiting ON application_ack (tenant, source, id) WHERE state = 'waiting';

-- The sequence number protocol (MSH-13, MSA-4): the number that a source is to send next; NULL
-- where any number begins it.
CREATE TABLE sequence_number (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    source TEXT NOT NULL,
    expected BIGINT,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source)
);
