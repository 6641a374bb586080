-- name: find_replay
-- A replay with its run and whether it was loaded.
SELECT p.run_id, p.generation, r.pipeline, r.instance, r.interval_start, r.interval_end, l.outcome
FROM haulier.replay p
JOIN haulier.run r USING (run_id)
LEFT JOIN haulier.load l ON l.replay_id = p.replay_id AND l.kind = 'replay'
WHERE p.replay_id = %(replay_id)s

-- name: content_of_replay
-- The rejected rows a replay hauls again, by delivery.
SELECT d.delivery_id, d.logical_name, d.sequence, d.sha256, d.bytes, d.uri, d.modified_at, d.original,
       array_agg(j.row_number ORDER BY j.row_number, j.output), array_agg(j.output ORDER BY j.row_number, j.output)
FROM haulier.replay_reject
JOIN haulier.reject j USING (reject_id)
JOIN haulier.delivery d USING (delivery_id)
WHERE replay_reject.replay_id = %(replay_id)s
GROUP BY d.delivery_id
ORDER BY d.delivery_id

-- name: replayable_rejects
-- Open rejects of loaded generations that are still current, by generation; none that somebody released. Where models
-- were merged, they read all rows of a run together, and of a replay they would see its rows alone: such a run wants
-- --reprocess.
SELECT o.run_id, o.generation, r.interval_start, r.interval_end, array_agg(o.reject_id ORDER BY o.reject_id)
FROM haulier.open_reject o
JOIN haulier.load l USING (load_id)
JOIN haulier.run r ON r.run_id = o.run_id AND r.generation = o.generation
WHERE r.pipeline = %(pipeline)s AND r.instance = %(instance)s AND r.status = 'loaded' AND l.outcome = 'loaded'
  AND NOT EXISTS (SELECT FROM haulier.model_build b
                  WHERE b.run_id = o.run_id AND b.generation = o.generation AND b.materialized = 'merge')
  AND 'released' IS DISTINCT FROM (
      SELECT e.status FROM haulier.query_event e
      WHERE e.reject_id = coalesce((SELECT p.first_id FROM haulier.query_repeat p WHERE p.reject_id = o.reject_id), o.reject_id)
      ORDER BY e.link DESC LIMIT 1)
  AND (%(rule)s::text IS NULL OR o.rule = %(rule)s)
  AND (%(reject_ids)s::bigint[] IS NULL OR o.reject_id = ANY(%(reject_ids)s))
GROUP BY o.run_id, o.generation, r.interval_start, r.interval_end
ORDER BY r.interval_start

-- name: insert_replay
-- A person asked to haul rejects again.
INSERT INTO haulier.replay (run_id, generation, definition_digest, reason, actor)
VALUES (%(run_id)s, %(generation)s, %(definition_digest)s, %(reason)s, %(actor)s)
RETURNING replay_id

-- name: insert_replay_rejects
-- The rejects of a replay.
INSERT INTO haulier.replay_reject (replay_id, reject_id) SELECT %(replay_id)s, unnest(%(reject_ids)s::bigint[])
