-- SPDX-License-Identifier: ISC
-- pgpush's tables 3: who is there.
--
-- Unlogged: all of it is true for the moment only, and after a crash the
-- daemons write it again.

BEGIN;

INSERT INTO pgpush.migrations (number) VALUES (3);
COMMENT ON TABLE pgpush.migrations IS
  'The numbers of the files of sql/tables that have been applied, up to 3';

CREATE UNLOGGED TABLE pgpush.nodes (
  node        text        PRIMARY KEY,
  seen        timestamptz NOT NULL DEFAULT clock_timestamp(),
  started     timestamptz NOT NULL DEFAULT clock_timestamp(),
  leader      boolean     NOT NULL DEFAULT false,
  connections int         NOT NULL DEFAULT 0,
  backends    int[]       NOT NULL DEFAULT '{}',
  version     text        NOT NULL DEFAULT ''
) WITH (
  fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 500, vacuum_truncate = off
);
COMMENT ON TABLE pgpush.nodes IS
  'The daemons that run, stamped by each every second; the backends of one not seen for 10 seconds are terminated, and then it is forgotten';
COMMENT ON COLUMN pgpush.nodes.leader IS
  'Whether it is the one that moves events from the outbox to the log';
COMMENT ON COLUMN pgpush.nodes.backends IS
  'Process ids of its connections to this database';

CREATE UNLOGGED TABLE pgpush.connections (
  session text        PRIMARY KEY,
  node    text        NOT NULL,
  user_id text,
  address text,
  dialect text        NOT NULL DEFAULT '',
  rooms   text[]      NOT NULL DEFAULT '{}',
  since   timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
  autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = off
);
CREATE INDEX connections_node ON pgpush.connections (node);
CREATE INDEX connections_user ON pgpush.connections (user_id);
COMMENT ON TABLE pgpush.connections IS
  'The sessions that are connected now, written by their daemons within a moment of each change';
COMMENT ON COLUMN pgpush.connections.dialect IS
  'What it speaks: native, sse or socketio';
COMMENT ON COLUMN pgpush.connections.rooms IS
  'The rooms it is in';

CREATE UNLOGGED TABLE pgpush.presence (
  user_id   text        PRIMARY KEY,
  online    boolean     NOT NULL,
  since     timestamptz NOT NULL,
  last_seen timestamptz NOT NULL,
  gone_at   timestamptz
) WITH (
  autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = off
);
CREATE INDEX presence_gone ON pgpush.presence (gone_at)
  WHERE online AND gone_at IS NOT NULL;
COMMENT ON TABLE pgpush.presence IS
  'Who is online, as was told by the functions that pgpush.present registered';
COMMENT ON COLUMN pgpush.presence.since IS
  'Since when he has been online, or offline';
COMMENT ON COLUMN pgpush.presence.last_seen IS
  'When he came or when his last connection ended, whichever is later';
COMMENT ON COLUMN pgpush.presence.gone_at IS
  'Online without a connection since then: offline after the grace';

-- So that the leader looks at those only, not at everybody each second.
CREATE UNLOGGED TABLE pgpush.presence_todo (
  user_id text NOT NULL
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  vacuum_truncate = off
);
COMMENT ON TABLE pgpush.presence_todo IS
  'Users of whom a connection came or went since the leader looked last';

COMMIT;
