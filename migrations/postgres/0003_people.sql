-- People, by assertions of their sources. Cells are sealed under the person's own key.
CREATE TABLE person (
    tenant BIGINT NOT NULL REFERENCES tenant (id),
    id UUID NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    next_check_at BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX person_due ON person (tenant, next_check_at) WHERE next_check_at IS NOT NULL;

-- A person's key, wrapped under the tenant key. Without its row the person's cells are unreadable.
CREATE TABLE person_key (
    tenant BIGINT NOT NULL,
    person UUID NOT NULL,
    id BIGINT NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, person, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);

-- Who an identifier means. Rows never move; a merge is a link.
CREATE TABLE person_identifier (
    tenant BIGINT NOT NULL,
    value_index BYTEA NOT NULL,
    person UUID NOT NULL,
    cell BYTEA NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, value_index),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX person_identifier_of ON person_identifier (tenant, person);

-- A merge: from `since_at` on, `retired` is `survivor`. Ending it (`until_at`) undoes it.
CREATE TABLE person_link (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    retired UUID NOT NULL,
    survivor UUID NOT NULL,
    since_at BIGINT NOT NULL,
    until_at BIGINT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, retired) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, survivor) REFERENCES person (tenant, id)
);
CREATE UNIQUE INDEX person_link_retired ON person_link (tenant, retired) WHERE until_at IS NULL;
CREATE INDEX person_link_survivor ON person_link (tenant, survivor) WHERE until_at IS NULL;

-- What a message still says of a person, all of it in one cell, until newer messages have replaced it.
CREATE TABLE assertion (
    tenant BIGINT NOT NULL,
    person UUID NOT NULL,
    message UUID NOT NULL,
    cell BYTEA NOT NULL,
    PRIMARY KEY (tenant, person, message),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
CREATE INDEX assertion_of_message ON assertion (tenant, message);

-- Contact points that tasks refer to; equal numbers share a `value_index`, whoever has them.
CREATE TABLE contact_point (
    tenant BIGINT NOT NULL,
    id UUID NOT NULL,
    person UUID NOT NULL,
    value_index BYTEA NOT NULL,
    rank BIGINT NOT NULL,
    ended_at BIGINT,
    cell BYTEA NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, person, value_index),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
);
