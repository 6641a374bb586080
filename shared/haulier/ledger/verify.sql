-- `loads` limits a statement to the loads of one run; NULL asks of all. Values are put in before PostgreSQL plans,
-- so what is NULL costs nothing and what is not finds its index.

-- name: targets
-- Every table the ledger says it wrote.
SELECT DISTINCT target FROM haulier.load
WHERE (%(target)s::text IS NULL OR target = %(target)s) AND (%(loads)s::bigint[] IS NULL OR load_id = ANY(%(loads)s))
ORDER BY target

-- name: loads_of_run
-- Every load of a run: of all its generations and replays.
SELECT load_id FROM haulier.load
WHERE run_id = %(run_id)s AND (%(target)s::text IS NULL OR target = %(target)s) ORDER BY load_id

-- name: links_of_loads
-- The loads that the links of these loads seal, and the links right before them.
SELECT before.load_id FROM haulier.chain mine
JOIN haulier.chain before ON before.target = mine.target AND before.link IN (mine.link, mine.link - 1)
WHERE mine.load_id = ANY(%(loads)s)

-- name: i1_accounts
-- Accounts that do not close, or whose rejects were not all kept.
SELECT 'load ' || l.load_id,
       format('rejects kept: %%s; rejects in the accounts: %%s', kept.n, coalesce(source.rejected, 0) + l.rejected)
FROM haulier.load l
LEFT JOIN LATERAL (SELECT sum(a.rejected) AS rejected FROM haulier.source_account a WHERE a.load_id = l.load_id) source ON true
CROSS JOIN LATERAL (SELECT count(*) AS n FROM haulier.reject r WHERE r.load_id = l.load_id) kept
WHERE l.kind <> 'replay' AND (%(target)s::text IS NULL OR l.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
  AND kept.n <> coalesce(source.rejected, 0) + l.rejected
UNION ALL
SELECT 'load ' || l.load_id, format('rejects kept: %%s, failed again: %%s; in its account: %%s', kept.n, again.n, l.rejected)
FROM haulier.load l
CROSS JOIN LATERAL (SELECT count(*) AS n FROM haulier.reject r WHERE r.load_id = l.load_id) kept
CROSS JOIN LATERAL (SELECT count(*) AS n FROM haulier.reject_event e
                    WHERE e.load_id = l.load_id AND e.status = 'failed again') again
WHERE l.kind = 'replay' AND (%(target)s::text IS NULL OR l.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
  AND kept.n + again.n <> l.rejected
UNION ALL
SELECT 'load ' || l.load_id, 'its deliveries are not those its generation reserved'
FROM haulier.load l
WHERE l.replay_id IS NULL AND (%(target)s::text IS NULL OR l.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
  AND (SELECT array_agg(a.delivery_id ORDER BY a.delivery_id) FROM haulier.source_account a WHERE a.load_id = l.load_id)
      IS DISTINCT FROM
      (SELECT array_agg(g.delivery_id ORDER BY g.delivery_id) FROM haulier.generation_delivery g
       WHERE g.run_id = l.run_id AND g.generation = l.generation)
UNION ALL
SELECT 'load ' || l.load_id, 'its target account does not close'
FROM haulier.load l
WHERE (%(target)s::text IS NULL OR l.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
  AND l.produced <> l.inserted + l.updated + l.unchanged + l.superseded + l.duplicate + l.deleted + l.rejected + l.held
UNION ALL
SELECT 'load ' || a.load_id, format('the account of delivery %%s does not close', a.delivery_id)
FROM haulier.source_account a
WHERE (%(loads)s::bigint[] IS NULL OR a.load_id = ANY(%(loads)s))
  AND a.read <> a.accepted + a.filtered + a.rejected + a.stripped
UNION ALL
SELECT 'load ' || l.load_id, 'the history does not hold one line per row it changed or removed'
FROM haulier.load l
WHERE (%(target)s::text IS NULL OR l.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
  AND l.updated + l.removed + l.deleted <> (SELECT count(*) FROM haulier.history h WHERE h.load_id = l.load_id)

-- name: hold
-- Until the end of the transaction no partition leaves: what is read of the archive and of the table belongs together.
LOCK TABLE {table} IN ACCESS SHARE MODE

-- name: detached
-- Partitions of a target that are tables of their own, on their way to the archive.
SELECT partition_schema, partition_name FROM haulier.archived WHERE target = %(target)s AND is_detached

-- name: every_row
-- What the ledger answers for: the table's rows, and those of archived partitions by the number that each load left there.
SELECT _haulier_load, _haulier_delivery, _haulier_generation, 1::bigint AS n FROM {table}
UNION ALL
SELECT s.load_id, s.delivery_id, s.generation, s.rows
FROM haulier.archived a JOIN haulier.archive_stamp s USING (archive_id) WHERE a.target = %(target)s AND NOT a.is_detached

-- name: of_detached
-- The same of a partition that is a table of its own.
SELECT _haulier_load, _haulier_delivery, _haulier_generation, 1::bigint AS n FROM {table}

-- name: i2_rows
-- Target rows whose load or delivery the ledger does not know as theirs.
SELECT 'table ' || %(target)s, format('%%s rows name load %%s and delivery %%s, which the ledger does not know together',
                                      sum(t.n), t._haulier_load, t._haulier_delivery)
FROM {rows} t
WHERE (%(loads)s::bigint[] IS NULL OR t._haulier_load = ANY(%(loads)s)) AND NOT EXISTS (
    SELECT FROM haulier.load l JOIN haulier.generation_delivery g USING (run_id, generation)
    WHERE l.load_id = t._haulier_load AND l.target = %(target)s AND l.outcome = 'loaded' AND g.delivery_id = t._haulier_delivery
      AND l.generation = t._haulier_generation)
GROUP BY t._haulier_load, t._haulier_delivery

-- name: i2_total
-- A table that holds more or fewer rows than the ledger's loads left there.
SELECT 'table ' || %(target)s, format('holds %%s rows; the ledger left %%s', found.n, expected.n)
FROM (SELECT coalesce(sum(t.n), 0) AS n FROM {rows} t) found,
     (SELECT (SELECT coalesce(sum(inserted), 0) FROM haulier.load WHERE target = %(target)s)
           - (SELECT count(*) FROM haulier.history WHERE target = %(target)s AND operation IN ('delete', 'remove')) AS n) expected
WHERE found.n <> expected.n

-- name: i2_tombstones
-- Deletions whose load or delivery the ledger does not know as theirs.
SELECT format('tombstone %%s of %%s', k.key, k.target), format('names load %%s and delivery %%s, which the ledger does not know '
              'together', k.load_id, k.delivery_id)
FROM haulier.tombstone k
WHERE (%(target)s::text IS NULL OR k.target = %(target)s) AND (%(loads)s::bigint[] IS NULL OR k.load_id = ANY(%(loads)s))
  AND NOT EXISTS (
    SELECT FROM haulier.load l JOIN haulier.generation_delivery g USING (run_id, generation)
    WHERE l.load_id = k.load_id AND l.target = k.target AND l.outcome = 'loaded' AND g.delivery_id = k.delivery_id
      AND l.generation = k.generation)

-- name: i2_of_loads
-- Loads of which the table holds more rows than they wrote, or fewer than later loads can have taken over.
SELECT 'load ' || w.load_id, format('wrote %%s rows of %%s, later loads took over at most %%s, and it holds %%s',
                                    w.most, %(target)s, w.later, w.found)
FROM (SELECT l.load_id, l.inserted + l.updated + l.unchanged AS most,
             -- A replay may meet a row of its own delivery and generation, which keeps its stamp; a deletion may find no row;
             -- a row that was filled keeps its stamp.
             l.inserted + l.updated
             - (SELECT count(*) FROM haulier.history h WHERE h.load_id = l.load_id AND h.operation = 'fill')
             + CASE WHEN l.kind = 'run' AND NOT EXISTS (SELECT FROM haulier.tombstone k WHERE k.target = l.target)
                    THEN l.unchanged ELSE 0 END AS least,
             (SELECT coalesce(sum(t.n), 0) FROM {rows} t WHERE t._haulier_load = l.load_id) AS found,
             (SELECT coalesce(sum(n.updated + n.unchanged + n.removed + n.deleted), 0)
              FROM haulier.chain mine JOIN haulier.chain c ON c.target = mine.target AND c.link > mine.link
              JOIN haulier.load n ON n.load_id = c.load_id
              WHERE mine.load_id = l.load_id) AS later
      FROM haulier.load l WHERE l.load_id = ANY(%(loads)s) AND l.target = %(target)s) w
WHERE w.found > w.most OR w.found < w.least - w.later

-- name: i5_never_fall
-- Loads that came after a later generation or fence of the same run.
SELECT 'load ' || load_id, format('generation %%s under fence %%s came after generation %%s under fence %%s', generation, fence,
                                  before_generation, before_fence)
FROM (SELECT load_id, kind, generation, fence, lag(generation) OVER w AS before_generation, lag(fence) OVER w AS before_fence
      FROM haulier.load WHERE %(run_id)s::bigint IS NULL OR run_id = %(run_id)s
      WINDOW w AS (PARTITION BY target, run_id ORDER BY load_id)) AS l
WHERE generation < before_generation OR fence <= before_fence
UNION ALL
SELECT 'run ' || r.run_id, 'its generation or fence is below one the ledger holds'
FROM haulier.run r
WHERE (%(run_id)s::bigint IS NULL OR r.run_id = %(run_id)s)
  AND (r.generation <> coalesce((SELECT max(g.generation) FROM haulier.generation g WHERE g.run_id = r.run_id), 0)
       OR r.fence < (SELECT max(l.fence) FROM haulier.load l WHERE l.run_id = r.run_id))

-- name: i7_rejects
-- Rejects that cannot be found back or were resolved by something that may not.
SELECT 'reject ' || r.reject_id, 'its delivery is not one of its load'
FROM haulier.reject r JOIN haulier.load l USING (load_id)
WHERE (%(loads)s::bigint[] IS NULL OR r.load_id = ANY(%(loads)s))
  AND NOT EXISTS (SELECT FROM haulier.generation_delivery g
                  WHERE g.run_id = l.run_id AND g.generation = l.generation AND g.delivery_id = r.delivery_id)
UNION ALL
SELECT 'reject ' || e.reject_id, 'resolved more than once'
FROM haulier.reject_event e
WHERE e.status <> 'failed again'
  AND (%(loads)s::bigint[] IS NULL OR e.reject_id IN (
      SELECT r.reject_id FROM haulier.reject r WHERE r.load_id = ANY(%(loads)s)
      UNION ALL SELECT own.reject_id FROM haulier.reject_event own WHERE own.load_id = ANY(%(loads)s)))
GROUP BY e.reject_id HAVING count(*) > 1
UNION ALL
SELECT 'reject ' || e.reject_id, 'resolved by load ' || e.load_id || ', which did not replay it'
FROM haulier.reject_event e JOIN haulier.load l USING (load_id)
WHERE e.status IN ('replayed', 'failed again') AND (%(loads)s::bigint[] IS NULL OR e.load_id = ANY(%(loads)s))
  AND NOT EXISTS (SELECT FROM haulier.replay_reject p WHERE p.replay_id = l.replay_id AND p.reject_id = e.reject_id)

-- name: i8_chain
-- Links whose hash is not that of what they seal, and loads without a link. A load that is gone has no hash.
SELECT format('link %%s of %%s', c.link, c.target),
       CASE WHEN c.previous IS DISTINCT FROM p.hash THEN 'does not follow from the link before it'
            WHEN c.history_digest <> haulier.history_digest(c.load_id) THEN 'the history of load ' || c.load_id || ' was changed'
            WHEN c.reject_digest <> haulier.reject_digest(c.load_id) THEN 'the rejects of load ' || c.load_id || ' were changed'
            WHEN c.tombstone_digest <> haulier.tombstone_digest(c.load_id)
                THEN 'the deletions of load ' || c.load_id || ' were changed'
            WHEN c.query_digest <> haulier.query_digest(c.load_id) THEN 'the flags of load ' || c.load_id || ' were changed'
            WHEN c.origin_digest <> haulier.origin_digest(c.load_id)
                THEN 'when, by whom, why or from which files load ' || c.load_id || ' was, was changed'
            ELSE 'load ' || c.load_id || ' was changed' END
FROM haulier.chain c
LEFT JOIN haulier.chain p ON p.target = c.target AND p.link = c.link - 1
WHERE (%(target)s::text IS NULL OR c.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR c.load_id = ANY(%(links)s))
  AND (c.previous IS DISTINCT FROM p.hash
       OR c.history_digest <> haulier.history_digest(c.load_id)
       OR c.reject_digest <> haulier.reject_digest(c.load_id)
       OR c.tombstone_digest <> haulier.tombstone_digest(c.load_id)
       OR c.query_digest <> haulier.query_digest(c.load_id)
       OR c.origin_digest IS DISTINCT FROM haulier.origin_digest(c.load_id) AND c.origin_digest IS NOT NULL
       OR c.hash IS DISTINCT FROM haulier.link_hash(c.load_id, c.previous, c.history_digest, c.reject_digest, c.tombstone_digest,
                                                          c.query_digest, c.origin_digest))
UNION ALL
SELECT 'load ' || l.load_id, 'has no link in the chain'
FROM haulier.load l
WHERE (%(target)s::text IS NULL OR l.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
  AND NOT EXISTS (SELECT FROM haulier.chain c WHERE c.load_id = l.load_id)

-- name: i10_queries
-- What people said of queries and was changed, or is gone; rejects and flags that belong to no query, or to more than one.
WITH said AS (
    SELECT e.*, coalesce(r.load_id, f.load_id) AS load_id
    FROM haulier.query_event e
    LEFT JOIN haulier.reject r ON r.reject_id = e.reject_id
    LEFT JOIN haulier.flag f ON f.flag_id = e.flag_id
)
SELECT format('query event %%s of %%s', s.link, s.pipeline),
       CASE WHEN b.hash IS DISTINCT FROM s.previous THEN 'does not follow from the one before it' ELSE 'was changed' END
FROM said s
JOIN haulier.query_event e USING (event_id)
JOIN haulier.load l ON l.load_id = s.load_id
LEFT JOIN haulier.query_event b ON b.pipeline = s.pipeline AND b.link = s.link - 1
WHERE (%(target)s::text IS NULL OR l.target = %(target)s) AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
  AND (b.hash IS DISTINCT FROM s.previous OR e.hash <> haulier.query_event_hash(e))
UNION ALL
SELECT 'query events of ' || coalesce(t.pipeline, e.pipeline),
       format('end with link %%s; %%s were said', coalesce(e.link, 0), coalesce(t.link::text, 'none that is known'))
FROM haulier.query_tail t
FULL JOIN (SELECT DISTINCT ON (pipeline) pipeline, link, hash FROM haulier.query_event ORDER BY pipeline, link DESC) e USING (pipeline)
WHERE %(target)s::text IS NULL AND %(loads)s::bigint[] IS NULL
  AND (t.link IS DISTINCT FROM coalesce(e.link, 0) OR t.hash IS DISTINCT FROM e.hash)
UNION ALL
SELECT format('query %%s', coalesce('R' || p.reject_id, 'F' || p.flag_id)), 'repeats what it cannot repeat'
FROM haulier.query_repeat p
LEFT JOIN haulier.reject r ON r.reject_id = p.reject_id
LEFT JOIN haulier.flag f ON f.flag_id = p.flag_id
LEFT JOIN haulier.reject first_reject ON first_reject.reject_id = p.first_id AND p.reject_id IS NOT NULL
LEFT JOIN haulier.flag first_flag ON first_flag.flag_id = p.first_id AND p.flag_id IS NOT NULL
WHERE (%(loads)s::bigint[] IS NULL OR p.load_id = ANY(%(loads)s))
  AND (coalesce(first_reject.rule, first_flag.rule) IS DISTINCT FROM coalesce(r.rule, f.rule)
       OR coalesce(r.load_id, f.load_id) <> p.load_id
       -- What a query began with repeats nothing.
       OR EXISTS (SELECT FROM haulier.query_repeat o
                  WHERE CASE WHEN p.reject_id IS NULL THEN o.flag_id ELSE o.reject_id END = p.first_id))

-- name: loads
-- Every load with its place in the exchange; models read what a load of theirs brought.
SELECT l.load_id, l.input_digest, r.pipeline, r.instance, r.interval_start, r.interval_end,
       CASE WHEN l.replay_id IS NULL THEN 'g' || l.generation ELSE 'r' || l.replay_id END
FROM haulier.load l JOIN haulier.run r USING (run_id)
WHERE l.kind <> 'model' AND (%(target)s::text IS NULL OR l.target = %(target)s)
  AND (%(loads)s::bigint[] IS NULL OR l.load_id = ANY(%(loads)s))
ORDER BY l.load_id

-- name: rejects_of
-- The rejects of one delivery that a load, or a model of its rows, kept, in the file's order.
SELECT reject_id, row_number, verbatim, verbatim_bytes FROM haulier.reject
WHERE delivery_id = %(delivery_id)s AND load_id IN (
    SELECT m.load_id FROM haulier.load l JOIN haulier.load m USING (run_id, generation)
    WHERE l.load_id = %(load_id)s AND m.replay_id IS NOT DISTINCT FROM l.replay_id)
ORDER BY row_number
