-- Who did what: written in the transaction of the effect, never changed.
CREATE TABLE audit (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    purpose TEXT,
    entity_kind TEXT NOT NULL,
    entity_id BLOB,
    message BLOB,
    detail TEXT,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX audit_by_entity ON audit (tenant, entity_kind, entity_id);
