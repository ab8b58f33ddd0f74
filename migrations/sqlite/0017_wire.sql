-- What enhanced mode still owes: one row a message that asked for an application acknowledgement
-- (MSH-16), written in the transaction in which the message ended.
ALTER TABLE message ADD COLUMN application_ack TEXT;

CREATE TABLE application_ack (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    source TEXT NOT NULL,
    message BLOB NOT NULL,
    ack TEXT NOT NULL CHECK (ack IN ('AA', 'AE')),
    code TEXT,
    place TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'rejected', 'dropped')),
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, message),
    FOREIGN KEY (tenant, message) REFERENCES message (tenant, id)
) STRICT;
CREATE INDEX application_ack_waiting ON application_ack (tenant, source, id) WHERE state = 'waiting';

-- The sequence number protocol (MSH-13, MSA-4): the number that a source is to send next; NULL
-- where any number begins it.
CREATE TABLE sequence_number (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    source TEXT NOT NULL,
    expected INTEGER,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, source)
) STRICT;
