-- name: states
-- How far each source was read and loaded, and by which load.
SELECT s.pipeline, s.instance, s.name, s.value, s.load_id, r.interval_start, r.interval_end,
       coalesce(l.actor, c.actor) AS actor, coalesce(l.loaded_at, c.at) AS at
FROM haulier.state s
LEFT JOIN haulier.load l USING (load_id)
LEFT JOIN haulier.run r ON r.run_id = l.run_id
LEFT JOIN LATERAL (SELECT actor, at FROM haulier.state_change c
                   WHERE c.pipeline = s.pipeline AND c.instance = s.instance AND c.name = s.name
                   ORDER BY change_id DESC LIMIT 1) AS c ON s.load_id IS NULL
WHERE (%(pipeline)s::text IS NULL OR s.pipeline = %(pipeline)s) AND (%(instance)s::text IS NULL OR s.instance = %(instance)s)
ORDER BY s.pipeline, s.instance, s.name

-- name: changes
-- What people moved, the newest first.
SELECT change_id, pipeline, instance, name, before, after, reason, actor, at
FROM haulier.state_change
WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s) AND (%(instance)s::text IS NULL OR instance = %(instance)s)
ORDER BY change_id DESC LIMIT 20

-- name: unloaded
-- Runs of an instance that read what they have not loaded.
SELECT r.interval_start, r.interval_end, r.status
FROM haulier.run r
WHERE r.pipeline = %(pipeline)s AND r.instance = %(instance)s AND r.status IN ('open', 'quarantined') AND r.generation > 0
  AND NOT EXISTS (SELECT FROM haulier.load l WHERE l.run_id = r.run_id AND l.generation = r.generation
                    AND l.kind = 'run' AND l.outcome = 'loaded')
ORDER BY r.interval_start
