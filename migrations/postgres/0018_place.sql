-- Where this database lay when it was last started: the file, or the cluster and the database. A copy
-- that was put somewhere else is a restored one, and leaves outreach stopped.
CREATE TABLE store_place (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    place TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    PRIMARY KEY (tenant)
);
