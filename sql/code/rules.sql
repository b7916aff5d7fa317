-- SPDX-License-Identifier: ISC
-- The rules: who may join a room, and which rooms a user starts in.  A rule is
-- a row that names a function; the daemon calls the functions through authorize
-- and greet_user below.
--
-- Those two run as pgpush's owner, so they call only functions that are
-- SECURITY DEFINER: such a function runs with its own owner's rights.  The
-- trigger on the table refuses every other function, and each call looks
-- again, because a function can be altered after it was registered.

CREATE OR REPLACE FUNCTION pgpush.compile(
  pattern text, OUT prefix text, OUT regex text, OUT names text[]
) LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  rest text := pattern;
  part text[];
BEGIN
  IF pattern = '' OR octet_length(pattern) > 200 OR pattern ~ '[\x01-\x1f\x7f]' THEN
    RAISE EXCEPTION 'pgpush: "%" is not a room pattern', pattern
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A pattern has 1 to 200 bytes and no control characters, for example order:{id}.';
  END IF;
  regex := '^';
  names := '{}';
  WHILE rest <> '' LOOP
    part := regexp_match(rest, '^([^{}]*)(\{([A-Za-z_][A-Za-z0-9_]*)\})?(.*)$');
    IF part[1] = '' AND (part[2] IS NULL OR regex LIKE '%([^:]+)') THEN
      RAISE EXCEPTION 'pgpush: cannot read the pattern "%" from "%" on', pattern, rest
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'A placeholder is written {name} (letters, digits, _); two need something between them; other braces are not allowed.';
    ELSIF part[3] = ANY (names) THEN
      RAISE EXCEPTION 'pgpush: {%} stands twice in the pattern "%"', part[3], pattern
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    prefix := coalesce(prefix, part[1]);
    regex := regex || regexp_replace(part[1], '([][\\.^$*+?()|])', '\\\1', 'g');
    IF part[2] IS NOT NULL THEN
      regex := regex || '([^:]+)';
      names := names || part[3];
    END IF;
    rest := part[4];
  END LOOP;
  regex := regex || '$';
END $$;
COMMENT ON FUNCTION pgpush.compile(text) IS
  'A room pattern such as order:{id} taken apart: what a room begins with, a regular expression, the names in it. Raises if it is no pattern.';

CREATE OR REPLACE FUNCTION pgpush.check_function(f regprocedure, arguments regtype[], result regtype)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p     record;
  owner regrole := (SELECT nspowner FROM pg_namespace WHERE nspname = 'pgpush');
BEGIN
  SELECT proc.*, n.nspname INTO STRICT p
    FROM pg_proc AS proc JOIN pg_namespace AS n ON n.oid = proc.pronamespace
   WHERE proc.oid = f;
  IF NOT pg_has_role(current_user, p.proowner, 'USAGE') THEN
    RAISE EXCEPTION 'pgpush: % does not own the function %', current_user, f
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('Register it as %s, or as a member of that role.', p.proowner::regrole);
  ELSIF p.prokind <> 'f' OR p.proretset OR p.prorettype <> result
        OR p.proargtypes::text <> array_to_string(arguments::oid[], ' ') THEN
    RAISE EXCEPTION 'pgpush: the function % has the wrong arguments or result', f
      USING ERRCODE = 'invalid_function_definition',
            HINT = format('It must be f(%s) RETURNS %s.', array_to_string(arguments, ', '), result);
  ELSIF NOT p.prosecdef THEN
    RAISE EXCEPTION 'pgpush: the function % is not SECURITY DEFINER', f
      USING ERRCODE = 'invalid_function_definition',
            HINT = format('pgpush must not lend it its own rights: ALTER FUNCTION %s SECURITY DEFINER;', f);
  ELSIF NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search\_path=%') THEN
    RAISE EXCEPTION 'pgpush: the function % has no fixed search_path', f
      USING ERRCODE = 'invalid_function_definition',
            HINT = format('For example: ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp;', f);
  ELSIF EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                 WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') THEN
    RAISE EXCEPTION 'pgpush: everybody may execute the function %', f
      USING ERRCODE = 'invalid_function_definition',
            HINT = format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC;', f);
  ELSIF NOT has_schema_privilege(owner, p.pronamespace, 'USAGE') THEN
    RAISE EXCEPTION 'pgpush: % may not use the schema % of the function %', owner, p.nspname, f
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('GRANT USAGE ON SCHEMA %I TO %s;', p.nspname, owner);
  END IF;
  EXECUTE format('GRANT EXECUTE ON FUNCTION %I.%I(%s) TO %s', p.nspname, p.proname,
                 pg_get_function_identity_arguments(f), owner);
END $$;
COMMENT ON FUNCTION pgpush.check_function(regprocedure, regtype[], regtype) IS
  'Raises unless the caller owns the function and it is fit to be called by pgpush; then grants EXECUTE to pgpush''s owner.';

-- Not SECURITY DEFINER: current_user must be the one who writes the rule.
CREATE OR REPLACE FUNCTION pgpush.rules_check() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f regprocedure := to_regprocedure(NEW.function);
BEGIN
  IF f IS NULL THEN
    RAISE EXCEPTION 'pgpush: there is no function %', NEW.function
      USING ERRCODE = 'undefined_function',
            HINT = 'Name it with its schema and argument types: public.f(text,jsonb,jsonb).';
  END IF;
  NEW.function := f;
  PERFORM pgpush.check_function(f,
    CASE NEW.kind
      WHEN 'allow'   THEN '{text,jsonb,jsonb}'
      WHEN 'greet'   THEN '{text,jsonb}'
      WHEN 'on'      THEN '{text,text,jsonb,jsonb}'
      WHEN 'present' THEN '{text,boolean,"timestamp with time zone"}'
    END::regtype[],
    CASE NEW.kind
      WHEN 'allow'   THEN 'boolean'
      WHEN 'greet'   THEN 'text[]'
      WHEN 'on'      THEN 'jsonb'
      WHEN 'present' THEN 'void'
    END::regtype);
  SELECT NULL, NULL, NULL INTO NEW.prefix, NEW.regex, NEW.names;
  IF NEW.kind = 'on' THEN
    NEW.member := coalesce(NEW.member, true);
    NEW."grant" := coalesce(NEW."grant", false);
    NEW.batch := coalesce(NEW.batch, false);
    IF NEW.batch AND NEW."grant" THEN
      RAISE EXCEPTION 'pgpush: the handler of % cannot be both grant and batch', NEW.pattern
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'A handler of a batch changes no rooms, so it cannot be a way to join.';
    END IF;
    IF NEW.pattern = '' OR octet_length(NEW.pattern) > 200
       OR NEW.pattern ~ '[\x01-\x1f\x7f]' THEN
      RAISE EXCEPTION 'pgpush: "%" is not an event name', NEW.pattern
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'An event name has 1 to 200 bytes and no control characters.';
    END IF;
    PERFORM pgpush.compile(NEW.room);
  ELSE
    SELECT NULL, NULL, NULL, NULL
      INTO NEW.room, NEW.member, NEW."grant", NEW.batch;
    IF NEW.kind = 'allow' THEN
      SELECT * INTO NEW.prefix, NEW.regex, NEW.names FROM pgpush.compile(NEW.pattern);
    ELSE
      NEW.pattern := '';
    END IF;
  END IF;
  RETURN NEW;
END $$;
COMMENT ON FUNCTION pgpush.rules_check() IS
  'Trigger: checks a rule with the rights of the one who writes it, and fills in prefix, regex and names.';
CREATE OR REPLACE TRIGGER rules_check BEFORE INSERT OR UPDATE ON pgpush.rules
  FOR EACH ROW EXECUTE FUNCTION pgpush.rules_check();

-- Not SECURITY DEFINER either.  A rule whose function is gone is anybody's.
CREATE OR REPLACE FUNCTION pgpush.rules_owned() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  owner regrole := (SELECT proowner FROM pg_proc
    WHERE oid = to_regprocedure(OLD.function));
BEGIN
  IF owner IS NOT NULL AND NOT pg_has_role(current_user, owner, 'USAGE') THEN
    RAISE EXCEPTION 'pgpush: % does not own the function % of the rule',
      current_user, OLD.function
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('Do it as %s, or as a member of that role.', owner);
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
COMMENT ON FUNCTION pgpush.rules_owned() IS
  'Trigger: only the owner of its function may change or delete a rule.';
CREATE OR REPLACE TRIGGER rules_owned BEFORE UPDATE OR DELETE ON pgpush.rules
  FOR EACH ROW EXECUTE FUNCTION pgpush.rules_owned();

-- One row per transaction is enough: all its changes become visible at once.
CREATE OR REPLACE FUNCTION pgpush.rules_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pgpush.outbox
                  WHERE xid = pg_current_xact_id() AND kind = 'config') THEN
    INSERT INTO pgpush.outbox (kind, event) VALUES ('config', 'config');
    PERFORM pgpush.ring('rules');
  END IF;
  PERFORM pgpush.rules_write();
  RETURN NULL;
END $$;
COMMENT ON FUNCTION pgpush.rules_changed() IS
  'Trigger: tells the daemons, by an event of kind config, that a rule has changed.';
CREATE OR REPLACE TRIGGER rules_changed AFTER INSERT OR UPDATE OR DELETE ON pgpush.rules
  FOR EACH ROW EXECUTE FUNCTION pgpush.rules_changed();
CREATE OR REPLACE TRIGGER rules_truncated AFTER TRUNCATE ON pgpush.rules
  FOR EACH STATEMENT EXECUTE FUNCTION pgpush.rules_changed();

CREATE OR REPLACE FUNCTION pgpush.allow(pattern text, function regprocedure) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO pgpush.rules (kind, pattern, function) VALUES ('allow', $1, $2::text)
  ON CONFLICT (kind, pattern, function) DO NOTHING
$$;
COMMENT ON FUNCTION pgpush.allow(text, regprocedure) IS
  'Rooms such as order:{id} may be joined by those for whom f(user_id text, params jsonb, ctx jsonb) returns true. Of several rules any admits; without a rule nobody gets in.';

CREATE OR REPLACE FUNCTION pgpush.greet(function regprocedure) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO pgpush.rules (kind, function) VALUES ('greet', $1::text)
  ON CONFLICT (kind, pattern, function) DO NOTHING
$$;
COMMENT ON FUNCTION pgpush.greet(regprocedure) IS
  'f(user_id text, ctx jsonb) RETURNS text[] gives the rooms a user is in from the first moment, or NULL if there is no such user.';

CREATE OR REPLACE FUNCTION pgpush.present(function regprocedure) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO pgpush.rules (kind, function) VALUES ('present', $1::text)
  ON CONFLICT (kind, pattern, function) DO NOTHING
$$;
COMMENT ON FUNCTION pgpush.present(regprocedure) IS
  'f(user_id text, online boolean, last_seen timestamptz) RETURNS void is called when a user''s first connection comes and when the last has gone.';

CREATE OR REPLACE FUNCTION pgpush.forget(function regprocedure) RETURNS integer
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (DELETE FROM pgpush.rules AS r WHERE r.function = $1::text RETURNING 1)
  SELECT count(*)::integer FROM gone
$$;
COMMENT ON FUNCTION pgpush.forget(regprocedure) IS
  'Removes all rules that name this function; returns how many there were.';

-- authorize and greet_user are written anew whenever a rule changes, in the
-- transaction that changes it: one static call for each rule, which PostgreSQL
-- parses and plans once in a session.  By EXECUTE a join cost 210 us, a greeting
-- 159; see bench.

-- Altered since it was registered, a function could have pgpush's rights; so
-- each call looks again.
CREATE OR REPLACE FUNCTION pgpush.rule_call(function text, arguments text,
  OUT call text, OUT safe text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  f record;
BEGIN
  SELECT nspname, proname, proargtypes::text AS types INTO f
    FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace
   WHERE pg_proc.oid = to_regprocedure(function);
  IF FOUND THEN
    call := format('%I.%I(%s)', f.nspname, f.proname, arguments);
    safe := format('EXISTS (SELECT FROM pg_proc WHERE proname = %L AND proargtypes = %L
        AND pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = %L) AND prosecdef)',
      f.proname, f.types, f.nspname);
  ELSE
    call := format('%s(%s)', split_part(function, '(', 1), arguments);
    safe := format('coalesce((SELECT prosecdef FROM pg_proc
        WHERE oid = to_regprocedure(%L)), false)', function);
  END IF;
END $$;
COMMENT ON FUNCTION pgpush.rule_call(text, text) IS
  'For rules_write: the call of a rule''s function, and whether it is still SECURITY DEFINER; SQL text.';

-- A rule that does not match falls out by a cheap comparison of the prefix, and
-- only one that does costs a subtransaction.
CREATE OR REPLACE FUNCTION pgpush.authorize_body() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format(E'\n-- Written by pgpush.rules_write from the rules; see there.\nBEGIN\n'
    '  IF octet_length(room) > 200 THEN\n    RETURN false;\n  END IF;\n%s  RETURN false;\nEND ',
    string_agg(format($b$  IF starts_with(room, %1$L) AND room ~ %2$L THEN
    BEGIN
      IF NOT %3$s THEN
        RAISE EXCEPTION 'the function is gone or no longer SECURITY DEFINER';
      END IF;
      IF %4$s THEN
        RETURN true;
      END IF;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
      RAISE WARNING 'pgpush: the rule %% did not answer for room %%: %%', %5$L, room, SQLERRM
        USING ERRCODE = SQLSTATE;
    END;
  END IF;
$b$, prefix, regex, c.safe, c.call, function), '' ORDER BY id))
    FROM pgpush.rules, pgpush.rule_call(function, format('user_id, %s, ctx',
      CASE WHEN names = '{}' THEN '''{}''::jsonb' ELSE format(
        'jsonb_object(%L::text[], regexp_match(room, %L))', names, regex) END)) AS c
   WHERE kind = 'allow'
$$;
COMMENT ON FUNCTION pgpush.authorize_body() IS
  'For rules_write: the text of authorize.';

-- An exception ends the call: a failing greet function is neither "no rooms"
-- nor "no such user", and the daemon must not guess.
CREATE OR REPLACE FUNCTION pgpush.greet_user_body() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format(E'\n-- Written by pgpush.rules_write from the rules; see there.\n'
    'DECLARE\n  rooms text[];\n  every text[] := ''{}'';\nBEGIN\n%s'
    '  RETURN ARRAY(SELECT DISTINCT x FROM unnest(every) AS x\n'
    '                WHERE x <> '''' ORDER BY x);\nEND ',
    string_agg(format($b$  IF NOT %1$s THEN
    RAISE EXCEPTION 'pgpush: the greet function %% is gone or no longer SECURITY DEFINER', %3$L;
  END IF;
  rooms := %2$s;
  IF rooms IS NULL THEN
    RETURN NULL;
  END IF;
  every := every || rooms;
$b$, c.safe, c.call, function), '' ORDER BY id))
    FROM pgpush.rules, pgpush.rule_call(function, 'user_id, ctx') AS c
   WHERE kind = 'greet'
$$;
COMMENT ON FUNCTION pgpush.greet_user_body() IS
  'For rules_write: the text of greet_user.';

CREATE OR REPLACE FUNCTION pgpush.rules_write() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Of two that change rules at once the second sees what the first has done.
  PERFORM pg_advisory_xact_lock('pgpush.rules'::regclass::oid::int, 0);
  EXECUTE format('CREATE OR REPLACE FUNCTION pgpush.authorize(user_id text,'
    ' room text, ctx jsonb) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER'
    ' SET search_path = pg_catalog, pg_temp AS %L', pgpush.authorize_body());
  EXECUTE format('CREATE OR REPLACE FUNCTION pgpush.greet_user(user_id text,'
    ' ctx jsonb) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER'
    ' SET search_path = pg_catalog, pg_temp AS %L', pgpush.greet_user_body());
END $$;
COMMENT ON FUNCTION pgpush.rules_write() IS
  'Writes authorize and greet_user from the rules.';
SELECT pgpush.rules_write();
COMMENT ON FUNCTION pgpush.authorize(text, text, jsonb) IS
  'For the daemon: may this user join this room? True if any rule whose pattern matches says so; a rule that raises has said no. Written from the rules.';
COMMENT ON FUNCTION pgpush.greet_user(text, jsonb) IS
  'For the daemon: the rooms a new connection is in, of all greet functions together; NULL if one of them says that there is no such user. Written from the rules.';

REVOKE ALL ON pgpush.rules FROM PUBLIC;
REVOKE ALL ON FUNCTION
  pgpush.compile(text), pgpush.check_function(regprocedure, regtype[], regtype),
  pgpush.rules_check(), pgpush.rules_owned(), pgpush.rules_changed(),
  pgpush.rules_write(), pgpush.rule_call(text, text), pgpush.authorize_body(),
  pgpush.greet_user_body(),
  pgpush.allow(text, regprocedure), pgpush.greet(regprocedure),
  pgpush.present(regprocedure), pgpush.forget(regprocedure),
  pgpush.greet_user(text, jsonb), pgpush.authorize(text, text, jsonb)
  FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON pgpush.rules TO pgpush_admin;
GRANT EXECUTE ON FUNCTION
  pgpush.compile(text), pgpush.check_function(regprocedure, regtype[], regtype),
  pgpush.allow(text, regprocedure), pgpush.greet(regprocedure),
  pgpush.present(regprocedure), pgpush.forget(regprocedure) TO pgpush_admin;
GRANT EXECUTE ON FUNCTION
  pgpush.greet_user(text, jsonb), pgpush.authorize(text, text, jsonb)
  TO pgpush_daemon;
