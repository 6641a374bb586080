-- name: count_matched
-- The account of matched rows in upsert mode.
SELECT count(*) FILTER (WHERE newer AND other), count(*) FILTER (WHERE (newer OR same) AND NOT other),
       count(*) FILTER (WHERE NOT newer AND NOT (same AND NOT other)), count(*)
FROM {matched}

-- name: count_newer
-- Matched rows that are newer, equal ones with them: each gets a new stamp.
SELECT count(*) FROM {matched} m WHERE m.newer

-- name: keep_history
-- Every row that is about to change, whole.
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'update', jsonb_build_object({key_pairs}), to_jsonb(t)
FROM {matched} m JOIN {target} t ON {within} AND t.tableoid = m.part AND t.ctid = m.tid
WHERE m.newer AND m.other
ORDER BY {t_key}
