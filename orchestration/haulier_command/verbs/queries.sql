-- name: chosen
-- The queries that a person asked for.
SELECT q.*, floor(extract(epoch FROM %(now)s::timestamptz - q.opened_at) / 86400)::integer AS age_days,
       q.status = 'open' AND q.opened_at < %(overdue_before)s::timestamptz AS is_overdue
FROM haulier.query q
WHERE (%(statuses)s::text[] IS NULL OR q.status = ANY(%(statuses)s))
  AND (%(pipeline)s::text IS NULL OR q.pipeline = %(pipeline)s)
  AND (%(instance)s::text IS NULL OR q.instance = %(instance)s)
  AND (%(rule)s::text IS NULL OR q.rule = %(rule)s)
  AND (%(kind)s::text IS NULL OR q.kind = %(kind)s)
  AND (%(owner)s::text IS NULL OR q.owner = %(owner)s)
  AND (%(opened_before)s::timestamptz IS NULL OR q.opened_at < %(opened_before)s)

-- name: by_status
-- How many stand how, and who answers for them.
SELECT status, owner, count(*) AS queries, count(*) FILTER (WHERE kind = 'reject') AS rejects,
       count(*) FILTER (WHERE kind = 'flag') AS flags, min(opened_at) AS oldest
FROM chosen GROUP BY status, owner
ORDER BY array_position(ARRAY['open', 'answered', 'released', 'corrected', 'closed'], status), owner

-- name: by_instance
-- How many of each instance wait, and which share of those is overdue.
SELECT pipeline, instance, count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE status = 'answered') AS answered,
       count(*) FILTER (WHERE is_overdue) AS overdue, round(100.0 * count(*) FILTER (WHERE is_overdue) / count(*), 1) AS overdue_percent,
       max(age_days) AS oldest_days
FROM chosen WHERE status IN ('open', 'answered')
GROUP BY pipeline, instance
ORDER BY overdue_percent DESC, pipeline, instance

-- name: rows
-- The queries, the oldest first.
SELECT query, kind, raised_id, pipeline, instance, target, file, sequence, row, output, rule, column_name AS "column", message, owner,
       status, opened_at, age_days, is_overdue, status_at, actor, reason
FROM chosen ORDER BY opened_at, pipeline, instance, kind DESC, first_id
LIMIT %(limit)s

-- name: one
-- All there is to know of one query.
SELECT q.query, q.kind, q.first_id, q.raised_id, q.pipeline, q.instance, q.target, q.file, q.sequence, q.delivery_id, q.row, q.output,
       q.step, q.rule, q.column_name AS "column", q.message, q.owner, q.load_id, u.interval_start, u.interval_end, q.generation,
       q.replay_id, q.opened_at, q.status, q.status_at, q.actor, q.reason, q.settled_by, r.problems,
       floor(extract(epoch FROM %(now)s::timestamptz - q.opened_at) / 86400)::integer AS age_days
FROM haulier.query q JOIN haulier.run u USING (run_id)
LEFT JOIN haulier.reject r ON q.kind = 'reject' AND r.reject_id = q.raised_id
WHERE q.kind = %(kind)s AND q.first_id = %(first_id)s

-- name: story
-- What happened to one query, in order: each time it was raised, what people said, and the load that settled it.
WITH member AS (
    SELECT r.reject_id AS id, r.load_id, r.delivery_id, r.row_number FROM haulier.reject r
    WHERE %(kind)s = 'reject' AND (r.reject_id = %(first_id)s OR r.reject_id IN (
        SELECT p.reject_id FROM haulier.query_repeat p WHERE p.first_id = %(first_id)s))
    UNION ALL
    SELECT f.flag_id, f.load_id, f.delivery_id, f.row_number FROM haulier.flag f
    WHERE %(kind)s = 'flag' AND (f.flag_id = %(first_id)s OR f.flag_id IN (
        SELECT p.flag_id FROM haulier.query_repeat p WHERE p.first_id = %(first_id)s))
)
SELECT l.loaded_at AS at, CASE m.id WHEN %(first_id)s THEN 'raised' ELSE 'raised again' END AS what, l.actor,
       format('row %%s of %%s, delivery %%s, by load %%s', m.row_number, d.logical_name, m.delivery_id, m.load_id) AS reason
FROM member m JOIN haulier.load l USING (load_id) JOIN haulier.delivery d ON d.delivery_id = m.delivery_id
UNION ALL
SELECT e.at, e.status, e.actor, e.reason FROM haulier.query_event e
WHERE CASE %(kind)s WHEN 'reject' THEN e.reject_id ELSE e.flag_id END = %(first_id)s
UNION ALL
SELECT e.at, e.status, l.actor, concat_ws(', ', nullif(e.message, ''), 'load ' || e.load_id)
FROM haulier.reject_event e JOIN haulier.load l USING (load_id)
WHERE %(kind)s = 'reject' AND e.reject_id IN (SELECT id FROM member)
  AND (e.status = 'failed again' OR e.reject_id = (SELECT max(id) FROM member))
UNION ALL
SELECT e.at, e.status, l.actor, concat_ws(', ', nullif(e.message, ''), 'load ' || e.load_id)
FROM haulier.flag_event e JOIN haulier.load l USING (load_id)
WHERE %(kind)s = 'flag' AND e.flag_id = (SELECT max(id) FROM member)
ORDER BY at, what

-- name: listing
-- Queries with all that their sender needs to find the rows, in the order of the files.
SELECT q.query, q.kind, q.pipeline, q.instance, q.file, q.row, q.output, q.step, q.rule, q.column_name AS "column", q.message,
       q.opened_at, q.age_days, q.status, q.generation, q.replay_id, u.interval_start, u.interval_end, d.delivery_id, d.sequence,
       d.sha256, d.bytes, d.uri, d.modified_at, d.original, r.problems, r.verbatim, r.verbatim_bytes
FROM chosen q
JOIN haulier.run u ON u.run_id = q.run_id
JOIN haulier.delivery d ON d.delivery_id = q.delivery_id
LEFT JOIN haulier.reject r ON q.kind = 'reject' AND r.reject_id = q.raised_id
ORDER BY q.pipeline, q.instance, q.file, d.sequence, q.row, q.output, q.kind DESC, q.first_id
