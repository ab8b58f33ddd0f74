-- Who did what: written in the transaction of the effect, never changed.
CREATE TABLE audit (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    purpose TEXT,
    entity_kind TEXT NOT NULL,
    entity_id UUID,
    message UUID,
    detail TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX audit_by_entity ON audit (tenant, entity_kind, entity_id);
