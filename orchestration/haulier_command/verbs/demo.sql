-- name: table_digest
-- Rows of a table and the digest of all its promised columns, in the order of their text.
SELECT count(*) AS rows, encode(sha256(convert_to(coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), ''), 'UTF8')), 'hex') AS sha256
FROM (SELECT ROW({columns})::text AS line FROM {table}) AS lines

-- name: quarantined
-- Runs of which no row entered, with the rule that most of their rows break, and the delivery that put it right.
SELECT r.pipeline, r.instance, r.interval_start, r.interval_end, n.rejects, n.held, n.read, n.filtered, n.stripped, worst.rule,
       worst.rows, worst.message, later.file, later.at
FROM haulier.run r
JOIN haulier.load l ON l.run_id = r.run_id AND l.generation = r.generation AND l.kind = 'run'
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM haulier.reject j WHERE j.load_id = l.load_id) AS rejects, l.held,
           sum(a.read)::bigint AS read, sum(a.filtered)::bigint AS filtered, sum(a.stripped)::bigint AS stripped
    FROM haulier.source_account a WHERE a.load_id = l.load_id
) AS n
LEFT JOIN LATERAL (
    SELECT j.rule, count(*) AS rows, min(j.message) AS message
    FROM haulier.reject j WHERE j.load_id = l.load_id GROUP BY j.rule ORDER BY 2 DESC, 1 LIMIT 1
) AS worst ON true
LEFT JOIN LATERAL (
    SELECT n.logical_name AS file, u.interval_start AS at
    FROM haulier.generation_delivery g
    JOIN haulier.delivery d USING (delivery_id)
    JOIN haulier.delivery n ON n.pipeline = d.pipeline AND n.instance = d.instance AND n.logical_name = d.logical_name
         AND n.sequence > d.sequence
    JOIN haulier.run u ON u.run_id = n.run_id AND u.status = 'loaded'
    WHERE g.run_id = r.run_id AND g.generation = r.generation
    ORDER BY n.sequence DESC LIMIT 1
) AS later ON true
WHERE r.status = 'quarantined'
ORDER BY r.interval_start, r.pipeline, r.instance

-- name: row_with_history
-- A row worth tracing: one that a later file changed.
SELECT h.target, h.key FROM haulier.history h
WHERE h.operation = 'update' AND h.key IS NOT NULL ORDER BY h.history_id DESC LIMIT 1

-- name: replayable
-- Open rejects that a replay could take up, by rule, the most frequent first.
SELECT o.pipeline, o.instance, o.rule, count(*) AS rejects
FROM haulier.open_reject o JOIN haulier.load l USING (load_id)
WHERE l.outcome = 'loaded' GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 1
