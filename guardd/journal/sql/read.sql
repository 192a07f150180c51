-- name: latest
SELECT id, text, hash FROM record
WHERE (:account IS NULL OR account = :account) AND (:kind IS NULL OR kind = :kind) AND at_ms >= :since_ms
ORDER BY id DESC LIMIT :limit

-- name: about
SELECT id, text, hash FROM record WHERE subject = :subject ORDER BY id

-- name: starting_with
SELECT DISTINCT subject FROM record WHERE kind IN ('intent', 'stage') AND subject >= :low AND subject < :high LIMIT 3

-- name: rule_before
SELECT id, text, hash FROM record
WHERE kind = 'rule' AND subject = :subject AND id < :id ORDER BY id DESC LIMIT 50

-- name: accounts
SELECT account FROM record UNION SELECT account FROM anchor ORDER BY account

-- name: chain
SELECT seq, at_ms, kind, subject, text, hash FROM record WHERE account = :account ORDER BY seq

-- name: remembered
SELECT id, stage, text FROM intent WHERE account = :account

-- name: fills
SELECT id, text, hash FROM record WHERE kind = 'fill' AND subject = :subject ORDER BY id

-- name: armed_before
SELECT id, text, hash FROM record
WHERE kind = 'word' AND subject = 'confirm' AND account = :account AND id < :id ORDER BY id DESC LIMIT 1
