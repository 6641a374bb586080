-- name: analyze
-- The planner knows nothing of a fresh TEMP table.
ANALYZE {stage}

-- name: count
-- Rows that are left in the stage.
SELECT count(*) FROM {stage}

-- name: leave_out
-- Rows of deliveries that another run loaded.
DELETE FROM {stage} WHERE _haulier_delivery = ANY(%(deliveries)s)

-- name: leave_out_rows
-- Replayed rows that were resolved in the meantime.
DELETE FROM {stage} s
USING unnest(%(deliveries)s::bigint[], %(rows)s::bigint[], %(outputs)s::integer[]) AS gone (delivery_id, row_number, output)
WHERE s._haulier_delivery = gone.delivery_id AND s._haulier_row = gone.row_number
  AND (gone.output IS NULL OR s._haulier_output = gone.output)

-- name: leave_out_archived
-- Rows whose partition is in the archive: they have no place until it is restored.
DELETE FROM {stage} s WHERE {archived} RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: unfit
-- Rows with a value that the table has no place for.
DELETE FROM {stage} s WHERE s.{column} IS NOT NULL AND NOT {s_deletes} AND NOT {fits}
RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: any_repeated
-- Whether a key stands in the stage more than once, or in a row that does not carry all its values.
SELECT EXISTS (SELECT FROM {stage} GROUP BY {key} HAVING {has_news})

-- name: judge
-- The fate of every such row, and its place among those of its key, the newest first: conflict, duplicate, superseded or winner.
-- A plan's deliveries are not in the ledger.
CREATE TEMP TABLE {verdict_name} ON COMMIT DROP AS
WITH repeated AS (
    SELECT {key} FROM {stage} GROUP BY {key} HAVING {has_news}
), rows AS (
    SELECT s.ctid AS _haulier_id, {s_key}, s._haulier_delivery, ROW({s_content}) AS _haulier_content,
           {s_deletes} AS _haulier_deletes, {top_in_delivery} AS _haulier_top, {s_version_list},
           d.instance AS _haulier_instance, d.logical_name AS _haulier_name
    FROM {stage} s JOIN repeated USING ({key}) LEFT JOIN haulier.delivery d ON d.delivery_id = s._haulier_delivery
), conflicts AS (
    SELECT {key}, _haulier_delivery FROM rows WHERE _haulier_top GROUP BY {key}, _haulier_delivery
    HAVING count(DISTINCT _haulier_content) > 1
), ranked AS (
    SELECT r._haulier_id AS id, r._haulier_content AS content, c._haulier_delivery IS NOT NULL AS conflict,
           row_number() OVER w AS place, first_value(r._haulier_content) OVER w AS winner
    FROM rows r LEFT JOIN conflicts c USING ({key}, _haulier_delivery)
    WINDOW w AS (PARTITION BY {r_key}, {r_side} c._haulier_delivery IS NOT NULL
                 ORDER BY {r_version_desc}, r._haulier_instance DESC, r._haulier_name DESC)
)
SELECT id, place, CASE WHEN conflict THEN 'conflict' WHEN place = 1 THEN 'winner'
                WHEN content IS NOT DISTINCT FROM winner THEN 'duplicate' ELSE 'superseded' END AS fate
FROM ranked

-- name: fates
-- How many rows met which fate.
SELECT fate, count(*) FROM {verdict} GROUP BY fate

-- name: conflicting_rows
-- Rows to reject: one delivery gave their key two values.
SELECT s._haulier_delivery, s._haulier_row, s._haulier_output
FROM {verdict} v JOIN {stage} s ON s.ctid = v.id WHERE v.fate = 'conflict'
ORDER BY 1, 2, 3

-- name: keep_winners
-- What is left in the stage has one row per key.
DELETE FROM {stage} s USING {verdict} v WHERE s.ctid = v.id AND v.fate <> 'winner'

-- name: checked_at_once
-- Whether an index of the table refuses a value that another row is just about to give up.
SELECT EXISTS (
    SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
      AND i.indisunique AND i.indimmediate AND i.indnkeyatts = 1 AND a.attname = %(column)s)

-- name: not_unique
-- Rows whose value of a unique column another key will have, too: in the stage, or in the target as this load leaves it.
-- Who has a value keeps it. Where a rejected row leaves its former self in the target, that one keeps its value as well.
WITH RECURSIVE claiming AS MATERIALIZED (
    SELECT s.ctid AS id FROM {stage} s
    WHERE s.{column} IS NOT NULL AND NOT {s_deletes} AND {s_applied}
      AND NOT EXISTS (SELECT FROM {target} t WHERE t.{column} = s.{column} AND NOT {other_key} AND {staying})
), wrong AS (
    SELECT s.ctid AS id FROM claiming c JOIN {stage} s ON s.ctid = c.id
    WHERE EXISTS (SELECT FROM {stage} o WHERE o.{column} = s.{column} AND o.ctid <> s.ctid AND NOT {o_deletes} AND {o_applied})
       OR EXISTS (SELECT FROM {target} t WHERE t.{column} = s.{column} AND {other_key} AND {staying} AND {settled})
    UNION
    SELECT s.ctid
    FROM wrong w JOIN {stage} g ON g.ctid = w.id JOIN {target} t ON {g_is_t} AND {staying}
    JOIN {stage} s ON s.{column} = t.{column} AND {other_key} JOIN claiming c ON c.id = s.ctid
    WHERE {comes_back}
)
DELETE FROM {stage} s USING wrong w WHERE s.ctid = w.id
RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: forget_matched
-- After rows were rejected, the rest is matched anew.
DROP TABLE {matched_name}

-- name: match
-- Staged rows whose key the target has: is the staged one newer, is it other, is it the very same delivery again.
CREATE TEMP TABLE {matched_name} ON COMMIT DROP AS
SELECT s.ctid AS id, t.tableoid AS part, t.ctid AS tid,
       {s_newer_than_t} AS newer,
       {s_same_as_t} AS same,
       ROW({s_stored}) IS DISTINCT FROM ROW({t_stored}) AS other
FROM {stage_versioned} s JOIN {target} t ON {same_key} AND {staying}

-- name: update
-- Newer rows: changed ones get their values, equal ones advance their stamp.
UPDATE {target} t SET {assignments}, _haulier_load = %(load_id)s, _haulier_delivery = s._haulier_delivery,
    _haulier_row = s._haulier_row, _haulier_sequence = s._haulier_sequence, _haulier_generation = %(generation)s,
    _haulier_ordered = %(ordered)s, _haulier_since = CASE WHEN m.other THEN %(load_id)s ELSE t._haulier_since END
FROM {matched} m JOIN {stage} s ON s.ctid = m.id
WHERE {within} AND t.tableoid = m.part AND t.ctid = m.tid AND m.newer

-- name: insert
-- Rows that are new to the target.
INSERT INTO {target} ({columns}, _haulier_load, _haulier_delivery, _haulier_row, _haulier_sequence, _haulier_generation,
    _haulier_ordered, _haulier_since)
SELECT {values}, %(load_id)s, s._haulier_delivery, s._haulier_row, s._haulier_sequence, %(generation)s, %(ordered)s, %(load_id)s
FROM {stage} s WHERE {entering}

-- name: vanished
-- Cumulative deliveries: keys of this instance that are in the target and no longer in the files.
SELECT count(*) FROM {target} t JOIN haulier.delivery d ON d.delivery_id = t._haulier_delivery
WHERE d.pipeline = %(pipeline)s AND d.instance = %(instance)s AND {t_live}
  AND NOT EXISTS (SELECT FROM {stage} s WHERE {same_key})
