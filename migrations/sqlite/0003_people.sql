-- People, by assertions of their sources. Cells are sealed under the person's own key.
CREATE TABLE person (
    tenant INTEGER NOT NULL REFERENCES tenant (id),
    id BLOB NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    next_check_at INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX person_due ON person (tenant, next_check_at) WHERE next_check_at IS NOT NULL;

-- A person's key, wrapped under the tenant key. Without its row the person's cells are unreadable.
CREATE TABLE person_key (
    tenant INTEGER NOT NULL,
    person BLOB NOT NULL,
    id INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, person, id),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;

-- Who an identifier means. Rows never move; a merge is a link.
CREATE TABLE person_identifier (
    tenant INTEGER NOT NULL,
    value_index BLOB NOT NULL,
    person BLOB NOT NULL,
    cell BLOB NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, value_index),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX person_identifier_of ON person_identifier (tenant, person);

-- A merge: from `since_at` on, `retired` is `survivor`. Ending it (`until_at`) undoes it.
CREATE TABLE person_link (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    retired BLOB NOT NULL,
    survivor BLOB NOT NULL,
    since_at INTEGER NOT NULL,
    until_at INTEGER,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, retired) REFERENCES person (tenant, id),
    FOREIGN KEY (tenant, survivor) REFERENCES person (tenant, id)
) STRICT;
CREATE UNIQUE INDEX person_link_retired ON person_link (tenant, retired) WHERE until_at IS NULL;
CREATE INDEX person_link_survivor ON person_link (tenant, survivor) WHERE until_at IS NULL;

-- What a message still says of a person, all of it in one cell, until newer messages have replaced it.
CREATE TABLE assertion (
    tenant INTEGER NOT NULL,
    person BLOB NOT NULL,
    message BLOB NOT NULL,
    cell BLOB NOT NULL,
    PRIMARY KEY (tenant, person, message),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
CREATE INDEX assertion_of_message ON assertion (tenant, message);

-- Contact points that tasks refer to; equal numbers share a `value_index`, whoever has them.
CREATE TABLE contact_point (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    person BLOB NOT NULL,
    value_index BLOB NOT NULL,
    rank INTEGER NOT NULL,
    ended_at INTEGER,
    cell BLOB NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, person, value_index),
    FOREIGN KEY (tenant, person) REFERENCES person (tenant, id)
) STRICT;
