-- What was sent to a person is read with their record; without this, by reading the whole outbox.
CREATE INDEX outbox_of ON outbox (tenant, person);
