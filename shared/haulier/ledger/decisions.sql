-- name: named
-- Queries by their numbers, with where they stand.
SELECT query, kind, first_id, pipeline, instance, file, row, rule, status, reason, settled_by FROM haulier.query
WHERE (kind = 'reject' AND first_id = ANY(%(rejects)s)) OR (kind = 'flag' AND first_id = ANY(%(flags)s))
ORDER BY pipeline, kind DESC, first_id

-- name: pipelines
-- Whose queries these are.
SELECT DISTINCT d.pipeline FROM haulier.delivery d
WHERE d.delivery_id IN (SELECT delivery_id FROM haulier.reject WHERE reject_id = ANY(%(rejects)s)
                        UNION ALL SELECT delivery_id FROM haulier.flag WHERE flag_id = ANY(%(flags)s))
ORDER BY 1

-- name: hold
-- Until the transaction ends nobody else speaks of the pipeline's queries.
INSERT INTO haulier.query_tail AS t (pipeline, link) VALUES (%(pipeline)s, 0)
ON CONFLICT (pipeline) DO UPDATE SET link = t.link

-- name: say
-- What a person says; when, its place in the chain and its seal come from the ledger itself.
INSERT INTO haulier.query_event (reject_id, flag_id, status, reason, actor)
VALUES (%(reject_id)s, %(flag_id)s, %(status)s, %(reason)s, %(actor)s)
RETURNING event_id, at
