-- Models whose directories were imported, and calibrated Hessians. The layers of a model are the
-- artifacts whose names begin with its name and a slash.

CREATE TABLE models (
  name         TEXT PRIMARY KEY,
  create_time  INTEGER NOT NULL,   -- milliseconds since the Unix epoch
  record       TEXT NOT NULL       -- JSON of everything that no query selects by, here and below
) STRICT;

CREATE TABLE hessians (
  name    TEXT PRIMARY KEY,
  sha256  TEXT NOT NULL,           -- the file hessians/<sha256>.safetensors
  record  TEXT NOT NULL
) STRICT;
