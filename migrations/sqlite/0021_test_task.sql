-- Test tasks of `careloop crm check`: an invented task about an invented person, answered in fixed
-- words. No row of a person, a finding or a task belongs to it, so nothing counts it; who read it and
-- what was answered is kept here, since a disclosure is always about somebody.
CREATE TABLE test_task (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    contact_point BLOB NOT NULL,
    decision BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    token BLOB,
    read_at INTEGER,
    event TEXT,
    answer TEXT,
    answered_at INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT;
