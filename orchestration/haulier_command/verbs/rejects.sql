-- name: rejects
-- Rejects with where they come from and what became of them, the newest first.
SELECT r.reject_id, d.pipeline, d.instance, d.logical_name AS file, d.sequence, r.row_number AS row, r.output, r.step, r.rule,
       r.column_name AS "column", r.message, r.problems, r.verbatim, r.verbatim_bytes, l.loaded_at AS since, l.outcome AS load_outcome,
       l.generation, l.replay_id, u.interval_start, u.interval_end, d.delivery_id, d.sha256, d.bytes, d.uri, d.modified_at, d.original,
       coalesce(resolved.status, said.status, CASE WHEN again.times > 0 THEN 'failed again' ELSE 'open' END) AS status
FROM haulier.reject r
JOIN haulier.load l USING (load_id)
JOIN haulier.run u USING (run_id)
JOIN haulier.delivery d USING (delivery_id)
LEFT JOIN haulier.reject_event resolved ON resolved.reject_id = r.reject_id AND resolved.status <> 'failed again'
CROSS JOIN LATERAL (SELECT count(*) AS times FROM haulier.reject_event e
                    WHERE e.reject_id = r.reject_id AND e.status = 'failed again') AS again
LEFT JOIN haulier.query said ON said.kind = 'reject' AND said.raised_id = r.reject_id AND said.status IN ('released', 'closed')
WHERE (%(every)s OR resolved.reject_id IS NULL AND said.status IS NULL)
  AND (%(pipeline)s::text IS NULL OR d.pipeline = %(pipeline)s)
  AND (%(instance)s::text IS NULL OR d.instance = %(instance)s)
  AND (%(rule)s::text IS NULL OR r.rule = %(rule)s)
  AND (%(since)s::timestamptz IS NULL OR l.loaded_at >= %(since)s)
ORDER BY d.pipeline, d.instance, l.loaded_at DESC, d.logical_name, d.sequence, r.row_number, r.output
LIMIT %(limit)s

-- name: by_rule
-- How many rejects break which rule first, with an example.
SELECT d.pipeline, r.rule, r.column_name AS "column", count(*) AS rejects,
       count(*) FILTER (WHERE l.outcome = 'quarantined') AS quarantined, count(DISTINCT d.instance) AS instances,
       min(r.message) AS example
FROM haulier.reject r
JOIN haulier.load l USING (load_id)
JOIN haulier.delivery d USING (delivery_id)
WHERE (%(every)s OR EXISTS (SELECT FROM haulier.waiting_reject w WHERE w.reject_id = r.reject_id))
  AND (%(pipeline)s::text IS NULL OR d.pipeline = %(pipeline)s)
  AND (%(instance)s::text IS NULL OR d.instance = %(instance)s)
  AND (%(rule)s::text IS NULL OR r.rule = %(rule)s)
  AND (%(since)s::timestamptz IS NULL OR l.loaded_at >= %(since)s)
GROUP BY d.pipeline, r.rule, r.column_name
ORDER BY rejects DESC, d.pipeline, r.rule, r.column_name

-- name: one
-- All there is to know of one reject.
SELECT r.reject_id, d.pipeline, d.instance, u.interval_start, u.interval_end, l.generation, l.replay_id, l.load_id, l.target,
       l.outcome AS load_outcome, l.loaded_at AS since, d.delivery_id, d.logical_name AS file, d.sequence, d.uri,
       d.sha256, d.modified_at, r.row_number AS row, r.output, r.step, r.rule, r.column_name AS "column", r.message, r.problems,
       r.verbatim, r.verbatim_bytes,
       (SELECT said.status FROM haulier.query said
        WHERE said.kind = 'reject' AND said.raised_id = r.reject_id AND said.status IN ('released', 'closed')) AS said,
       EXISTS (SELECT FROM haulier.model_build b
               WHERE b.run_id = l.run_id AND b.generation = l.generation AND b.materialized = 'merge') AS has_merges
FROM haulier.reject r
JOIN haulier.load l USING (load_id)
JOIN haulier.run u USING (run_id)
JOIN haulier.delivery d USING (delivery_id)
WHERE r.reject_id = %(reject_id)s

-- name: events
-- What became of one reject, in order.
SELECT e.at, e.status, e.load_id, e.message FROM haulier.reject_event e WHERE e.reject_id = %(reject_id)s ORDER BY e.event_id

-- name: refused
-- Files of which nothing was kept, the newest first.
SELECT r.refused_at, r.pipeline, r.instance, r.interval_start, r.interval_end, r.uri, r.sha256, r.bytes, r.modified_at, r.findings
FROM haulier.refusal r
WHERE (%(pipeline)s::text IS NULL OR r.pipeline = %(pipeline)s)
  AND (%(instance)s::text IS NULL OR r.instance = %(instance)s)
  AND (%(since)s::timestamptz IS NULL OR r.refused_at >= %(since)s)
ORDER BY r.refused_at DESC, r.refusal_id DESC
