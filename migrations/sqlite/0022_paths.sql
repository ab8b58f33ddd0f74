-- Ways to rows that were found by reading all of a tenant's.
CREATE INDEX identifier_assignment_of ON identifier_assignment (tenant, value_index);
CREATE INDEX identity_check_since ON identity_check (tenant, since_at, person);
