-- name: older_loads
-- Loads of this run's older generations.
SELECT load_id FROM haulier.load
WHERE target = %(target)s AND run_id = %(run_id)s AND generation < %(generation)s AND outcome = 'loaded'

-- name: archived_replaced
-- Partitions in the archive that hold rows of this run's older generations.
SELECT DISTINCT a.partition_schema || '.' || a.partition_name
FROM haulier.archived a JOIN haulier.archive_stamp s USING (archive_id)
WHERE a.target = %(target)s AND s.load_id = ANY(%(older)s) ORDER BY 1

-- name: taken_keys
-- Append mode: rows whose key the target has with other values.
SELECT s._haulier_delivery, s._haulier_row, s._haulier_output
FROM {matched} m JOIN {stage} s ON s.ctid = m.id WHERE m.other
ORDER BY 1, 2, 3

-- name: count_replaced
-- Append mode: rows of this run's older generations.
SELECT count(*) FROM {target} t WHERE t._haulier_load = ANY(%(older)s)

-- name: remove_replaced
-- They go to the history as the new generation comes in.
WITH gone AS (DELETE FROM {target} t WHERE t._haulier_load = ANY(%(older)s) RETURNING t.*)
INSERT INTO haulier.history (load_id, target, operation, before)
SELECT %(load_id)s, %(target)s, 'remove', to_jsonb(gone) FROM gone
