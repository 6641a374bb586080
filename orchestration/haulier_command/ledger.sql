-- name: completed_runs
-- Runs of some instances that need no further attempt.
SELECT r.pipeline, r.instance, r.interval_start, r.interval_end
FROM haulier.run r
JOIN unnest(%(pipelines)s::text[], %(instances)s::text[]) AS asked (pipeline, instance) USING (pipeline, instance)
WHERE r.status IN ('loaded', 'empty') OR r.run_id = ANY(%(corrected)s)

-- name: corrected_runs
-- Quarantined runs of which every file was sent again later, in runs that are through, models included: nobody waits for them.
SELECT r.run_id
FROM haulier.run r
WHERE r.status = 'quarantined' AND NOT EXISTS (
    SELECT FROM haulier.generation_delivery g
    JOIN haulier.delivery d USING (delivery_id)
    WHERE g.run_id = r.run_id AND g.generation = r.generation AND NOT EXISTS (
        SELECT FROM haulier.delivery n
        JOIN haulier.source_account a ON a.delivery_id = n.delivery_id
        JOIN haulier.load l ON l.load_id = a.load_id AND l.outcome = 'loaded'
        JOIN haulier.run later ON later.run_id = l.run_id AND later.status = 'loaded'
        WHERE n.pipeline = d.pipeline AND n.instance = d.instance AND n.logical_name = d.logical_name
          AND n.sequence > d.sequence))

-- name: lanes
-- Pipelines and instances that were ever hauled.
SELECT DISTINCT pipeline, instance FROM haulier.run

-- name: run_status
-- What became of one run.
SELECT status FROM haulier.run
WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND interval_start = %(start)s AND interval_end = %(end)s

-- name: accounts
-- Both accounts of what some runs, or replays, brought into their targets.
SELECT r.pipeline, r.instance, r.interval_start, r.interval_end, r.run_id, l.generation, l.replay_id, l.load_id, l.kind, l.target,
       l.outcome, source.deliveries, source.read, source.accepted, source.filtered, source.rejected AS source_rejected,
       source.stripped, l.produced, l.inserted, l.updated, l.unchanged, l.superseded, l.duplicate, l.deleted, l.rejected,
       l.held, l.removed
FROM unnest(%(pipelines)s::text[], %(instances)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
            %(replays)s::bigint[]) AS asked (pipeline, instance, interval_start, interval_end, replay_id)
JOIN haulier.run r USING (pipeline, instance, interval_start, interval_end)
JOIN haulier.load l ON l.run_id = r.run_id AND l.generation = r.generation
     AND l.replay_id IS NOT DISTINCT FROM asked.replay_id
CROSS JOIN LATERAL (
    SELECT count(*) AS deliveries, coalesce(sum(a.read), 0)::bigint AS read, coalesce(sum(a.accepted), 0)::bigint AS accepted,
           coalesce(sum(a.filtered), 0)::bigint AS filtered, coalesce(sum(a.rejected), 0)::bigint AS rejected,
           coalesce(sum(a.stripped), 0)::bigint AS stripped
    FROM haulier.source_account a WHERE a.load_id = l.load_id
) AS source
ORDER BY r.pipeline, r.instance, r.interval_start, l.load_id
