-- How the hub stands, written every few seconds by the process that runs it, for whoever asks from
-- outside; troubles, told once and resolved once; and stops of all outreach.
CREATE TABLE feed_standing (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    source TEXT NOT NULL,
    at BIGINT NOT NULL,
    listening BOOLEAN NOT NULL,
    connections BIGINT NOT NULL,
    last_received_at BIGINT,
    PRIMARY KEY (tenant, source)
);

CREATE TABLE queue_standing (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    queue TEXT NOT NULL,
    at BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    consumers BIGINT NOT NULL,
    PRIMARY KEY (tenant, queue)
);

CREATE TABLE trouble (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    told_at BIGINT,
    resolved_at BIGINT,
    resolution_told_at BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX trouble_open ON trouble (tenant, kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX trouble_untold ON trouble (tenant, since_at) WHERE told_at IS NULL OR (resolved_at IS NOT NULL AND resolution_told_at IS NULL);

-- While one is not lifted, everything is computed and nothing leaves.
CREATE TABLE outreach_stop (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    reason TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    operator TEXT NOT NULL,
    lifted_at BIGINT,
    lifted_by TEXT,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX task_open_by_team ON task (tenant, routing_key, changed_at) WHERE state = 'requested';
