-- Tenants, their keys, and who owns which lane. `tenant` is the only table without row-level
-- security: it holds names and numbers, and is read before a tenant is known.
CREATE TABLE tenant (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

-- Keys wrapped under the root key (purpose `tenant`) or under the tenant key (`index`, `inbox`).
CREATE TABLE tenant_key (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    purpose TEXT NOT NULL CHECK (purpose IN ('tenant', 'index', 'inbox')),
    id INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'decrypt-only', 'destroyed')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, purpose, id)
) STRICT;

-- A lane (a source, a sweep) belongs to one process until its lease ends.
CREATE TABLE lease (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    name TEXT NOT NULL,
    token BLOB NOT NULL,
    until_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;
