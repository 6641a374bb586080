-- name: lock_instance
-- One reservation of an instance at a time.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.instance/' || %(pipeline)s || '/' || %(instance)s, 0))

-- name: find_run
-- The run of an interval, with what became of its current generation; it stays open until its models are built.
SELECT r.run_id, r.generation, r.status, g.definition_digest, CASE WHEN r.status IN ('loaded', 'quarantined') THEN r.status END
FROM haulier.run r
LEFT JOIN haulier.generation g USING (run_id, generation)
WHERE r.pipeline = %(pipeline)s AND r.instance = %(instance)s
  AND r.interval_start = %(interval_start)s AND r.interval_end = %(interval_end)s

-- name: standing
-- How things stand for a run of a source that is read as it is: the position, how often a person moved it, what was
-- read last and up to where, where the run's own content began, and the runs in its way. One whose rows are in the target is in nobody's,
-- whatever becomes of its models.
SELECT s.value,
       (SELECT max(change_id) FROM haulier.state_change c WHERE c.pipeline = asked.pipeline AND c.instance = asked.instance),
       (SELECT max(n.delivery_id) FROM haulier.delivery n WHERE n.pipeline = asked.pipeline AND n.instance = asked.instance),
       (SELECT n.position -> 'end' FROM haulier.delivery n
        WHERE n.pipeline = asked.pipeline AND n.instance = asked.instance AND n.position ->> 'name' = %(name)s
        ORDER BY n.delivery_id DESC LIMIT 1),
       (SELECT d.position -> 'start'
        FROM haulier.generation_delivery g JOIN haulier.delivery d USING (delivery_id)
        WHERE g.run_id = r.run_id AND g.generation = r.generation AND d.position IS NOT NULL
        ORDER BY delivery_id LIMIT 1),
       (SELECT min(o.interval_start) FROM haulier.run o
        WHERE o.pipeline = asked.pipeline AND o.instance = asked.instance AND o.generation > 0
          AND (o.interval_end, o.interval_start) > (%(interval_end)s, %(interval_start)s)),
       blocking.interval_start, blocking.interval_end, blocking.status
FROM (SELECT %(pipeline)s::text AS pipeline, %(instance)s::text AS instance) AS asked
LEFT JOIN haulier.state s ON s.pipeline = asked.pipeline AND s.instance = asked.instance AND s.name = %(name)s
LEFT JOIN haulier.run r ON r.pipeline = asked.pipeline AND r.instance = asked.instance
     AND r.interval_start = %(interval_start)s AND r.interval_end = %(interval_end)s
LEFT JOIN LATERAL (
    SELECT b.interval_start, b.interval_end, b.status
    FROM haulier.run b JOIN haulier.generation g USING (run_id, generation)
    WHERE b.pipeline = asked.pipeline AND b.instance = asked.instance AND b.run_id IS DISTINCT FROM r.run_id
      AND b.status IN ('open', 'quarantined')
      AND g.opened_at > coalesce((SELECT max(c.at) FROM haulier.state_change c
                                  WHERE c.pipeline = asked.pipeline AND c.instance = asked.instance), '-infinity')
      AND EXISTS (SELECT FROM haulier.generation_delivery gd JOIN haulier.delivery d USING (delivery_id)
                  WHERE gd.run_id = b.run_id AND gd.generation = b.generation AND d.position IS NOT NULL)
      AND NOT EXISTS (SELECT FROM haulier.load l WHERE l.run_id = b.run_id AND l.generation = b.generation
                        AND l.kind = 'run' AND l.outcome = 'loaded')
    ORDER BY b.status DESC, b.interval_start LIMIT 1
) AS blocking ON true

-- name: insert_run
-- A run nobody asked for before.
INSERT INTO haulier.run (pipeline, instance, interval_start, interval_end, status)
VALUES (%(pipeline)s, %(instance)s, %(interval_start)s, %(interval_end)s, 'open')
RETURNING run_id

-- name: known_uris
-- What was last recorded at each place; since a person moved a position, if one did: all behind it is to be read again.
SELECT DISTINCT ON (uri) uri, sha256, bytes, modified_at
FROM haulier.delivery
WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND uri = ANY(%(uris)s)
  AND seen_at > coalesce((SELECT max(at) FROM haulier.state_change
                          WHERE pipeline = %(pipeline)s AND instance = %(instance)s), '-infinity')
ORDER BY uri, delivery_id DESC

-- name: last_increment
-- What was read last, of a source each of whose runs has one delivery: by any run where it is read as it stands, else by
-- this one or at the same places; the run's own last sequence, and whether the same again is nothing new. To other runs it is news when it was not
-- loaded, or when a person moved a position away from it.
SELECT uri, logical_name, sha256,
       (SELECT coalesce(max(sequence), 0) FROM haulier.delivery WHERE run_id = %(run_id)s),
       run_id = %(run_id)s
       OR (seen_at > coalesce((SELECT max(at) FROM haulier.state_change
                               WHERE pipeline = %(pipeline)s AND instance = %(instance)s), '-infinity')
           AND EXISTS (SELECT FROM haulier.generation_delivery g JOIN haulier.load l USING (run_id, generation)
                       WHERE g.run_id = delivery.run_id AND g.delivery_id = delivery.delivery_id
                         AND l.kind = 'run' AND l.outcome = 'loaded'))
FROM haulier.delivery
WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND disposition = 'reserved'
  AND (%(as_it_stands)s OR run_id = %(run_id)s OR uri = ANY(%(uris)s))
ORDER BY delivery_id DESC
LIMIT 1

-- name: last_named
-- The last delivery of each logical name.
SELECT DISTINCT ON (logical_name) logical_name, delivery_id, sequence, sha256
FROM haulier.delivery
WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND disposition = 'reserved'
  AND logical_name = ANY(%(names)s)
ORDER BY logical_name, sequence DESC

-- name: same_bytes
-- The first delivery that brought the same bytes under any name.
SELECT DISTINCT ON (sha256) sha256, delivery_id, logical_name
FROM haulier.delivery
WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND disposition = 'reserved'
  AND sha256 = ANY(%(digests)s)
ORDER BY sha256, delivery_id

-- name: insert_delivery
-- One file as it arrived.
INSERT INTO haulier.delivery (pipeline, instance, logical_name, sequence, sha256, bytes, uri, modified_at, original,
                              disposition, same_as, run_id,
                              position)
VALUES (%(pipeline)s, %(instance)s, %(logical_name)s, %(sequence)s, %(sha256)s, %(bytes)s, %(uri)s, %(modified_at)s,
        %(original)s, %(disposition)s, %(same_as)s, %(run_id)s, %(position)s)
RETURNING delivery_id

-- name: content_of_generation
-- What a generation hauls.
SELECT d.delivery_id, d.logical_name, d.sequence, d.sha256, d.bytes, d.uri, d.modified_at, d.original, d.position
FROM haulier.generation_delivery
JOIN haulier.delivery d USING (delivery_id)
WHERE generation_delivery.run_id = %(run_id)s AND generation = %(generation)s
ORDER BY d.delivery_id

-- name: open_generation
-- The run's next content; its status falls back to open.
WITH opened AS (
    INSERT INTO haulier.generation (run_id, generation, definition_digest, reason, actor)
    VALUES (%(run_id)s, %(generation)s, %(definition_digest)s, %(reason)s, %(actor)s)
)
UPDATE haulier.run SET generation = %(generation)s, status = 'open', updated_at = now() WHERE run_id = %(run_id)s

-- name: reserve_delivery
-- A delivery of a generation.
INSERT INTO haulier.generation_delivery (run_id, generation, delivery_id)
VALUES (%(run_id)s, %(generation)s, %(delivery_id)s)

-- name: mark_empty
-- A run that found nothing; asked again it looks again.
UPDATE haulier.run SET status = 'empty', updated_at = now() WHERE run_id = %(run_id)s AND generation = 0

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

-- name: insert_attempt
-- An attempt at a step, for those who look.
INSERT INTO haulier.attempt (attempt_id, run_id, step, content, fence, actor)
VALUES (%(attempt)s, %(run_id)s, %(step)s, %(content)s, %(fence)s, %(actor)s)
ON CONFLICT DO NOTHING
