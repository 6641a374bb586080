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
