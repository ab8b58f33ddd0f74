-- Where this database lay when it was last started: the file, or the cluster and the database. A copy
-- that was put somewhere else is a restored one, and leaves outreach stopped.
CREATE TABLE store_place (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    place TEXT NOT NULL,
    since_at INTEGER NOT NULL,
    PRIMARY KEY (tenant)
) STRICT;
