-- name: instances
-- How every instance stands: its newest run, its newest data, and what waits for someone.
WITH newest AS (
    SELECT DISTINCT ON (pipeline, instance) pipeline, instance, run_id, interval_start, interval_end, generation, status
    FROM haulier.run
    WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s) AND (%(instance)s::text IS NULL OR instance = %(instance)s)
    ORDER BY pipeline, instance, interval_end DESC, interval_start DESC
)
SELECT n.pipeline, n.instance, n.interval_start, n.interval_end, n.status,
       (SELECT max(l.loaded_at) FROM haulier.load l JOIN haulier.run r USING (run_id)
        WHERE r.pipeline = n.pipeline AND r.instance = n.instance AND l.outcome = 'loaded') AS loaded_at,
       (SELECT l.produced FROM haulier.load l
        WHERE l.run_id = n.run_id AND l.generation = n.generation AND l.kind = 'run' AND n.status = 'loaded') AS rows,
       (SELECT count(*) FROM haulier.run r WHERE r.pipeline = n.pipeline AND r.instance = n.instance) AS runs,
       (SELECT count(*) FROM haulier.run r
        WHERE r.pipeline = n.pipeline AND r.instance = n.instance AND r.status = 'quarantined'
          AND r.run_id <> ALL(%(corrected)s)) AS quarantined,
       (SELECT count(*) FROM haulier.run r
        WHERE r.pipeline = n.pipeline AND r.instance = n.instance AND r.status = 'open') AS open_runs,
       (SELECT count(*) FROM haulier.waiting_reject w
        WHERE w.pipeline = n.pipeline AND w.instance = n.instance) AS open_rejects,
       (SELECT count(*) FROM haulier.flag f JOIN haulier.load l USING (load_id)
        JOIN haulier.run r ON r.run_id = l.run_id AND r.generation = l.generation
        WHERE r.pipeline = n.pipeline AND r.instance = n.instance) AS flags
FROM newest n
ORDER BY n.pipeline, n.instance

-- name: runs
-- Runs with the account of their current generation, of what quarantined it or else of its load: quarantined ones first,
-- then the newest.
SELECT r.run_id, r.pipeline, r.instance, r.interval_start, r.interval_end, r.generation, r.status, r.updated_at, g.reason,
       (SELECT count(*) FROM haulier.generation_delivery d
        WHERE d.run_id = r.run_id AND d.generation = r.generation) AS deliveries,
       source.read, source.filtered, source.stripped, source.rejected + l.rejected AS rejected_rows,
       l.target, l.produced, l.inserted, l.updated, l.rejected, l.held,
       (SELECT count(*) FROM haulier.waiting_reject w WHERE w.run_id = r.run_id) AS open_rejects
FROM haulier.run r
LEFT JOIN haulier.generation g USING (run_id, generation)
LEFT JOIN LATERAL (SELECT * FROM haulier.load one
                   WHERE one.run_id = r.run_id AND one.generation = r.generation
                     AND (one.kind = 'run' OR one.outcome = 'quarantined')
                   ORDER BY one.outcome = 'quarantined' DESC LIMIT 1) AS l ON true
LEFT JOIN LATERAL (SELECT sum(a.read)::bigint AS read, sum(a.filtered)::bigint AS filtered, sum(a.stripped)::bigint AS stripped,
                          sum(a.rejected)::bigint AS rejected
                   FROM haulier.source_account a WHERE a.load_id = l.load_id) AS source ON true
WHERE (%(pipeline)s::text IS NULL OR r.pipeline = %(pipeline)s) AND (%(instance)s::text IS NULL OR r.instance = %(instance)s)
  AND (NOT %(quarantined)s OR r.status = 'quarantined')
ORDER BY r.status <> 'quarantined', r.interval_end DESC, r.pipeline, r.instance
LIMIT %(limit)s

-- name: failures
-- The last failure of each run that is not through, and on which nobody works since; the newest first.
SELECT last.*
FROM (SELECT DISTINCT ON (f.pipeline, f.instance, f.interval_start, f.interval_end)
             f.pipeline, f.instance, f.interval_start, f.interval_end, f.step, f.exit_code, f.reason, f.actor, f.failed_at,
             r.run_id
      FROM haulier.failure f
      LEFT JOIN haulier.run r USING (pipeline, instance, interval_start, interval_end)
      WHERE (r.run_id IS NULL OR r.status = 'open')
        AND (%(pipeline)s::text IS NULL OR f.pipeline = %(pipeline)s)
        AND (%(instance)s::text IS NULL OR f.instance = %(instance)s)
      ORDER BY f.pipeline, f.instance, f.interval_start, f.interval_end, f.failure_id DESC) AS last
WHERE NOT EXISTS (SELECT FROM haulier.attempt a WHERE a.run_id = last.run_id AND a.started_at > last.failed_at)
ORDER BY last.failed_at DESC
