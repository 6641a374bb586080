-- name: live_columns
-- The columns of a live table, as PostgreSQL itself writes their types.
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a
WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text)) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: live_indexes
-- The plain indexes of a live table: how, and of which columns.
SELECT m.amname::text,
       (SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
WHERE i.indrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
  AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL

-- name: estimated_rows
-- How many rows the planner takes a table to have, with all its partitions.
SELECT coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relkind = 'r'), 0)
FROM pg_class c
WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
   OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))))

-- name: places
-- The partitions that staged rows belong to.
SELECT DISTINCT {values} FROM {stage} s WHERE {stays}

-- name: users_of_table
-- Backends that read or write a table now, or hold it from a transaction that is still open.
SELECT DISTINCT l.pid, a.application_name
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text)) AND l.granted
  AND l.pid <> pg_backend_pid()
ORDER BY l.pid

-- name: lock_target
-- One merge into a target at a time; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.target/' || %(target)s, 0))

-- name: lock_new_tables
-- One new table at a time, in the whole database: CREATE SCHEMA IF NOT EXISTS fails beside another one that is not committed.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.new-tables', 0))

-- name: lock_fence
-- Shows the next attempt which backend to end.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.fence/' || %(fence)s::text, 0))

-- name: find_run
-- The run and its fence, without a lock.
SELECT run_id, generation, fence FROM haulier.run
WHERE pipeline = %(pipeline)s AND instance = %(instance)s
  AND interval_start = %(interval_start)s AND interval_end = %(interval_end)s

-- name: queue_for_run
-- One attempt at a time takes a run over. Who was ended for it asks here, too, and so never finds itself the owner still.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.acquire/' || %(run_id)s::text, 0))

-- name: end_older_attempt
-- Ends the backend that loads under a fence, if there is one.
SELECT pg_terminate_backend(l.pid, 5000)
FROM pg_locks l, hashtextextended('haulier.fence/' || %(fence)s::text, 0) AS k
WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint = ((k >> 32) & 4294967295) AND l.objid::bigint = (k & 4294967295) AND l.objsubid = 1
  AND l.granted AND l.pid <> pg_backend_pid()

-- name: take_fence
-- The run belongs to this attempt from here on.
UPDATE haulier.run SET fence = nextval('haulier.fence'), updated_at = now() WHERE run_id = %(run_id)s RETURNING fence

-- name: insert_attempt
-- An attempt, for those who look.
INSERT INTO haulier.attempt (attempt_id, run_id, step, content, fence, actor)
VALUES (%(attempt)s, %(run_id)s, %(step)s, %(content)s, %(fence)s, %(actor)s)

-- name: own_run
-- The run, locked; its generation and fence say whether this attempt still owns it.
SELECT generation, fence FROM haulier.run WHERE run_id = %(run_id)s FOR UPDATE

-- name: recorded
-- What the ledger holds of this content in this target.
SELECT load_id, outcome, exit_code, input_digest, produced, inserted, updated, unchanged, superseded, duplicate, deleted,
       rejected, held, removed
FROM haulier.load
WHERE target = %(target)s AND run_id = %(run_id)s AND generation = %(generation)s
  AND replay_id IS NOT DISTINCT FROM %(replay_id)s

-- name: loaded_by_another_run
-- Deliveries of this content that another run brought into this target.
SELECT DISTINCT a.delivery_id
FROM haulier.source_account a JOIN haulier.load l USING (load_id)
WHERE l.target = %(target)s AND l.outcome = 'loaded' AND l.run_id <> %(run_id)s AND a.delivery_id = ANY(%(deliveries)s)

-- name: next_load
-- The number of this load.
SELECT nextval(pg_get_serial_sequence('haulier.load', 'load_id'))

-- name: insert_load
-- The ledger row of this commit.
INSERT INTO haulier.load (load_id, kind, target, run_id, generation, replay_id, input_digest, manifest, definition_digest,
    outcome, exit_code, mode, fence, attempt_id, actor, versions, produced, inserted, updated, unchanged, superseded,
    duplicate, deleted, rejected, held, removed, vanished, started_at, owner)
OVERRIDING SYSTEM VALUE
VALUES (%(load_id)s, %(kind)s, %(target)s, %(run_id)s, %(generation)s, %(replay_id)s, %(input_digest)s, %(manifest)s,
    %(definition_digest)s, %(outcome)s, %(exit_code)s, %(mode)s, %(fence)s, %(attempt)s, %(actor)s, %(versions)s,
    %(produced)s, %(inserted)s, %(updated)s, %(unchanged)s, %(superseded)s, %(duplicate)s, %(deleted)s, %(rejected)s,
    %(held)s, %(removed)s, %(vanished)s, %(started_at)s, %(owner)s)

-- name: insert_account
-- The source account of one delivery.
INSERT INTO haulier.source_account (load_id, delivery_id, read, accepted, filtered, rejected, stripped)
VALUES (%(load_id)s, %(delivery_id)s, %(read)s, %(accepted)s, %(filtered)s, %(rejected)s, %(stripped)s)

-- name: close_older_generations
-- A new generation speaks for the whole run: what its older ones rejected is closed.
INSERT INTO haulier.reject_event (reject_id, status, load_id, message)
SELECT o.reject_id, 'regenerated', %(load_id)s, 'generation ' || %(generation)s::text
FROM haulier.open_reject o
WHERE o.run_id = %(run_id)s AND o.generation < %(generation)s AND o.target = %(target)s

-- name: close_corrected
-- A later delivery of the same logical name replaces what the earlier ones rejected.
INSERT INTO haulier.reject_event (reject_id, status, load_id, message)
SELECT o.reject_id, 'corrected', %(load_id)s, 'delivery ' || max(n.delivery_id)::text
FROM haulier.delivery n
JOIN haulier.delivery d ON d.pipeline = n.pipeline AND d.instance = n.instance AND d.logical_name = n.logical_name
     AND d.sequence < n.sequence
JOIN haulier.open_reject o ON o.delivery_id = d.delivery_id AND o.target = %(target)s
WHERE n.delivery_id = ANY(%(deliveries)s) AND o.load_id <> %(load_id)s
GROUP BY o.reject_id

-- name: close_unmade
-- Tables that the pipeline's models merged into and, as of this run's definition, do not any more: no later run can mend what
-- was rejected there. A definition opened after this run's that has such a model leaves it open.
WITH unmade AS (
    SELECT b.target
    FROM haulier.model_build b JOIN haulier.generation g USING (run_id, generation) JOIN haulier.run r USING (run_id)
    WHERE r.pipeline = %(pipeline)s AND b.materialized = 'merge' AND b.target <> ALL(%(merged)s::text[])
    GROUP BY b.target
    HAVING max(g.opened_at) < (SELECT mine.opened_at FROM haulier.generation mine
                               WHERE mine.run_id = %(run_id)s AND mine.generation = %(generation)s)
), flags AS (
    INSERT INTO haulier.flag_event (flag_id, status, load_id, message)
    SELECT o.flag_id, 'regenerated', %(load_id)s, 'no model of the pipeline makes ' || o.target || ' any more'
    FROM unmade JOIN haulier.model_build b USING (target) JOIN haulier.open_flag o USING (load_id)
    WHERE o.pipeline = %(pipeline)s
    ORDER BY o.flag_id
    ON CONFLICT DO NOTHING
)
INSERT INTO haulier.reject_event (reject_id, status, load_id, message)
SELECT o.reject_id, 'regenerated', %(load_id)s, 'no model of the pipeline makes ' || o.target || ' any more'
FROM unmade JOIN haulier.model_build b USING (target) JOIN haulier.open_reject o USING (load_id)
WHERE o.pipeline = %(pipeline)s
ORDER BY o.reject_id
-- A late run of an older definition may close them at this moment, under the lock of its own target.
ON CONFLICT DO NOTHING

-- name: close_corrected_flags
-- A later delivery of the same logical name says again what is odd in it.
INSERT INTO haulier.flag_event (flag_id, status, load_id, message)
SELECT o.flag_id, 'corrected', %(load_id)s, 'delivery ' || max(n.delivery_id)::text
FROM haulier.delivery n
JOIN haulier.open_flag o ON o.pipeline = n.pipeline AND o.instance = n.instance AND o.logical_name = n.logical_name
     AND o.sequence < n.sequence AND o.target = %(target)s
WHERE n.delivery_id = ANY(%(deliveries)s) AND o.load_id <> %(load_id)s
GROUP BY o.flag_id

-- name: close_older_flags
-- A new generation that was loaded says again what is odd in all of the run.
INSERT INTO haulier.flag_event (flag_id, status, load_id, message)
SELECT o.flag_id, 'regenerated', %(load_id)s, 'generation ' || %(generation)s::text
FROM haulier.open_flag o
WHERE o.run_id = %(run_id)s AND o.generation < %(generation)s AND o.target = %(target)s

-- name: close_former_flags
-- A run whose files hold everything so far says again what is odd in all before it, whatever their files were called.
INSERT INTO haulier.flag_event (flag_id, status, load_id, message)
SELECT o.flag_id, 'corrected', %(load_id)s, 'delivery ' || (SELECT max(n) FROM unnest(%(deliveries)s::bigint[]) AS n)
FROM haulier.run mine
JOIN haulier.run r USING (pipeline, instance)
JOIN haulier.open_flag o ON o.run_id = r.run_id AND o.target = %(target)s
WHERE mine.run_id = %(run_id)s AND r.interval_end < mine.interval_end
ORDER BY o.flag_id

-- name: close_former_rejects
-- Rejects of the runs before it that it says again. Others stay: their rows may be replayed, also where it has left them out.
INSERT INTO haulier.reject_event (reject_id, status, load_id, message)
SELECT o.reject_id, 'corrected', %(load_id)s, 'delivery ' || (SELECT max(n) FROM unnest(%(deliveries)s::bigint[]) AS n)
FROM haulier.run mine
JOIN haulier.run r USING (pipeline, instance)
JOIN haulier.open_reject o ON o.run_id = r.run_id AND o.target = %(target)s
WHERE mine.run_id = %(run_id)s AND r.interval_end < mine.interval_end
  AND EXISTS (SELECT FROM haulier.reject said
              WHERE said.load_id = %(load_id)s AND said.rule = o.rule AND said.message = o.message
                AND said.column_name IS NOT DISTINCT FROM o.column_name AND said.output IS NOT DISTINCT FROM o.output
                AND said.verbatim_bytes = o.verbatim_bytes AND sha256(said.verbatim) = sha256(o.verbatim))
ORDER BY o.reject_id

-- name: close_late_flags
-- The same of flags where the later run was loaded first.
INSERT INTO haulier.flag_event (flag_id, status, load_id, message)
SELECT f.flag_id, 'corrected', %(load_id)s, 'delivery ' || later.by_delivery
FROM (SELECT max(a.delivery_id) AS by_delivery
      FROM haulier.run mine
      JOIN haulier.run r USING (pipeline, instance)
      JOIN haulier.load l ON l.run_id = r.run_id AND l.kind = 'run' AND l.outcome = 'loaded' AND l.target = %(target)s
      JOIN haulier.source_account a ON a.load_id = l.load_id
      WHERE mine.run_id = %(run_id)s AND r.interval_end > mine.interval_end) AS later
JOIN haulier.flag f ON later.by_delivery IS NOT NULL
WHERE f.load_id = %(load_id)s
ORDER BY f.flag_id
ON CONFLICT DO NOTHING

-- name: repeat_rejects
-- A line that is wrong again just as it was in what this load took the place of: the same query. Of lines that are alike, the
-- first is the first.
INSERT INTO haulier.query_repeat (reject_id, first_id, load_id)
SELECT mine.reject_id, min(former.first_id), %(load_id)s
FROM (SELECT r.reject_id, r.output, r.rule, r.column_name, r.message, sha256(r.verbatim) AS line, r.verbatim_bytes,
             row_number() OVER (PARTITION BY r.output, r.rule, r.column_name, r.message, r.verbatim_bytes, sha256(r.verbatim)
                                ORDER BY r.delivery_id, r.row_number, r.reject_id) AS place
      FROM haulier.reject r WHERE r.load_id = %(load_id)s) AS mine
JOIN (SELECT coalesce(p.first_id, r.reject_id) AS first_id, r.output, r.rule, r.column_name, r.message, sha256(r.verbatim) AS line,
             r.verbatim_bytes,
             row_number() OVER (PARTITION BY r.load_id, r.output, r.rule, r.column_name, r.message, r.verbatim_bytes,
                                             sha256(r.verbatim)
                                ORDER BY r.delivery_id, r.row_number, r.reject_id) AS place
      FROM haulier.reject_event e JOIN haulier.reject r USING (reject_id)
      LEFT JOIN haulier.query_repeat p USING (reject_id)
      WHERE e.load_id = %(load_id)s AND e.status IN ('regenerated', 'corrected') AND r.load_id <> %(load_id)s) AS former
  ON former.line = mine.line AND former.verbatim_bytes = mine.verbatim_bytes AND former.rule = mine.rule
     AND former.message = mine.message
     AND former.column_name IS NOT DISTINCT FROM mine.column_name AND former.output IS NOT DISTINCT FROM mine.output
     AND former.place = mine.place
GROUP BY mine.reject_id
ORDER BY mine.reject_id

-- name: repeat_flags
-- The same of flags, where their lines are known.
INSERT INTO haulier.query_repeat (flag_id, first_id, load_id)
SELECT mine.flag_id, min(former.first_id), %(load_id)s
FROM (SELECT f.flag_id, f.output, f.rule, f.column_name, f.message, f.line,
             row_number() OVER (PARTITION BY f.output, f.rule, f.column_name, f.message, f.line
                                ORDER BY f.delivery_id, f.row_number, f.flag_id) AS place
      FROM haulier.flag f WHERE f.load_id = %(load_id)s) AS mine
JOIN (SELECT coalesce(p.first_id, f.flag_id) AS first_id, f.output, f.rule, f.column_name, f.message, f.line,
             row_number() OVER (PARTITION BY f.load_id, f.output, f.rule, f.column_name, f.message, f.line
                                ORDER BY f.delivery_id, f.row_number, f.flag_id) AS place
      FROM haulier.flag_event e JOIN haulier.flag f USING (flag_id)
      LEFT JOIN haulier.query_repeat p USING (flag_id)
      WHERE e.load_id = %(load_id)s AND f.load_id <> %(load_id)s) AS former
  ON former.line = mine.line AND former.rule = mine.rule AND former.message = mine.message
     AND former.column_name IS NOT DISTINCT FROM mine.column_name AND former.output IS NOT DISTINCT FROM mine.output
     AND former.place = mine.place
GROUP BY mine.flag_id
ORDER BY mine.flag_id

-- name: close_late
-- Of a file that a newer delivery, loaded already, took the place of: what is said of it is settled as it is said.
WITH newer AS (
    SELECT d.delivery_id, max(n.delivery_id) AS by_delivery
    FROM haulier.delivery d
    JOIN haulier.delivery n ON n.pipeline = d.pipeline AND n.instance = d.instance AND n.logical_name = d.logical_name
         AND n.sequence > d.sequence
    JOIN haulier.source_account a ON a.delivery_id = n.delivery_id
    JOIN haulier.load l ON l.load_id = a.load_id AND l.target = %(target)s AND l.outcome = 'loaded' AND l.load_id <> %(load_id)s
    WHERE d.delivery_id = ANY(%(deliveries)s)
    GROUP BY d.delivery_id
), flags AS (
    INSERT INTO haulier.flag_event (flag_id, status, load_id, message)
    SELECT f.flag_id, 'corrected', %(load_id)s, 'delivery ' || w.by_delivery
    FROM haulier.flag f JOIN newer w USING (delivery_id) WHERE f.load_id = %(load_id)s
    ORDER BY f.flag_id
)
INSERT INTO haulier.reject_event (reject_id, status, load_id, message)
SELECT r.reject_id, 'corrected', %(load_id)s, 'delivery ' || w.by_delivery
FROM haulier.reject r JOIN newer w USING (delivery_id) WHERE r.load_id = %(load_id)s
ORDER BY r.reject_id

-- name: replay_rejects
-- The rejects of a replay, locked against another one, and whether each is still open.
SELECT r.reject_id, r.delivery_id, r.row_number, r.output,
       NOT EXISTS (SELECT FROM haulier.reject_event e WHERE e.reject_id = r.reject_id AND e.status <> 'failed again')
FROM haulier.replay_reject p JOIN haulier.reject r USING (reject_id)
WHERE p.replay_id = %(replay_id)s
ORDER BY r.reject_id

-- name: insert_events
-- What became of replayed rejects.
INSERT INTO haulier.reject_event (reject_id, status, load_id, message)
SELECT reject_id, status, %(load_id)s, message
FROM unnest(%(reject_ids)s::bigint[], %(statuses)s::text[], %(messages)s::text[]) AS u (reject_id, status, message)
ORDER BY reject_id

-- name: advance_state
-- How far the source was read, from where this content began; a position that somebody moved since stays, and one
-- that is there already is no news.
INSERT INTO haulier.state AS s (pipeline, instance, name, value, load_id)
SELECT %(pipeline)s, %(instance)s, %(name)s, %(end)s::jsonb, %(load_id)s
WHERE %(start)s::jsonb IS NULL OR EXISTS (
    SELECT FROM haulier.state WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND name = %(name)s)
ON CONFLICT (pipeline, instance, name) DO UPDATE SET value = excluded.value, load_id = excluded.load_id
WHERE s.value IN (%(start)s::jsonb, %(end)s::jsonb)

-- name: mark_run
-- What became of the run; a replay leaves it as it was.
UPDATE haulier.run SET status = %(status)s, updated_at = now() WHERE run_id = %(run_id)s

-- name: insert_link
-- The chain's next link; the target's lock holds its tail still.
INSERT INTO haulier.chain (target, link, load_id, previous, history_digest, reject_digest, tombstone_digest, query_digest, origin_digest, hash)
SELECT %(target)s, coalesce(tail.link, 0) + 1, %(load_id)s, tail.hash, d.history, d.rejects, d.tombstones, d.queries, d.origin,
       haulier.link_hash(%(load_id)s, tail.hash, d.history, d.rejects, d.tombstones, d.queries, d.origin)
FROM (SELECT haulier.history_digest(%(load_id)s) AS history, haulier.reject_digest(%(load_id)s) AS rejects,
             haulier.tombstone_digest(%(load_id)s) AS tombstones, haulier.query_digest(%(load_id)s) AS queries,
             haulier.origin_digest(%(load_id)s) AS origin) AS d
LEFT JOIN LATERAL (SELECT link, hash FROM haulier.chain WHERE target = %(target)s ORDER BY link DESC LIMIT 1) AS tail ON true

-- name: insert_schema_change
-- DDL that this project ran.
INSERT INTO haulier.schema_change (target, kind, ddl, run_id, actor, before, after)
VALUES (%(target)s, %(kind)s, %(ddl)s, %(run_id)s, %(actor)s, %(before)s, %(after)s)

-- name: create_staged
-- Where rejects and flags of the earlier steps wait for the lock.
CREATE TEMP TABLE haulier_sealed_reject (delivery_id bigint, row_number bigint, output integer, step text, rule text,
    column_name text, message text, problems jsonb, verbatim bytea, verbatim_bytes bigint) ON COMMIT DROP;
CREATE TEMP TABLE haulier_sealed_flag (delivery_id bigint, row_number bigint, output integer, rule text,
    column_name text, message text, line bytea) ON COMMIT DROP

-- name: keep_rejects
-- Rejects of the earlier steps, in the files' order.
INSERT INTO haulier.reject (load_id, delivery_id, row_number, output, step, rule, column_name, message, problems, verbatim,
    verbatim_bytes)
SELECT %(load_id)s, s.* FROM pg_temp.haulier_sealed_reject s ORDER BY delivery_id, row_number, output

-- name: keep_flags
-- Flags of the earlier steps, in the files' order.
INSERT INTO haulier.flag (load_id, delivery_id, row_number, output, rule, column_name, message, line)
SELECT %(load_id)s, s.* FROM pg_temp.haulier_sealed_flag s ORDER BY delivery_id, row_number, output

-- name: keep_replayed_flags
-- Flags of what a replay brought in, but for what failed again, and what was said of its row before.
INSERT INTO haulier.flag (load_id, delivery_id, row_number, output, rule, column_name, message, line)
SELECT %(load_id)s, s.* FROM pg_temp.haulier_sealed_flag s
WHERE NOT EXISTS (SELECT FROM haulier.reject_event e JOIN haulier.reject r USING (reject_id)
                  WHERE e.load_id = %(load_id)s AND e.status = 'failed again' AND r.delivery_id = s.delivery_id
                    AND r.row_number = s.row_number AND (s.output IS NULL OR r.output IS NOT DISTINCT FROM s.output))
  AND NOT EXISTS (SELECT FROM haulier.reject r
                  WHERE r.load_id = %(load_id)s AND r.delivery_id = s.delivery_id AND r.row_number = s.row_number
                    AND r.output IS NOT DISTINCT FROM s.output)
  AND NOT EXISTS (SELECT FROM haulier.flag f JOIN haulier.load l USING (load_id)
                  JOIN haulier.load mine USING (target, run_id, generation)
                  WHERE mine.load_id = %(load_id)s AND f.delivery_id = s.delivery_id AND f.row_number = s.row_number AND f.output IS NOT DISTINCT FROM s.output
                    AND f.rule = s.rule AND f.column_name IS NOT DISTINCT FROM s.column_name AND f.message = s.message)
ORDER BY s.delivery_id, s.row_number, s.output

-- name: insert_rejects
-- Rejects of load itself.
INSERT INTO haulier.reject (load_id, delivery_id, row_number, output, step, rule, column_name, message, problems, verbatim,
    verbatim_bytes) VALUES %s
