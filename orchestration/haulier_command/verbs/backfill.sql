-- name: loaded_runs
-- Runs of some instances that are loaded; with a reason, those that were loaded again for it.
SELECT r.pipeline, r.instance, r.interval_start, r.interval_end
FROM haulier.run r
JOIN unnest(%(pipelines)s::text[], %(instances)s::text[]) AS asked (pipeline, instance) USING (pipeline, instance)
JOIN haulier.generation g USING (run_id, generation)
WHERE r.status = 'loaded' AND (%(reason)s::text IS NULL OR g.reason = 'reprocess: ' || %(reason)s)
