-- Migration 1: the first schema. Later migrations are files of their own, numbered, applied in
-- order; PRAGMA user_version holds the number of the last one applied.
-- `record` columns are JSON of everything that no query selects by.

CREATE TABLE artifacts (
  name          TEXT PRIMARY KEY,
  sha256        TEXT NOT NULL,      -- the file artifacts/<sha256>.safetensors
  format        TEXT NOT NULL,
  packed_bytes  INTEGER NOT NULL,
  create_time   INTEGER NOT NULL,   -- milliseconds since the Unix epoch, here and below
  record        TEXT NOT NULL
) STRICT;
CREATE INDEX artifacts_by_file ON artifacts (sha256);

CREATE TABLE runs (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  artifact     TEXT NOT NULL,
  device       TEXT NOT NULL,
  create_time  INTEGER NOT NULL,
  record       TEXT NOT NULL
) STRICT;

CREATE TABLE results (
  run_id          INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  position        INTEGER NOT NULL,
  path            TEXT NOT NULL,
  batch           INTEGER NOT NULL,
  cache_mode      TEXT NOT NULL,
  median_seconds  REAL NOT NULL,
  samples         BLOB NOT NULL,    -- seconds, little-endian binary64, in the order measured
  record          TEXT NOT NULL,
  PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE operations (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  kind         TEXT NOT NULL,
  state        TEXT NOT NULL,
  is_terminal  INTEGER NOT NULL,
  create_time  INTEGER NOT NULL,
  record       TEXT NOT NULL
) STRICT;
CREATE INDEX operations_unfinished ON operations (is_terminal) WHERE is_terminal = 0;

CREATE TABLE request_ids (
  request_id    TEXT PRIMARY KEY,
  spec_sha256   TEXT NOT NULL,
  operation_id  INTEGER NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
  create_time   INTEGER NOT NULL
) STRICT;
CREATE INDEX request_ids_by_operation ON request_ids (operation_id);
