-- The inbox: every message that was acknowledged, until it is processed, ignored or held.
CREATE TABLE message (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    source TEXT NOT NULL,
    control_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    message_type TEXT NOT NULL,
    processing_id TEXT NOT NULL,
    event_time INTEGER,
    received_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    times_seen INTEGER NOT NULL DEFAULT 1,
    control_id_reused INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'processed', 'ignored', 'held')),
    code TEXT,
    place TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    claim_token BLOB,
    claim_until INTEGER,
    finished_at INTEGER,
    bundle TEXT,
    body BLOB,
    body_bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, source, control_id, digest)
) STRICT;
CREATE INDEX message_waiting ON message (tenant, source, id) WHERE state = 'waiting';
CREATE INDEX message_by_state ON message (tenant, state, code);
CREATE INDEX message_to_purge ON message (tenant, finished_at) WHERE body IS NOT NULL;

-- Frames that were refused, counted; nothing of them is kept.
CREATE TABLE refused_frame (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, source, reason)
) STRICT;
