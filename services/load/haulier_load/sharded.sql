-- name: generation_of_run
-- Which generation the run is at.
SELECT generation FROM haulier.run WHERE run_id = %(run_id)s

-- name: is_settled
-- Whether this shard is staged, or its run loaded.
SELECT EXISTS (SELECT FROM haulier.staged_shard
               WHERE run_id = %(run_id)s AND generation = %(generation)s AND shard = %(shard)s)
    OR EXISTS (SELECT FROM haulier.load WHERE run_id = %(run_id)s AND generation = %(generation)s AND kind = 'run')

-- name: lock_stages
-- One new stage at a time: CREATE TABLE IF NOT EXISTS fails beside another one that is not committed.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.stages', 0))

-- name: record_shard
-- The shard's rows count from here on; who comes second adds none.
INSERT INTO haulier.staged_shard (run_id, generation, shard, rows, parts, attempt_id)
VALUES (%(run_id)s, %(generation)s, %(shard)s, %(rows)s, %(parts)s, %(attempt)s)
ON CONFLICT DO NOTHING

-- name: recorded_shards
-- What was staged of a run.
SELECT shard, rows, parts FROM haulier.staged_shard
WHERE run_id = %(run_id)s AND generation = %(generation)s ORDER BY shard

-- name: count_shards
-- What the stage really holds: a server that crashed emptied it.
SELECT {shard}, count(*) FROM {stage} GROUP BY 1

-- name: settled_stages
-- Stages nobody needs any more: their run was loaded, or has a newer generation.
SELECT r.run_id, stage.generation
FROM (SELECT (found[1])::bigint AS run_id, (found[2])::integer AS generation
      FROM pg_class c CROSS JOIN LATERAL regexp_match(c.relname, '^run_(\d+)_g(\d+)$') AS found
      WHERE c.relnamespace = 'haulier_stage'::regnamespace AND found IS NOT NULL) AS stage
JOIN haulier.run r USING (run_id)
WHERE stage.generation < r.generation
   OR EXISTS (SELECT FROM haulier.load l
              WHERE l.run_id = r.run_id AND l.generation = stage.generation AND l.kind = 'run')

-- name: forget_shards
-- With its stage, what was recorded of it goes.
DELETE FROM haulier.staged_shard WHERE run_id = %(run_id)s AND generation = %(generation)s
