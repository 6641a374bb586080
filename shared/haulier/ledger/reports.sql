-- name: find_run
-- The run of an interval.
SELECT run_id, generation, status FROM haulier.run
WHERE pipeline = %(pipeline)s AND instance = %(instance)s
  AND interval_start = %(interval_start)s AND interval_end = %(interval_end)s

-- name: deliveries
-- What the run's current generation hauls, and the source account of each once it was loaded.
SELECT d.logical_name, d.sequence, a.read, a.accepted, a.filtered, a.rejected, a.stripped
FROM haulier.generation_delivery g
JOIN haulier.delivery d USING (delivery_id)
LEFT JOIN haulier.load l ON l.run_id = g.run_id AND l.generation = g.generation AND l.kind = 'run'
LEFT JOIN haulier.source_account a ON a.load_id = l.load_id AND a.delivery_id = g.delivery_id
WHERE g.run_id = %(run_id)s AND g.generation = %(generation)s
ORDER BY d.logical_name, d.sequence

-- name: loads
-- The current generation's load and its replays, each with its target account.
SELECT load_id, replay_id, target, outcome, produced, inserted, updated, unchanged, superseded, duplicate, deleted, rejected,
       held, removed, vanished
FROM haulier.load WHERE run_id = %(run_id)s AND generation = %(generation)s ORDER BY load_id

-- name: rejects_by_rule
-- The current generation's rejects, and how many still wait.
SELECT r.rule, count(*),
       count(*) FILTER (WHERE EXISTS (SELECT FROM haulier.waiting_reject w WHERE w.reject_id = r.reject_id))
FROM haulier.reject r WHERE r.load_id = ANY(%(loads)s) GROUP BY r.rule ORDER BY r.rule

-- name: flags_by_rule
-- Rows of the current generation that entered with something to look at.
SELECT f.rule, count(*) FROM haulier.flag f WHERE f.load_id = ANY(%(loads)s) GROUP BY f.rule ORDER BY f.rule
