-- The outbox: one row an envelope. Its id is the CloudEvents id and the AMQP message id.
CREATE TABLE outbox (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    task BLOB NOT NULL,
    person BLOB NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('requested', 'revised', 'cancelled')),
    state TEXT NOT NULL CHECK (state IN
        ('waiting', 'publishing', 'sent', 'withdrawn', 'parked', 'dropped')),
    status_reason TEXT,
    routing_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    claim_token BLOB,
    claim_deadline INTEGER,
    last_outcome TEXT,
    sent_at INTEGER,
    contact_point BLOB,
    channel TEXT,
    message BLOB,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, task, version),
    FOREIGN KEY (tenant, task) REFERENCES task (tenant, id)
) STRICT;
CREATE INDEX outbox_due ON outbox (tenant, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_publishing ON outbox (tenant, person) WHERE state = 'publishing';
CREATE INDEX outbox_sent_to ON outbox (tenant, person, sent_at) WHERE state = 'sent';

-- Answers of the CRM, each once.
CREATE TABLE task_event (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id TEXT NOT NULL,
    task BLOB NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    applied INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
