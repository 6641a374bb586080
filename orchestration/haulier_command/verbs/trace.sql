-- name: targets
-- Tables this ledger loaded that a person may mean by a name.
SELECT DISTINCT target FROM haulier.load WHERE target = %(table)s OR split_part(target, '.', 2) = %(table)s ORDER BY target

-- name: all_targets
-- Every table this ledger loaded.
SELECT DISTINCT target FROM haulier.load ORDER BY target

-- name: columns
-- The columns of a table in order, as PostgreSQL writes their types; key_position in its primary key.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, array_position(k.conkey::int2[], a.attnum) AS key_position
FROM pg_attribute a
LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: matching_rows
-- Rows of a table that a person described, whole and by the key its history is kept under.
SELECT to_jsonb(t) AS row, {key} AS key, {key}::text AS key_text FROM {table} t WHERE {conditions} ORDER BY {order} LIMIT {limit}

-- name: rows_from
-- Rows of a table whose present version came from one line of one delivery.
SELECT to_jsonb(t) AS row, {key} AS key, {key}::text AS key_text FROM {table} t
WHERE t._haulier_delivery = %(delivery)s AND t._haulier_row = %(row)s

-- name: gone_keys
-- Keys that left a table, found by their history.
SELECT DISTINCT h.key, h.key::text AS key_text FROM haulier.history h WHERE h.target = %(target)s AND h.key @> jsonb_build_object({described}) LIMIT {limit}

-- name: history
-- Every former version of one key, the newest first, with the load that replaced it.
SELECT h.history_id, h.operation, h.before, h.load_id AS replaced_by, l.loaded_at AS replaced_at
FROM haulier.history h JOIN haulier.load l USING (load_id)
WHERE h.target = %(target)s AND h.key = %(key)s::jsonb
ORDER BY h.history_id DESC

-- name: history_from
-- Former versions that came from one line of one delivery.
SELECT h.history_id, h.target, h.operation, h.key, h.before, h.load_id AS replaced_by, l.loaded_at AS replaced_at
FROM haulier.history h JOIN haulier.load l USING (load_id)
WHERE h.target = ANY(%(targets)s)
  AND h.before @> jsonb_build_object('_haulier_delivery', %(delivery)s::bigint, '_haulier_row', %(row)s::bigint)
ORDER BY h.history_id DESC

-- name: origins
-- Where versions of rows came from: the load with its run, the delivery with its file.
SELECT asked.load_id, asked.delivery_id, l.kind, l.replay_id, l.target, l.loaded_at, l.actor, l.generation,
       l.versions ->> 'approval' AS approval,
       g.reason AS generation_reason, u.run_id, u.interval_start, u.interval_end, d.pipeline, d.instance,
       d.logical_name AS file, d.sequence, d.sha256, d.bytes, d.uri, d.modified_at, d.original
FROM unnest(%(loads)s::bigint[], %(deliveries)s::bigint[]) AS asked (load_id, delivery_id)
LEFT JOIN haulier.load l ON l.load_id = asked.load_id
LEFT JOIN haulier.generation g ON g.run_id = l.run_id AND g.generation = l.generation
LEFT JOIN haulier.run u ON u.run_id = l.run_id
LEFT JOIN haulier.delivery d ON d.delivery_id = asked.delivery_id

-- name: deliveries
-- Every delivery a person may mean by a file's name, its place or a part of that.
SELECT d.delivery_id, d.pipeline, d.instance, d.logical_name AS file, d.sequence, d.sha256, d.bytes, d.uri, d.modified_at,
       d.original, d.disposition, d.same_as, s.logical_name AS same_file, s.sequence AS same_sequence, d.seen_at
FROM haulier.delivery d
LEFT JOIN haulier.delivery s ON s.delivery_id = d.same_as
WHERE (d.logical_name = %(file)s OR d.uri = %(file)s OR right(d.uri, length(%(file)s) + 1) = '/' || %(file)s)
  AND (%(pipeline)s::text IS NULL OR d.pipeline = %(pipeline)s)
  AND (%(instance)s::text IS NULL OR d.instance = %(instance)s)
ORDER BY d.pipeline, d.instance, d.delivery_id

-- name: loads_of_delivery
-- What hauled a delivery, the newest first, with its source account.
SELECT l.load_id, l.target, l.kind, l.outcome, l.generation, l.replay_id, l.loaded_at, u.run_id, u.pipeline, u.instance, u.interval_start, u.interval_end,
       a.read, a.accepted, a.filtered, a.rejected, a.stripped
FROM haulier.source_account a
JOIN haulier.load l USING (load_id)
JOIN haulier.run u ON u.run_id = l.run_id
WHERE a.delivery_id = %(delivery)s
ORDER BY l.load_id DESC

-- name: rejects_of_row
-- Rejects of one line, with what became of them.
SELECT r.reject_id, r.load_id, r.output, r.step, r.rule, r.column_name AS "column", r.message,
       coalesce((SELECT e.status FROM haulier.reject_event e WHERE e.reject_id = r.reject_id AND e.status <> 'failed again'),
                (SELECT said.status FROM haulier.query said
                 WHERE said.kind = 'reject' AND said.raised_id = r.reject_id AND said.status IN ('released', 'closed')),
                (SELECT 'failed again' FROM haulier.reject_event e WHERE e.reject_id = r.reject_id LIMIT 1), 'open') AS status
FROM haulier.reject r
WHERE r.delivery_id = %(delivery)s AND r.row_number = %(row)s
ORDER BY r.reject_id DESC

-- name: flags_of_row
-- Flags of one line.
SELECT f.flag_id, f.load_id, f.output, f.rule, f.column_name AS "column", f.message
FROM haulier.flag f
WHERE f.delivery_id = %(delivery)s AND f.row_number = %(row)s
ORDER BY f.flag_id DESC
