-- How the hub stands, written every few seconds by the process that runs it, for whoever asks from
-- outside; troubles, told once and resolved once; and stops of all outreach.
CREATE TABLE feed_standing (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    source TEXT NOT NULL,
    at INTEGER NOT NULL,
    listening INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    last_received_at INTEGER,
    PRIMARY KEY (tenant, source)
) STRICT;

CREATE TABLE queue_standing (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    queue TEXT NOT NULL,
    at INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    consumers INTEGER NOT NULL,
    PRIMARY KEY (tenant, queue)
) STRICT;

CREATE TABLE trouble (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    since_at INTEGER NOT NULL,
    told_at INTEGER,
    resolved_at INTEGER,
    resolution_told_at INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX trouble_open ON trouble (tenant, kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX trouble_untold ON trouble (tenant, since_at) WHERE told_at IS NULL OR (resolved_at IS NOT NULL AND resolution_told_at IS NULL);

-- While one is not lifted, everything is computed and nothing leaves.
CREATE TABLE outreach_stop (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    reason TEXT NOT NULL,
    since_at INTEGER NOT NULL,
    operator TEXT NOT NULL,
    lifted_at INTEGER,
    lifted_by TEXT,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE INDEX task_open_by_team ON task (tenant, routing_key, changed_at) WHERE state = 'requested';
