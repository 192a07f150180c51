-- The chain: append-only. `text` is the canonical JSON of everything the record says, `hash` is
-- sha256(previous hash, newline, text); the other columns repeat parts of `text` for look-ups and are checked against it.
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (account, seq)
) STRICT;
CREATE INDEX record_by_subject ON record (subject, id);

-- Where a chain begins after pruning: the last record that was cut off.
CREATE TABLE anchor (
    account TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;

-- No index more than look-ups by people need: each is a page more to sync before an order may go.

-- What a restart wakes up with. Derived from the chain in the same transaction, and kept when the chain is pruned.
CREATE TABLE intent (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    episode TEXT NOT NULL,
    rule TEXT NOT NULL,
    step INTEGER NOT NULL,
    stage TEXT NOT NULL,
    outcome TEXT,
    order_id TEXT,
    filled TEXT,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE episode (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    ended INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (account, id)
) STRICT;

CREATE TABLE own_order (
    account TEXT NOT NULL,
    order_id TEXT NOT NULL,
    episode TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (account, order_id)
) STRICT;

CREATE TABLE standing (
    account TEXT PRIMARY KEY,
    halted INTEGER NOT NULL,
    parked TEXT
) STRICT;
