-- name: head
SELECT seq, hash FROM record WHERE account = :account ORDER BY seq DESC LIMIT 1

-- name: anchor
SELECT seq, hash FROM anchor WHERE account = :account

-- name: record
INSERT INTO record (account, seq, at_ms, kind, subject, text, hash)
VALUES (:account, :seq, :at_ms, :kind, :subject, :text, :hash)

-- name: stage_of
SELECT stage FROM intent WHERE id = :id

-- name: intent
INSERT INTO intent (id, account, episode, rule, step, stage, outcome, order_id, filled, at_ms, text)
VALUES (:id, :account, :episode, :rule, :step, :stage, NULL, NULL, NULL, :at_ms, :text)
ON CONFLICT (id) DO UPDATE SET
    stage = excluded.stage, outcome = NULL, order_id = NULL, filled = NULL, at_ms = excluded.at_ms, text = excluded.text

-- name: move
UPDATE intent SET
    stage = :stage,
    outcome = coalesce(:outcome, outcome),
    order_id = coalesce(:order_id, order_id),
    filled = coalesce(:filled, filled),
    at_ms = :at_ms
WHERE id = :id

-- name: own_order
INSERT INTO own_order (account, order_id, episode, at_ms) VALUES (:account, :order_id, :episode, :at_ms)
ON CONFLICT (account, order_id) DO UPDATE SET at_ms = excluded.at_ms

-- name: episode
INSERT INTO episode (account, id, ended, at_ms, text) VALUES (:account, :id, :ended, :at_ms, :text)
ON CONFLICT (account, id) DO UPDATE SET ended = excluded.ended, at_ms = excluded.at_ms, text = excluded.text

-- name: standing_of
SELECT halted, parked FROM standing WHERE account = :account

-- name: standing
INSERT INTO standing (account, halted, parked) VALUES (:account, :halted, :parked)
ON CONFLICT (account) DO UPDATE SET halted = excluded.halted, parked = excluded.parked

-- name: high_water
INSERT INTO high_water (account, currency, text) VALUES (:account, :currency, :text)
ON CONFLICT (account, currency) DO UPDATE SET text = excluded.text
