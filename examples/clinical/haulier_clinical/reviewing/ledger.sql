-- name: days
-- Of each instance's files, day by day: when the first came, what was read and rejected of the newest, and what became of them. A
-- file is of its run's day where its name chose the run (``by_name``), else of the day that its name says last, else its folder, else
-- of its run's. A name has other numbers, too: a day has no digit beside it.
WITH loaded AS (
    SELECT a.delivery_id, max(l.load_id) FILTER (WHERE l.kind = 'run') AS load_id, bool_or(l.outcome = 'loaded') AS is_in
    FROM haulier.source_account AS a
    JOIN haulier.load AS l USING (load_id)
    WHERE l.loaded_at <= %(as_of)s
    GROUP BY a.delivery_id
), rejected AS (
    -- Source rows, whatever they were to become.
    SELECT load_id, delivery_id, count(DISTINCT row_number) AS rows
    FROM haulier.reject
    GROUP BY load_id, delivery_id
), named AS (
    SELECT d.delivery_id, d.pipeline, d.instance, d.logical_name, d.sequence, r.interval_start, l.load_id, l.is_in,
           least(d.modified_at, d.seen_at) AS came_at,
           CASE WHEN d.pipeline || '/' || d.instance <> ALL (%(by_name)s) THEN coalesce(
               (SELECT m.said[1] FROM regexp_matches(d.logical_name, '(?<![0-9])20[0-9]{2}(?:-[01][0-9]-|[01][0-9])[0-3][0-9](?![0-9])', 'g')
                       WITH ORDINALITY AS m (said, place)
                WHERE pg_input_is_valid(m.said[1], 'date') ORDER BY m.place DESC LIMIT 1),
               (SELECT m.said[1] FROM regexp_matches(d.uri, '(?<![0-9])20[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9])', 'g')
                       WITH ORDINALITY AS m (said, place)
                WHERE pg_input_is_valid(m.said[1], 'date') ORDER BY m.place DESC LIMIT 1)) END AS said,
           row_number() OVER (PARTITION BY d.pipeline, d.instance, d.logical_name
                              ORDER BY coalesce(l.is_in, false) DESC, d.sequence DESC) AS place
    FROM haulier.delivery AS d
    JOIN haulier.run AS r USING (run_id)
    LEFT JOIN loaded AS l USING (delivery_id)
    WHERE d.disposition = 'reserved' AND d.seen_at <= %(as_of)s
), dated AS (
    SELECT n.*, coalesce(n.said::date, (n.interval_start AT TIME ZONE 'UTC')::date) AS day
    FROM named AS n
)
SELECT d.pipeline, d.instance, d.day, min(d.came_at) AS came_at, count(*) FILTER (WHERE d.place = 1) AS files,
       coalesce(sum(a.read) FILTER (WHERE d.place = 1), 0)::bigint AS rows,
       coalesce(sum(j.rows) FILTER (WHERE d.place = 1), 0)::bigint AS rejected,
       bool_or(d.place = 1 AND d.load_id IS NOT NULL AND NOT d.is_in) AS is_quarantined,
       bool_or(d.place = 1 AND d.load_id IS NULL) AS is_waiting,
       bool_or(d.load_id IS NOT NULL AND NOT d.is_in) AS was_quarantined
FROM dated AS d
LEFT JOIN haulier.source_account AS a ON a.load_id = d.load_id AND a.delivery_id = d.delivery_id
LEFT JOIN rejected AS j ON j.load_id = d.load_id AND j.delivery_id = d.delivery_id
WHERE d.day BETWEEN %(first)s AND %(last)s
GROUP BY d.pipeline, d.instance, d.day
ORDER BY d.pipeline, d.instance, d.day

-- name: lanes
-- Every instance that ever had a run: what it loads into, and the day of its first run.
WITH newest AS (
    SELECT DISTINCT ON (r.pipeline, r.instance) r.pipeline, r.instance, l.target
    FROM haulier.load AS l
    JOIN haulier.run AS r USING (run_id)
    WHERE l.kind = 'run'
    ORDER BY r.pipeline, r.instance, l.load_id DESC
)
SELECT r.pipeline, r.instance, min((r.interval_start AT TIME ZONE 'UTC')::date) AS first, n.target
FROM haulier.run AS r
LEFT JOIN newest AS n USING (pipeline, instance)
GROUP BY r.pipeline, r.instance, n.target
ORDER BY r.pipeline, r.instance

-- name: refusals
-- Days of which a file was refused for what it holds.
SELECT DISTINCT pipeline, instance, (interval_start AT TIME ZONE 'UTC')::date AS day
FROM haulier.refusal
WHERE refused_at <= %(as_of)s

-- name: queries
-- How each instance's queries stand, as `haulier queries list` counts them.
SELECT pipeline, instance, count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE status = 'answered') AS answered,
       count(*) FILTER (WHERE status = 'open' AND opened_at < %(overdue_before)s) AS overdue,
       floor(extract(epoch FROM %(as_of)s::timestamptz - min(opened_at) FILTER (WHERE status IN ('open', 'answered'))) / 86400)::integer
           AS oldest_days,
       count(*) FILTER (WHERE status = 'released') AS released, count(*) FILTER (WHERE status = 'corrected') AS corrected,
       count(*) FILTER (WHERE status = 'closed') AS closed
FROM haulier.query
WHERE opened_at <= %(as_of)s
GROUP BY pipeline, instance
ORDER BY pipeline, instance

-- name: rules
-- What the queries that wait are about.
SELECT pipeline, instance, rule, kind, count(*) AS queries, count(*) FILTER (WHERE status = 'open' AND opened_at < %(overdue_before)s) AS overdue
FROM haulier.query
WHERE opened_at <= %(as_of)s AND status IN ('open', 'answered')
GROUP BY pipeline, instance, rule, kind
ORDER BY queries DESC, rule, pipeline, instance

-- name: changes
-- What was changed of the tables themselves: columns and types, no value of a row. Partitions are left out; their bounds are values.
SELECT c.at, c.target, c.kind, c.before, c.after, c.actor, r.pipeline, r.instance,
       (r.interval_start AT TIME ZONE 'UTC')::date AS day, c.run_id
FROM haulier.schema_change AS c
LEFT JOIN haulier.run AS r USING (run_id)
WHERE c.at <= %(as_of)s AND c.kind NOT LIKE '%%partition%%'
ORDER BY c.at DESC, c.change_id DESC

-- name: definitions
-- Since when each definition was hauled by, of how many instances, and who approved it.
SELECT u.pipeline, l.definition_digest, min(l.loaded_at) AS since, max(l.loaded_at) AS until, count(DISTINCT u.instance) AS instances,
       count(*) AS loads, min(u.run_id) AS run_id, min(l.versions ->> 'approval') AS approval
FROM haulier.load AS l
JOIN haulier.run AS u USING (run_id)
WHERE l.kind = 'run' AND l.loaded_at <= %(as_of)s
GROUP BY u.pipeline, l.definition_digest
ORDER BY since DESC, u.pipeline, l.definition_digest

-- name: runs
-- The runs whose files may have had other columns than the contract.
SELECT r.pipeline, r.instance, r.interval_start, r.interval_end, r.run_id, r.generation
FROM haulier.run AS r
WHERE r.generation > 0 AND (r.interval_start AT TIME ZONE 'UTC')::date BETWEEN %(first)s AND %(last)s
  AND EXISTS (SELECT FROM haulier.load AS l WHERE l.run_id = r.run_id AND l.loaded_at <= %(as_of)s)
ORDER BY r.interval_start, r.pipeline, r.instance
