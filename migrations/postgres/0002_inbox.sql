-- The inbox: every message that was acknowledged, until it is processed, ignored or held.
CREATE TABLE message (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    source TEXT NOT NULL,
    control_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    message_type TEXT NOT NULL,
    processing_id TEXT NOT NULL,
    event_time BIGINT,
    received_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    times_seen BIGINT NOT NULL DEFAULT 1,
    control_id_reused BOOLEAN NOT NULL DEFAULT FALSE,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'processed', 'ignored', 'held')),
    code TEXT,
    place TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    claim_token UUID,
    claim_until BIGINT,
    finished_at BIGINT,
    bundle TEXT,
    body BYTEA,
    body_bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, source, control_id, digest)
) WITH (fillfactor = 50); -- Room for the claim in the same page: it changes no index then.
CREATE INDEX message_waiting ON message (tenant, source, id) WHERE state = 'waiting';
CREATE INDEX message_by_state ON message (tenant, state, code);
CREATE INDEX message_to_purge ON message (tenant, finished_at) WHERE body IS NOT NULL;

-- Frames that were refused, counted; nothing of them is kept.
CREATE TABLE refused_frame (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    count BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source, reason)
);
