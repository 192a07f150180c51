-- Unfinished intents whatever their age; finished ones as far as a window of the limits or an open episode needs them.
-- name: intents
SELECT id, text, stage, outcome, order_id, filled, at_ms FROM intent
WHERE account = :account
  AND (stage NOT IN (SELECT value FROM json_each(:finished))
       OR at_ms > :since_ms
       OR episode IN (SELECT id FROM episode WHERE account = :account AND ended = 0))

-- name: client_ids
SELECT id FROM intent WHERE account = :account AND stage <> 'refused'

-- name: ids
SELECT id FROM intent

-- name: episodes
SELECT text FROM episode WHERE account = :account AND ended = 0 ORDER BY id

-- name: own_orders
SELECT order_id FROM own_order WHERE account = :account

-- name: high_waters
SELECT text FROM high_water WHERE account = :account ORDER BY currency
