-- name: links
-- A table's chain, with what each load was: in the order in which they were committed.
SELECT c.link, encode(c.hash, 'hex') AS hash, encode(c.previous, 'hex') AS previous, l.load_id, l.kind, l.outcome, l.mode, l.actor,
       l.loaded_at, l.generation, l.replay_id, l.definition_digest, l.versions, l.produced, l.inserted, l.updated, l.unchanged,
       l.superseded, l.duplicate, l.deleted, l.rejected, l.held, l.removed, r.pipeline, r.instance, r.interval_start, r.interval_end,
       coalesce(p.reason, g.reason) AS reason, coalesce(p.actor, g.actor) AS asked_by
FROM haulier.chain c
JOIN haulier.load l USING (load_id)
JOIN haulier.run r USING (run_id)
JOIN haulier.generation g ON g.run_id = l.run_id AND g.generation = l.generation
LEFT JOIN haulier.replay p ON p.replay_id = l.replay_id
WHERE c.target = %(target)s
ORDER BY c.link

-- name: marked_column
-- The column in which rows that stay say since when they are deleted, by load's own comment on it.
SELECT a.attname::text FROM pg_attribute a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
  AND col_description(a.attrelid, a.attnum) = %(comment)s

-- name: away
-- Partitions whose rows are not in the table.
SELECT partition_schema || '.' || partition_name AS partition FROM haulier.archived WHERE target = %(target)s ORDER BY 1

-- name: unknown
-- Versions of rows of which nobody wrote down since when they are so.
SELECT count(*) AS n FROM (
    SELECT t._haulier_since AS since FROM {table} t
    UNION ALL
    SELECT (h.before ->> '_haulier_since')::bigint FROM haulier.history h WHERE h.target = %(target)s
) v LEFT JOIN haulier.chain c ON c.load_id = v.since AND c.target = %(target)s
WHERE c.link IS NULL

-- name: rows_at
-- The rows that stood after a link: each version begins with the load that gave it its values and ends with the one that
-- replaced it. Where deleted rows stay, a repeated deletion moves their mark without a version: the tombstones know it.
WITH marks AS (
    SELECT DISTINCT ON (k.key) k.key, k.ordered
    FROM (SELECT target, key, load_id, ordered FROM haulier.tombstone
          UNION ALL SELECT target, key, load_id, ordered FROM haulier.former_tombstone) AS k
    JOIN haulier.chain c ON c.load_id = k.load_id AND c.target = k.target
    WHERE k.target = %(target)s AND c.link <= %(link)s AND %(marked)s::text IS NOT NULL
    ORDER BY k.key, c.link DESC
)
SELECT CASE WHEN m.key IS NOT NULL AND v.row ->> %(marked)s IS NOT NULL
            THEN jsonb_set(v.row, ARRAY[%(marked)s::text], to_jsonb(m.ordered)) ELSE v.row END AS row
FROM (
    SELECT {key} AS key, to_jsonb(t) AS row FROM {table} t
    UNION ALL
    SELECT h.key, h.before FROM haulier.history h JOIN haulier.chain c ON c.load_id = h.load_id AND c.target = h.target
    WHERE h.target = %(target)s AND c.link > %(link)s
) v
JOIN haulier.chain b ON b.load_id = (v.row ->> '_haulier_since')::bigint AND b.target = %(target)s
LEFT JOIN marks m ON m.key = v.key
WHERE b.link <= %(link)s AND v.row @> {described}
ORDER BY v.key, (v.row ->> '_haulier_delivery')::bigint, (v.row ->> '_haulier_row')::bigint

-- name: events
-- Every insert, change and delete of some links, in their order. A version that follows on another one of the same load is a
-- change of that, any other one an insert. Its line is the one that brought it, or that said the same last; of a deletion, the
-- line that deletes.
WITH versions AS (
    SELECT {key} AS key, to_jsonb(t) AS row, NULL::bigint AS history_id FROM {table} t
    UNION ALL
    SELECT h.key, h.before, h.history_id FROM haulier.history h WHERE h.target = %(target)s
), events AS (
    SELECT b.link, b.load_id, v.key, CASE WHEN p.before IS NULL THEN 'insert' ELSE 'change' END AS action,
           p.before AS old, v.row AS new, coalesce(v.history_id, 9223372036854775807) AS place
    FROM versions v
    JOIN haulier.chain b ON b.load_id = (v.row ->> '_haulier_since')::bigint AND b.target = %(target)s
    LEFT JOIN LATERAL (
        SELECT h.operation, h.before FROM haulier.history h
        WHERE h.target = %(target)s AND h.key = v.key AND h.load_id = b.load_id
          AND (v.history_id IS NULL OR h.history_id < v.history_id)
        ORDER BY h.history_id DESC LIMIT 1
    ) p ON p.operation IN ('update', 'fill')
    WHERE b.link BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT c.link, h.load_id, h.key, h.operation, h.before, NULL, h.history_id
    FROM haulier.history h JOIN haulier.chain c ON c.load_id = h.load_id AND c.target = h.target
    WHERE h.target = %(target)s AND h.operation IN ('delete', 'remove') AND c.link BETWEEN %(first)s AND %(last)s
), buried AS (
    SELECT k.key, k.load_id, k.delivery_id, k.row_number FROM haulier.tombstone k WHERE k.target = %(target)s
    UNION ALL SELECT k.key, k.load_id, k.delivery_id, k.row_number FROM haulier.former_tombstone k WHERE k.target = %(target)s
)
SELECT e.link, e.load_id, e.key, e.action, e.old, e.new, d.logical_name AS file, d.sequence, d.sha256, d.uri,
       coalesce(k.row_number, CASE WHEN s.said THEN (e.new ->> '_haulier_row')::bigint END) AS line,
       CASE WHEN k.row_number IS NULL AND s.said AND (e.new ->> '_haulier_load')::bigint <> e.load_id
            THEN (e.new ->> '_haulier_load')::bigint END AS said_again_by
FROM events e
LEFT JOIN buried k ON k.load_id = e.load_id AND k.key = e.key
-- A row that is marked because it is no longer sent keeps the stamps of the file that sent it.
LEFT JOIN haulier.chain w ON w.load_id = (e.new ->> '_haulier_load')::bigint AND w.target = %(target)s
CROSS JOIN LATERAL (SELECT w.link >= e.link AS said) s
LEFT JOIN haulier.delivery d
       ON d.delivery_id = coalesce(k.delivery_id, CASE WHEN s.said THEN (e.new ->> '_haulier_delivery')::bigint END)
WHERE coalesce(e.new, e.old) @> {described}
ORDER BY e.link, e.key, e.place
