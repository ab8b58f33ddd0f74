-- The second wall between tenants: every row policy compares with the transaction's tenant, and
-- fails closed where none is set. Forced, so that even the owner is bound by it. The application
-- role may read and write rows, and only insert into the audit.
DO $$
DECLARE name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'tenant_key', 'lease', 'message', 'refused_frame', 'person', 'person_key',
        'person_identifier', 'person_link', 'assertion', 'contact_point', 'consent_entry',
        'opt_out', 'outreach_hold', 'consent_decision', 'finding', 'task', 'pilot_person',
        'outbox', 'task_event', 'audit']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant_only ON %I USING (tenant = nullif(current_setting(''careloop.tenant'', true), '''')::bigint) WITH CHECK (tenant = nullif(current_setting(''careloop.tenant'', true), '''')::bigint)',
            name);
    END LOOP;
END $$;
