-- name: share
-- Loads whose rows are this instance's share of the target.
SELECT l.load_id FROM haulier.load l JOIN haulier.run r USING (run_id)
WHERE l.target = %(target)s AND l.outcome = 'loaded' AND r.pipeline = %(pipeline)s AND r.instance = %(instance)s

-- name: brought
-- Whether this content has filled the share already: what a replay brings of one that has not is the first of it.
SELECT EXISTS (
    SELECT FROM haulier.load l
    WHERE l.target = %(target)s AND l.run_id = %(run_id)s AND l.generation = %(generation)s AND l.outcome = 'loaded'
      AND l.inserted + l.updated + l.unchanged > 0)

-- name: newer_content
-- Whether a later run of this instance has filled its share already; one that brought no row has not.
SELECT EXISTS (
    SELECT FROM haulier.load l JOIN haulier.run r USING (run_id)
    WHERE l.target = %(target)s AND l.outcome = 'loaded' AND r.pipeline = %(pipeline)s AND r.instance = %(instance)s
      AND l.inserted + l.updated + l.unchanged > 0 AND ROW(r.interval_end, r.run_id) > ROW(%(ordered)s, %(run_id)s))

-- name: match_share
-- Staged rows whose key the target has; those of the share give way, whatever their version.
CREATE TEMP TABLE {matched_name} ON COMMIT DROP AS
SELECT s.ctid AS id, t.tableoid AS part, t.ctid AS tid, t._haulier_load = ANY(%(share)s) AS own,
       {gives_way} AS newer, {s_same_as_t} AS same, ROW({s_stored}) IS DISTINCT FROM ROW({t_stored}) AS other
FROM {stage_versioned} s JOIN {target} t ON {same_key}

-- name: reject_others
-- Rows whose key belongs to another instance's share or another pipeline.
WITH others AS (DELETE FROM {matched} m WHERE NOT m.own RETURNING m.id)
DELETE FROM {stage} s USING others WHERE s.ctid = others.id
RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: count_missing
-- Rows of the share whose key this content does not have.
SELECT count(*) FROM {target} t
WHERE t._haulier_load = ANY(%(share)s) AND NOT EXISTS (SELECT FROM {stage} s WHERE {same_key})

-- name: count_share
-- Rows of the share.
SELECT count(*) FROM {target} t WHERE t._haulier_load = ANY(%(share)s)

-- name: remove_missing
-- They go to the history as the new content comes in.
WITH gone AS (
    DELETE FROM {target} t
    WHERE t._haulier_load = ANY(%(share)s) AND NOT EXISTS (SELECT FROM {stage} s WHERE {same_key}) RETURNING t.*
)
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'remove', jsonb_build_object({key_pairs}), to_jsonb(t) FROM gone t ORDER BY {t_key}
