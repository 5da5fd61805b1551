-- The database of apps/feedback, version 1 (PRAGMA user_version).
--
-- Times are seconds since 1970 (UTC). `place` is 0 or 1: the two replies of a
-- turn as they were drawn; `turns.shown_first` says which of them stood as A.
-- A uid is random (128 bits, hex) and stays the same in exports; ids do not.
-- Nothing here is ever updated but what says so.

CREATE TABLE settings (      -- updated; see database.SETTINGS
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,  -- SHA-256 of the weights
  name TEXT NOT NULL,        -- as the admin page and exports call it
  path TEXT NOT NULL,
  active INTEGER NOT NULL CHECK (active IN (0, 1)),  -- updated: served now
  created REAL NOT NULL
) STRICT;

CREATE TABLE people (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('worker', 'admin')),
  kind TEXT NOT NULL CHECK (kind IN ('person', 'simulated')),
  invite_hash TEXT UNIQUE,   -- SHA-256 of the token of the link
  nonce TEXT UNIQUE,         -- of the form that made it
  created REAL NOT NULL,
  revoked REAL               -- updated: when the link and sessions ended
) STRICT;

CREATE TABLE sessions (
  hash TEXT PRIMARY KEY,     -- SHA-256 of the cookie
  person_id INTEGER NOT NULL REFERENCES people (id),
  created REAL NOT NULL,
  expires REAL NOT NULL      -- updated: put back by a person who leaves
) STRICT, WITHOUT ROWID;

CREATE TABLE items (         -- what can be given to people to do
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('chat', 'pair')),
  task TEXT NOT NULL CHECK (task IN ('helpful', 'red_team')),
  direction TEXT NOT NULL CHECK (direction IN ('better', 'worse')),
  opening TEXT NOT NULL DEFAULT '',  -- chat: a first message to begin with
  prompt TEXT,               -- pair: transcript that ends with Assistant:
  reply_0 TEXT,              -- pair of a file: its replies
  reply_1 TEXT,
  source_turn_id INTEGER REFERENCES turns (id),  -- pair: whose replies
  answer INTEGER CHECK (answer IN (0, 1)),  -- attention item: the better place
  overlap INTEGER NOT NULL CHECK (overlap >= 1),  -- how many people
  created REAL NOT NULL,
  CHECK (kind = 'pair' OR (prompt IS NULL AND answer IS NULL)),
  CHECK (kind = 'chat' OR prompt IS NOT NULL)
) STRICT;

CREATE TABLE assignments (   -- an item in the hands of a person: a lease
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  item_id INTEGER NOT NULL REFERENCES items (id),
  person_id INTEGER NOT NULL REFERENCES people (id),
  created REAL NOT NULL,
  expires REAL NOT NULL,     -- updated: renewed by whatever the person does;
                             -- 0: given back
  finished REAL,             -- updated, once
  rating INTEGER CHECK (rating BETWEEN 1 AND 4),  -- updated, once
  comment TEXT,              -- updated, once
  nonce TEXT UNIQUE,         -- updated, once: of the form that finished it
  UNIQUE (item_id, person_id)
) STRICT;

CREATE TABLE turns (         -- a message of the person and what came back
  id INTEGER PRIMARY KEY,
  assignment_id INTEGER NOT NULL REFERENCES assignments (id),
  number INTEGER NOT NULL CHECK (number >= 1),
  nonce TEXT UNIQUE,         -- of the form that sent the message
  human TEXT NOT NULL,       -- as typed; of a pair item ''
  prompt TEXT NOT NULL,      -- transcript that ends with '\n\nAssistant:'
  seed INTEGER NOT NULL,     -- of the order and of who writes
  shown_first INTEGER NOT NULL CHECK (shown_first IN (0, 1)),
  shown TEXT NOT NULL CHECK (shown IN ('stream', 'together')),
  created REAL NOT NULL,
  seen REAL,                 -- updated, once: both replies were on the page
  UNIQUE (assignment_id, number)
) STRICT;

CREATE TABLE replies (
  id INTEGER PRIMARY KEY,
  turn_id INTEGER NOT NULL REFERENCES turns (id),
  place INTEGER NOT NULL CHECK (place IN (0, 1)),
  snapshot_id INTEGER REFERENCES snapshots (id),  -- NULL: of a file
  seed INTEGER NOT NULL,
  sampler TEXT NOT NULL,     -- JSON; updated by a start with other flags
  -- All below: updated, once, when the reply is there.
  text TEXT,                 -- follows 'Assistant:', the space included
  token_ids TEXT,            -- JSON, of the reply as sampled
  prompt_ids TEXT,           -- JSON, of the prompt as it was read
  ended INTEGER CHECK (ended IN (0, 1)),
  score REAL,                -- of the preference model; nobody is shown it
  scored_by TEXT,            -- uid of that model's weights
  failed TEXT,               -- why there is none
  finished REAL,
  UNIQUE (turn_id, place)
) STRICT;

CREATE INDEX replies_waiting ON replies (id) WHERE finished IS NULL;

CREATE TABLE choices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- grows in the order of commits
  nonce TEXT NOT NULL UNIQUE,            -- of the page; its uid in exports
  turn_id INTEGER NOT NULL UNIQUE REFERENCES turns (id),
  person_id INTEGER NOT NULL REFERENCES people (id),
  box INTEGER CHECK (box BETWEEN 1 AND 8),  -- as shown: 1 A ... 8 B
  picked INTEGER NOT NULL CHECK (picked IN (0, 1)),  -- place that goes on; of
                                                     -- a rewrite the one that
                                                     -- it is compared with
  rewrite TEXT,              -- follows 'Assistant:', the space included
  seconds REAL NOT NULL,     -- from both replies on the page to the choice
  created REAL NOT NULL,
  version TEXT NOT NULL,     -- of the app
  CHECK ((box IS NULL) = (rewrite IS NOT NULL))
) STRICT;

-- One row a choice, as exports, training and standings read it. `about` is the
-- same for all who compared the same two replies, and `good` then speaks of the
-- same places. `chosen` is the better reply whatever the direction was; a
-- rewrite is better than what it rewrote. `strength` is 4 (much better) to 1
-- (the weakest boxes, 4 and 5), NULL of a rewrite.
CREATE VIEW comparisons AS
WITH placed AS (
  SELECT c.*, i.task, i.direction, i.answer, i.overlap, i.uid AS item,
    i.kind AS item_kind, a.uid AS assignment, t.number, t.prompt,
    t.shown_first, t.shown, t.seed,
    CASE WHEN i.kind = 'chat' THEN a.uid || '/' || t.number
      WHEN i.source_turn_id IS NULL THEN i.uid
      ELSE sa.uid || '/' || s.number END AS about, p.uid AS person, p.kind AS person_kind,
    CASE WHEN c.rewrite IS NULL AND i.direction = 'worse'
      THEN 1 - c.picked ELSE c.picked END AS good
  FROM choices AS c
  JOIN turns AS t ON t.id = c.turn_id
  JOIN assignments AS a ON a.id = t.assignment_id
  JOIN items AS i ON i.id = a.item_id
  JOIN people AS p ON p.id = c.person_id
  LEFT JOIN turns AS s ON s.id = i.source_turn_id
  LEFT JOIN assignments AS sa ON sa.id = s.assignment_id
)
SELECT w.id, w.nonce AS uid, w.about, w.item, w.assignment, w.number, w.item_kind,
  w.person, w.person_kind, w.task, w.direction, w.answer, w.overlap,
  w.prompt, COALESCE(w.rewrite, g.text) AS chosen,
  CASE WHEN w.rewrite IS NULL THEN b.text ELSE g.text END AS rejected,
  w.rewrite IS NOT NULL AS rewritten,
  w.box, CASE WHEN w.box <= 4 THEN 5 - w.box ELSE w.box - 4 END AS strength,
  w.good, w.shown_first, w.shown, w.seed,
  CASE WHEN w.rewrite IS NULL THEN gs.uid END AS chosen_snapshot,
  CASE WHEN w.rewrite IS NULL THEN bs.uid ELSE gs.uid END AS rejected_snapshot,
  g.score AS good_score, b.score AS bad_score,
  g.token_ids AS good_ids, b.token_ids AS bad_ids,
  g.seed AS good_seed, b.seed AS bad_seed, g.sampler AS sampler,
  w.seconds, w.created, w.version
FROM placed AS w
JOIN replies AS g ON g.turn_id = w.turn_id AND g.place = w.good
JOIN replies AS b ON b.turn_id = w.turn_id AND b.place = 1 - w.good
LEFT JOIN snapshots AS gs ON gs.id = g.snapshot_id
LEFT JOIN snapshots AS bs ON bs.id = b.snapshot_id;
