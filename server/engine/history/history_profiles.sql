-- Hardware profiles. `data` is what the helper counted, as server/profiler writes it; `record` is
-- JSON of everything else that no query selects by.

CREATE TABLE profiles (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  artifact     TEXT NOT NULL,
  device       TEXT NOT NULL,
  create_time  INTEGER NOT NULL,   -- milliseconds since the Unix epoch
  record       TEXT NOT NULL,
  data         TEXT NOT NULL
) STRICT;
