-- What the CRM's answers leave behind: who took a task and when it goes to a wider team, contacts
-- that were made, findings that rest, contact points that are not the person's, and tasks that the
-- broker gave back.
ALTER TABLE task ADD COLUMN accepted_at BIGINT;
ALTER TABLE task ADD COLUMN contacts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN escalate_at BIGINT;
ALTER TABLE task ADD COLUMN escalations BIGINT NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN unanswered_at BIGINT;
CREATE INDEX task_escalates ON task (tenant, escalate_at) WHERE escalate_at IS NOT NULL;
CREATE INDEX task_unanswered ON task (tenant, unanswered_at) WHERE unanswered_at IS NOT NULL;
CREATE INDEX task_of_finding ON task (tenant, finding);

ALTER TABLE outbox ADD COLUMN returned_at BIGINT;
ALTER TABLE outbox ADD COLUMN returned_reason TEXT;

ALTER TABLE task_event ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE task_event ADD COLUMN topic UUID;
ALTER TABLE task_event ADD COLUMN effect TEXT NOT NULL DEFAULT '';
CREATE INDEX task_event_of ON task_event (tenant, task, at);

-- The EHR's value of a contact point that the CRM found to be somebody else's.
ALTER TABLE contact_point ADD COLUMN wrong_at BIGINT;

-- Contacts that were tried or made, as the CRM told: they count in the frequency caps of the person
-- and of everybody who shares the contact point.
CREATE TABLE contact_attempt (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    task UUID NOT NULL,
    contact_point UUID,
    value_index BYTEA,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, task) REFERENCES task (tenant, id)
);
CREATE INDEX contact_attempt_of ON contact_attempt (tenant, person, at);
CREATE INDEX contact_attempt_task ON contact_attempt (tenant, task);
CREATE INDEX contact_attempt_contact ON contact_attempt (tenant, value_index, at) WHERE value_index IS NOT NULL;

-- A finding that rests after its task has ended. When `until_at` comes it is raised again; without
-- it, it is not. `raised` counts the tasks made after one that came to nothing.
CREATE TABLE finding_rest (
    tenant BIGINT NOT NULL,
    finding UUID NOT NULL,
    person UUID NOT NULL,
    reason TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT,
    raised BIGINT NOT NULL,
    PRIMARY KEY (tenant, finding),
    FOREIGN KEY (tenant, finding) REFERENCES finding (tenant, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX finding_rest_of ON finding_rest (tenant, person);
