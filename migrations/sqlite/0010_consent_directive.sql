-- A restriction that a named person has read and lifted. The restriction itself stays on record; the
-- sealed cell says which one it was, and why.
CREATE TABLE restriction_lift (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    at INTEGER NOT NULL,
    operator TEXT NOT NULL,
    cell BLOB NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX restriction_lift_of ON restriction_lift (tenant, person);
