-- name: reject_truncations
-- Truncations while a partition is in the archive.
DELETE FROM {stage} s WHERE {s_truncates} RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: find_truncation
-- The newest row that says that all rows of this instance are gone: of those staged and of those that earlier loads saw.
CREATE TEMP TABLE {truncation_name} ON COMMIT DROP AS
SELECT x.* FROM (
    SELECT {s_version_columns}, true AS staged FROM {stage_versioned} s WHERE {s_truncates}
    UNION ALL
    SELECT {k_version_columns}, false FROM {tombstones} k WHERE k.key = %(everything)s::jsonb
) x LEFT JOIN haulier.delivery d ON d.delivery_id = x._haulier_delivery
ORDER BY {x_version_desc}, d.instance DESC, d.logical_name DESC, x.staged
LIMIT 1

-- name: count_truncations
-- How many staged rows say so, and whether one of them is the newest.
SELECT (SELECT count(*) FROM {stage} s WHERE {s_truncates}), (SELECT coalesce(bool_or(x.staged), false)::integer FROM {truncation} x)

-- name: leave_out_truncations
-- They have no key and are not rows.
DELETE FROM {stage} s WHERE {s_truncates}

-- name: leave_out_truncated
-- Rows older than the truncation stay out.
DELETE FROM {stage} w USING {stage_versioned} s, {truncation} x WHERE w.ctid = s.ctid AND {x_newer_than_s}

-- name: count_truncated
-- Rows of this instance that the truncation takes away; one that a newer staged row changes is not gone.
SELECT count(*) FROM {target} t WHERE {truncated} AND NOT EXISTS (SELECT FROM {stage} s WHERE {same_key})

-- name: remove_truncated
-- They go to the history whole.
WITH gone AS (
    DELETE FROM {target} t WHERE {truncated} AND NOT EXISTS (SELECT FROM {stage} s WHERE {same_key}) RETURNING t.*
)
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'remove', jsonb_build_object({key_pairs}), to_jsonb(t) FROM gone t ORDER BY {t_key}

-- name: keep_former_truncation
-- A truncation that the newer one takes the place of stays what its own load said.
INSERT INTO haulier.former_tombstone
SELECT k.* FROM haulier.tombstone k WHERE k.target = %(target)s AND k.key = %(everything)s::jsonb

-- name: bury_all
-- The truncation as a tombstone of every key: its own key names the instance, as no column may be called.
INSERT INTO haulier.tombstone (target, key, load_id, delivery_id, row_number, sequence, generation, ordered, ordering)
SELECT %(target)s, %(everything)s::jsonb, %(load_id)s, x._haulier_delivery, x._haulier_row, x._haulier_sequence,
       x._haulier_generation, x._haulier_ordered, {x_ordering}
FROM {truncation} x WHERE x.staged
ON CONFLICT (target, key) DO UPDATE SET load_id = excluded.load_id, delivery_id = excluded.delivery_id,
    row_number = excluded.row_number, sequence = excluded.sequence, generation = excluded.generation,
    ordered = excluded.ordered, ordering = excluded.ordering

-- name: reject_others
-- Rows whose key belongs to another instance or pipeline, which a truncation of this one must not take away.
DELETE FROM {stage} s USING {target} t, haulier.delivery d
WHERE {same_key} AND d.delivery_id = t._haulier_delivery AND (d.pipeline, d.instance) <> (%(pipeline)s, %(instance)s)
RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: find_known
-- Of each key whose newest staged row does not carry all its values: the newest row that carries each, since the last
-- deletion, be it staged or one that an earlier load saw. A row rejected for contradicting its own file carries nothing.
CREATE TEMP TABLE {known_name} ON COMMIT DROP AS
WITH events AS (
    SELECT v.id AS _haulier_id, v.place AS _haulier_place, {s_key}, {s_deletes} AS _haulier_deletes, s._haulier_unchanged
    FROM {verdict} v JOIN {stage_versioned} s ON s.ctid = v.id
    WHERE v.fate <> 'conflict' AND NOT EXISTS (
        SELECT FROM {tombstones} k WHERE k.key = jsonb_build_object({s_key_pairs}) AND {k_newer_than_s})
), lives AS (
    SELECT e.*, min(e._haulier_place) FILTER (WHERE e._haulier_deletes) OVER (PARTITION BY {e_key}) AS _haulier_ended
    FROM events e
)
SELECT {e_key}, (array_agg(e._haulier_id ORDER BY e._haulier_place))[1] AS _haulier_winner,
       min(e._haulier_ended) AS _haulier_ended, max(e._haulier_place) AS _haulier_oldest,
       (array_agg(e._haulier_id) FILTER (WHERE e._haulier_place = e._haulier_ended))[1] AS _haulier_end, {sources}
FROM lives e GROUP BY {e_key} HAVING bool_or(e._haulier_place = 1 AND e._haulier_unchanged IS NOT NULL)

-- name: leave_unresolved
-- Keys of which nobody knows all values: no staged row, and no row of the table that is not gone. Their rows are rejected
-- since the last deletion: a staged one then is the newest word, and what is older than an earlier load's is only old.
WITH gone AS (
    DELETE FROM {known} u
    WHERE ({any_source_missing})
      AND NOT EXISTS (
          SELECT FROM {target} t WHERE {u_key_is_t} AND {within} AND NOT {truncated}
          AND NOT EXISTS (SELECT FROM {stage_versioned} g WHERE g.ctid = u._haulier_end AND {g_newer_than_t}))
    RETURNING u.*
)
UPDATE {verdict} v SET fate = CASE WHEN v.id = u._haulier_end THEN 'winner' ELSE 'unresolved' END
FROM {stage} s JOIN gone u ON {s_key_is_u}
WHERE v.id = s.ctid AND v.fate <> 'conflict' AND v.place <= coalesce(u._haulier_ended, u._haulier_oldest)

-- name: unresolved_rows
-- Rows to reject: what they do not carry is nowhere.
SELECT s._haulier_delivery, s._haulier_row, s._haulier_output
FROM {verdict} v JOIN {stage} s ON s.ctid = v.id WHERE v.fate = 'unresolved'
ORDER BY 1, 2, 3

-- name: fill
-- The newest row of a key takes what it does not carry from the rows before it, and notes of when that is.
UPDATE {stage} w SET {filled}, _haulier_kept = nullif(jsonb_strip_nulls(jsonb_build_object({filled_at})), jsonb '{{}}')
FROM {known} u {source_rows} WHERE w.ctid = u._haulier_winner

-- name: complete
-- What is known of no staged row, or of an older one only, is taken from the row of the table.
UPDATE {stage} w SET {completed}, _haulier_kept = nullif(jsonb_strip_nulls(jsonb_build_object({completed_at})), jsonb '{{}}')
FROM {stage_versioned} s JOIN {target} t ON {same_key} AND NOT {truncated}
WHERE w.ctid = s.ctid AND s._haulier_unchanged IS NOT NULL AND ({s_newer_than_t} OR {s_same_as_t})

-- name: judge_late
-- Rows older than the table's that know a newer value of a column which that one did not carry.
CREATE TEMP TABLE {late_name} ON COMMIT DROP AS
SELECT m.* FROM (
    SELECT f.id, f.part, f.tid, {late_columns}, ({late_changes}) AS other
    FROM {fate} f JOIN {stage_versioned} s ON s.ctid = f.id
    JOIN {target} t ON {within} AND t.tableoid = f.part AND t.ctid = f.tid
    WHERE f.fate = 'superseded' AND NOT f.deletes AND f.after_k AND t._haulier_kept IS NOT NULL
) m WHERE {late_any}

-- name: count_late
-- How many of them change a value.
SELECT count(*) FILTER (WHERE m.other), count(*) FROM {late} m

-- name: keep_late
-- The rows that they change, whole.
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'fill', jsonb_build_object({key_pairs}), to_jsonb(t)
FROM {late} m JOIN {target} t ON {within} AND t.tableoid = m.part AND t.ctid = m.tid WHERE m.other ORDER BY {t_key}

-- name: fill_late
-- The row keeps its stamps and version: only those values are newer.
UPDATE {target} t SET {late_filled}, _haulier_since = CASE WHEN m.other THEN %(load_id)s ELSE t._haulier_since END, _haulier_kept = t._haulier_kept || jsonb_strip_nulls(jsonb_build_object({late_at}))
FROM {late} m JOIN {stage_versioned} s ON s.ctid = m.id
WHERE {within} AND t.tableoid = m.part AND t.ctid = m.tid
