-- Unfinished intents whatever their age, finished ones as far as a limit, an open episode or an order may still need them.
-- name: intents
SELECT id, text, stage, outcome, order_id, filled, at_ms FROM intent WHERE account = :account ORDER BY at_ms, id

-- name: episodes
SELECT text FROM episode WHERE account = :account AND ended = 0 ORDER BY id

-- name: own_orders
SELECT order_id FROM own_order WHERE account = :account
