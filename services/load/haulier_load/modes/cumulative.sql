-- name: is_late
-- Whether a later content of this instance was everything: what that one does not have is gone.
SELECT EXISTS (
    SELECT FROM haulier.tombstone k JOIN haulier.load l USING (load_id)
    WHERE k.target = %(target)s AND k.key = %(everything)s::jsonb
      AND ROW(k.ordered, l.run_id, l.generation) > ROW(%(ordered)s, %(run_id)s, %(generation)s))

-- name: leave_out_gone
-- Rows of an earlier content whose key the later one left out, or that the table never had for it.
DELETE FROM {stage} s WHERE NOT EXISTS (SELECT FROM {target} t WHERE {same_key} AND {t_live})

-- name: count_vanished
-- Rows that earlier contents of this instance left and this one does not have.
SELECT count(*) FROM {target} t WHERE {vanished}

-- name: count_standing
-- Rows that this instance has.
SELECT count(*) FROM {target} t WHERE {t_live} AND {own}

-- name: remove_vanished
-- They go to the history whole.
WITH gone AS (
    DELETE FROM {target} t WHERE {vanished} RETURNING t.*
)
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'remove', jsonb_build_object({key_pairs}), to_jsonb(t) FROM gone t ORDER BY {t_key}

-- name: keep_vanished
-- Where deleted rows stay: those about to be marked, whole.
INSERT INTO haulier.history (load_id, target, operation, key, before)
SELECT %(load_id)s, %(target)s, 'update', jsonb_build_object({key_pairs}), to_jsonb(t)
FROM {target} t WHERE {vanished} ORDER BY {t_key}

-- name: mark_vanished
-- They keep their stamps and version.
UPDATE {target} t SET {deleted_at} = %(ordered)s, _haulier_since = %(load_id)s WHERE {vanished}

-- name: bury_vanished
-- This content as a tombstone of every key of its instance, under the newest of its rows.
INSERT INTO haulier.tombstone (target, key, load_id, delivery_id, row_number, sequence, generation, ordered)
SELECT %(target)s, %(everything)s::jsonb, %(load_id)s, s._haulier_delivery, s._haulier_row, s._haulier_sequence,
       %(generation)s, %(ordered)s
FROM {stage} s ORDER BY s._haulier_delivery DESC, s._haulier_row DESC LIMIT 1
ON CONFLICT (target, key) DO UPDATE SET load_id = excluded.load_id, delivery_id = excluded.delivery_id,
    row_number = excluded.row_number, sequence = excluded.sequence, generation = excluded.generation,
    ordered = excluded.ordered, ordering = excluded.ordering
