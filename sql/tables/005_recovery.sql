-- SPDX-License-Identifier: ISC
-- pgpush's tables 5: sockets that may come back.

BEGIN;

INSERT INTO pgpush.migrations (number) VALUES (5);
COMMENT ON TABLE pgpush.migrations IS
  'The numbers of the files of sql/tables that have been applied, up to 5';

-- Logged: a client recovers after a crash of the server, too.
CREATE TABLE pgpush.sockets (
  pid      text        PRIMARY KEY,
  life     int         NOT NULL DEFAULT 1,
  session  text        NOT NULL,
  node     text        NOT NULL,
  user_id  text        NOT NULL,
  nsp      text        NOT NULL,
  rooms    text[]      NOT NULL DEFAULT '{}',
  epoch    text        NOT NULL,
  at       bigint      NOT NULL,
  left_at  timestamptz
) WITH (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0.1,
  autovacuum_vacuum_threshold = 1000
);
CREATE INDEX sockets_node ON pgpush.sockets (node) WHERE left_at IS NULL;
CREATE INDEX sockets_left ON pgpush.sockets (left_at)
  WHERE left_at IS NOT NULL;
COMMENT ON TABLE pgpush.sockets IS
  'Sockets of Socket.IO that are connected, or may come back within recovery_window as if they had never been away';
COMMENT ON COLUMN pgpush.sockets.pid IS
  'What the client shows to come back; a secret';
COMMENT ON COLUMN pgpush.sockets.life IS
  'How many times it has been connected: only its last connection may write';
COMMENT ON COLUMN pgpush.sockets.session IS
  'Its id, the same after each return';
COMMENT ON COLUMN pgpush.sockets.rooms IS
  'All rooms that it is in, or has just left';
COMMENT ON COLUMN pgpush.sockets.at IS
  'The client has heard everything of its rooms up to this id of the log, with this epoch; what it has heard since it says itself';
COMMENT ON COLUMN pgpush.sockets.left_at IS
  'When its connection ended; NULL: it is there, or its daemon has died';

COMMIT;
