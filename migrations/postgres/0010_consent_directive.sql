-- A restriction that a named person has read and lifted. The restriction itself stays on record; the
-- sealed cell says which one it was, and why.
CREATE TABLE restriction_lift (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    at BIGINT NOT NULL,
    operator TEXT NOT NULL,
    cell BYTEA NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX restriction_lift_of ON restriction_lift (tenant, person);
