-- SPDX-License-Identifier: ISC
-- The roles that the files after this grant rights to, and the schema's own
-- rights.  Each file grants what its subject needs.

-- Roles belong to the cluster: another database may have made them.
DO $$
DECLARE
  r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['pgpush_admin', 'pgpush_daemon'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r) THEN
      BEGIN
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', r);
      EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
          NULL;                          -- just now, in another database
        WHEN insufficient_privilege THEN
          RAISE EXCEPTION 'pgpush needs the role %, which is missing', r
            USING ERRCODE = 'insufficient_privilege', HINT = pg_catalog.format(
              'Run CREATE ROLE %I NOLOGIN as a role with CREATEROLE, or'
              ' install pgpush as one.', r);
      END;
    END IF;
  END LOOP;
END $$;

COMMENT ON SCHEMA pgpush IS
  'Pushes committed rows to browsers; see pgpush(7)';
REVOKE ALL ON SCHEMA pgpush FROM PUBLIC;
GRANT USAGE ON SCHEMA pgpush TO pgpush_admin, pgpush_daemon;

-- A copy of the schema without its rows has forgotten the numbers.
INSERT INTO pgpush.migrations (number)
SELECT n FROM generate_series(1, substring(
    obj_description('pgpush.migrations'::regclass) FROM '[0-9]+$')::int) n
ON CONFLICT DO NOTHING;

REVOKE ALL ON pgpush.migrations FROM PUBLIC;
GRANT SELECT ON pgpush.migrations TO pgpush_admin, pgpush_daemon;
-- An application's role that dumps its database locks and reads all that is
-- there, so an admin may read it.
GRANT SELECT ON ALL TABLES IN SCHEMA pgpush TO pgpush_admin;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA pgpush TO pgpush_admin;
