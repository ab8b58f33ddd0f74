-- Test tasks of `careloop crm check`: an invented task about an invented person, answered in fixed
-- words. No row of a person, a finding or a task belongs to it, so nothing counts it; who read it and
-- what was answered is kept here, since a disclosure is always about somebody.
CREATE TABLE test_task (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    person UUID NOT NULL,
    contact_point UUID NOT NULL,
    decision UUID NOT NULL,
    made_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    token UUID,
    read_at BIGINT,
    event TEXT,
    answer TEXT,
    answered_at BIGINT,
    PRIMARY KEY (tenant, id)
);
