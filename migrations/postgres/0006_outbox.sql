-- The outbox: one row an envelope. Its id is the CloudEvents id and the AMQP message id.
CREATE TABLE outbox (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    task UUID NOT NULL,
    person UUID NOT NULL,
    version BIGINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('requested', 'revised', 'cancelled')),
    state TEXT NOT NULL CHECK (state IN
        ('waiting', 'publishing', 'sent', 'withdrawn', 'parked', 'dropped')),
    status_reason TEXT,
    routing_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    claim_token UUID,
    claim_deadline BIGINT,
    last_outcome TEXT,
    sent_at BIGINT,
    contact_point UUID,
    channel TEXT,
    message UUID,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, task, version),
    FOREIGN KEY (tenant, task) REFERENCES task (tenant, id)
);
CREATE INDEX outbox_due ON outbox (tenant, due_at) WHERE state = 'waiting';
CREATE INDEX outbox_publishing ON outbox (tenant, person) WHERE state = 'publishing';
CREATE INDEX outbox_sent_to ON outbox (tenant, person, sent_at) WHERE state = 'sent';

-- Answers of the CRM, each once.
CREATE TABLE task_event (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id TEXT NOT NULL,
    task UUID NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    applied BOOLEAN NOT NULL,
    PRIMARY KEY (tenant, id)
);
