-- The chain is cut before the first record that is young enough: a prefix, so that what is left still hangs together.
-- At most `limit` at a time: an intent that waits for the file waits no longer than that takes.
-- name: cut
SELECT seq, hash FROM record
WHERE account = :account
  AND seq < coalesce((SELECT min(seq) FROM record WHERE account = :account AND at_ms >= :before_ms),
                     (SELECT max(seq) FROM record WHERE account = :account))
  AND seq < (SELECT min(seq) FROM record WHERE account = :account) + :limit
ORDER BY seq DESC LIMIT 1

-- name: move_anchor
INSERT INTO anchor (account, seq, hash) VALUES (:account, :seq, :hash)
ON CONFLICT (account) DO UPDATE SET seq = excluded.seq, hash = excluded.hash

-- name: records
DELETE FROM record WHERE account = :account AND seq <= :seq

-- name: intents
DELETE FROM intent
WHERE account = :account AND at_ms < :before_ms AND stage IN (SELECT value FROM json_each(:finished))
  AND NOT EXISTS (SELECT 1 FROM episode e WHERE e.account = intent.account AND e.id = intent.episode AND e.ended = 0)

-- name: own_orders
DELETE FROM own_order
WHERE account = :account AND at_ms < :before_ms
  AND NOT EXISTS (SELECT 1 FROM episode e WHERE e.account = own_order.account AND e.id = own_order.episode AND e.ended = 0)

-- name: episodes
DELETE FROM episode WHERE account = :account AND ended = 1 AND at_ms < :before_ms
