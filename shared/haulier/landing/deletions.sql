-- name: any_tombstone
-- Whether the target ever had a deletion: then older rows may have to stay out.
SELECT EXISTS (SELECT FROM haulier.tombstone WHERE target = %(target)s)

-- name: judge_fates
-- The fate of every staged row, against the row and the tombstone of its key and, where rows stay, the row staged beside it.
CREATE TEMP TABLE {fate_name} ON COMMIT DROP AS
SELECT j.id, j.part, j.tid, j.deletes, j.after_k, j.after_t, j.buried_at,
       CASE WHEN j.deletes AND NOT j.after_k THEN CASE WHEN j.at_k THEN 'unchanged' ELSE 'superseded' END
            WHEN j.deletes AND NOT (j.after_t AND j.after_u) THEN 'superseded'
            WHEN j.deletes AND (j.live OR j.revived) THEN 'deleted'
            WHEN j.deletes THEN 'unchanged'
            WHEN NOT j.after_k AND NOT {stays} THEN 'superseded'
            WHEN j.tid IS NULL THEN 'inserted'
            WHEN j.after_t AND (j.other OR NOT j.live AND j.after_k) THEN 'updated'
            WHEN j.after_t OR j.at_t AND NOT j.other THEN 'unchanged'
            ELSE 'superseded' END AS fate
FROM (
    SELECT s.ctid AS id, t.tableoid AS part, t.ctid AS tid, {s_deletes} AS deletes, k._haulier_ordered AS buried_at,
           coalesce({s_newer_than_k}, true) AS after_k, coalesce({s_same_as_k}, false) AS at_k,
           coalesce({s_newer_than_t}, true) AS after_t, coalesce({s_same_as_t}, false) AS at_t,
           coalesce({s_newer_than_u}, true) AS after_u,
           u.ctid IS NOT NULL AND coalesce({u_newer_than_k}, true) AS revived,
           t.ctid IS NOT NULL AND {t_live} AS live,
           ROW({s_stored}) IS DISTINCT FROM ROW({t_stored}) AS other
    FROM {stage_versioned} s
    LEFT JOIN {target} t ON {same_key}
    LEFT JOIN {tombstones} k ON k.key = jsonb_build_object({s_key_pairs})
    LEFT JOIN {stage_versioned} u ON {stays} AND {s_deletes} AND NOT {u_deletes} AND {same_key_in_stage}
) AS j

-- name: forget_fates
-- After rows were rejected, the rest is judged anew: a deletion may have stood beside one of them.
DROP TABLE {fate_name}

-- name: count_fates
-- How many rows met which fate.
SELECT fate, count(*) FROM {fate} GROUP BY fate

-- name: keep_former_tombstones
-- Deletions that a newer one takes the place of stay what their own load said.
INSERT INTO haulier.former_tombstone
SELECT k.* FROM haulier.tombstone k
WHERE k.target = %(target)s AND k.key IN (
    SELECT jsonb_build_object({s_key_pairs}) FROM {fate} f JOIN {stage} s ON s.ctid = f.id
    WHERE f.deletes AND f.after_k AND f.fate IN ('deleted', 'unchanged'))

-- name: bury
-- The newest deletion of each key, whether or not there was a row to delete.
INSERT INTO haulier.tombstone AS k (target, key, load_id, delivery_id, row_number, sequence, generation, ordered, ordering)
SELECT %(target)s, jsonb_build_object({s_key_pairs}), %(load_id)s, s._haulier_delivery, s._haulier_row, s._haulier_sequence,
       %(generation)s, %(ordered)s, {s_ordering}
FROM {fate} f JOIN {stage} s ON s.ctid = f.id
WHERE f.deletes AND f.after_k AND f.fate IN ('deleted', 'unchanged')
ON CONFLICT (target, key) DO UPDATE SET load_id = excluded.load_id, delivery_id = excluded.delivery_id,
    row_number = excluded.row_number, sequence = excluded.sequence, generation = excluded.generation,
    ordered = excluded.ordered, ordering = excluded.ordering

-- name: remove_deleted
-- Deleted rows go to the history whole.
WITH gone AS (
    DELETE FROM {target} t USING {fate} f
    WHERE {within} AND t.tableoid = f.part AND t.ctid = f.tid AND f.fate = 'deleted' RETURNING t.*
)
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'delete', jsonb_build_object({key_pairs}), to_jsonb(t) FROM gone t ORDER BY {t_key}

-- name: insert_fated
-- New rows; one that is older than the deletion of its key enters as deleted.
INSERT INTO {target} ({columns}, {deleted_at_column} _haulier_load, _haulier_delivery, _haulier_row, _haulier_sequence,
    _haulier_generation, _haulier_ordered, _haulier_since)
SELECT {values}, {deleted_at_value} %(load_id)s, s._haulier_delivery, s._haulier_row, s._haulier_sequence, %(generation)s, %(ordered)s,
    %(load_id)s
FROM {fate} f JOIN {stage} s ON s.ctid = f.id
WHERE f.fate = 'inserted'

-- name: keep_marked
-- Rows that stay and are about to be marked as deleted, whole.
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'update', jsonb_build_object({key_pairs}), to_jsonb(t)
FROM {fate} f JOIN {stage} s ON s.ctid = f.id JOIN {target} t ON {same_key}
WHERE f.fate = 'deleted'
ORDER BY {t_key}

-- name: mark
-- Deleted rows that stay; a repeated deletion moves the mark.
UPDATE {target} t SET {deleted_at} = %(ordered)s, _haulier_since = CASE WHEN f.fate = 'deleted' THEN %(load_id)s ELSE t._haulier_since END
FROM {fate} f JOIN {stage} s ON s.ctid = f.id
WHERE {same_key} AND f.deletes AND f.after_k AND f.fate IN ('deleted', 'unchanged')
