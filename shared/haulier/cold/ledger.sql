-- name: lock_archive
-- One at a time archives or restores a table's partitions; who comes second is told so.
SELECT pg_try_advisory_xact_lock(hashtextextended('haulier.archive/' || %(target)s, 0))

-- name: lock_target
-- No merge into the target meanwhile; the lock of the loads themselves.
SELECT pg_advisory_xact_lock(hashtextextended('haulier.target/' || %(target)s, 0))

-- name: archived
-- The partitions of a target that are away now.
SELECT archive_id, partition_schema, partition_name, parent_schema, parent_name, bounds, expression, is_detached, store, manifest,
       manifest_sha256, rows
FROM haulier.archived WHERE target = %(target)s ORDER BY archive_id

-- name: targets
-- Tables of which a partition is away.
SELECT DISTINCT target FROM haulier.archived WHERE %(target)s::text IS NULL OR target = %(target)s ORDER BY target

-- name: insert_archive
-- A partition that was detached.
INSERT INTO haulier.archive (target, partition_schema, partition_name, parent_schema, parent_name, bounds, expression, actor)
VALUES (%(target)s, %(schema)s, %(name)s, %(parent_schema)s, %(parent_name)s, %(bounds)s, %(expression)s, %(actor)s)
RETURNING archive_id

-- name: insert_event
-- What became of it.
INSERT INTO haulier.archive_event (archive_id, event, store, manifest, manifest_sha256, rows, actor)
VALUES (%(archive_id)s, %(event)s, %(store)s, %(manifest)s, %(manifest_sha256)s, %(rows)s, %(actor)s)

-- name: insert_stamps
-- Whose rows it holds.
INSERT INTO haulier.archive_stamp (archive_id, load_id, delivery_id, generation, rows)
SELECT %(archive_id)s, t._haulier_load, t._haulier_delivery, t._haulier_generation, count(*) FROM {table} t GROUP BY 2, 3, 4

-- name: insert_schema_change
-- DDL that this project ran.
INSERT INTO haulier.schema_change (target, kind, ddl, actor, before, after)
VALUES (%(target)s, %(kind)s, %(ddl)s, %(actor)s, %(before)s, %(after)s)

-- name: columns
-- What a table's columns are, each with what it is filled by where no row says.
SELECT a.attname, format_type(a.atttypid, a.atttypmod),
       coalesce(CASE a.attgenerated
           WHEN 's' THEN format('GENERATED ALWAYS AS (%%s) STORED', pg_get_expr(d.adbin, d.adrelid))
           WHEN 'v' THEN format('GENERATED ALWAYS AS (%%s) VIRTUAL', pg_get_expr(d.adbin, d.adrelid))
           ELSE 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END, '')
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: oid
-- A table by its name, if there is one.
SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid::bigint
