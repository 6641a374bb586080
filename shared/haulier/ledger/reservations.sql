-- name: lock_instance
-- One reservation of an instance at a time.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.instance/' || %(pipeline)s || '/' || %(instance)s, 0))

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
