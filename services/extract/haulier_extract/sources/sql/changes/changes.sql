-- name: slot
-- How a slot stands; places in the log as numbers of bytes.
SELECT plugin, database = current_database(), restart_lsn - CAST('0/0' AS pg_lsn),
       confirmed_flush_lsn - CAST('0/0' AS pg_lsn), to_jsonb(s) ->> 'wal_status'
FROM pg_catalog.pg_replication_slots s
WHERE slot_name = %(slot)s

-- name: table
-- Looked for as a statement would, where no schema is named.
SELECT CAST(c.oid AS bigint), n.nspname, c.relname, c.relkind = 'p'
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(CASE WHEN %(schema)s = '' THEN '' ELSE quote_ident(%(schema)s) || '.' END || quote_ident(%(name)s))

-- name: publication
-- What it has of every table, and of this one; older servers know no columns and rows of their own.
SELECT to_jsonb(p), to_jsonb(t) ->> 'rowfilter', to_jsonb(t) -> 'attnames', t.tablename IS NOT NULL, CAST(p.oid AS bigint)
FROM pg_catalog.pg_publication p
LEFT JOIN pg_catalog.pg_publication_tables t
       ON t.pubname = p.pubname AND t.schemaname = %(schema)s AND t.tablename = %(name)s
WHERE p.pubname = %(publication)s

-- name: columns
-- Those that are published, in their order: whether the primary key has them, whether the log says them of a row that is
-- gone, and whether the key holds after every row of a statement.
SELECT a.attname, a.atttypid, k.indrelid IS NOT NULL,
       CASE c.relreplident WHEN 'f' THEN true WHEN 'd' THEN k.indrelid IS NOT NULL WHEN 'i' THEN i.indrelid IS NOT NULL ELSE false END,
       coalesce(k.indimmediate, true)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_catalog.pg_index k
       ON k.indrelid = a.attrelid AND k.indisprimary AND a.attnum = ANY ((k.indkey::int2[])[0:k.indnkeyatts - 1])
LEFT JOIN pg_catalog.pg_index i
       ON i.indrelid = a.attrelid AND i.indisreplident AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
  -- Older servers list computed columns as published and do not send them.
  AND (a.attgenerated = '' OR current_setting('server_version_num')::int >= 180000 AND %(published)s::name[] IS NOT NULL)
  AND (%(published)s::name[] IS NULL OR a.attname = ANY (%(published)s::name[]))
ORDER BY a.attnum

-- name: types
-- What is behind numbers of pg_type: of a domain its own type, of an array its elements'.
WITH RECURSIVE behind AS (
    SELECT oid AS asked, oid, typbasetype, typelem, typcategory FROM pg_catalog.pg_type WHERE oid = ANY(%(oids)s::oid[])
    UNION ALL
    SELECT t.asked, b.oid, b.typbasetype, b.typelem, b.typcategory
    FROM behind t JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
)
SELECT t.asked, t.oid, (SELECT coalesce(nullif(e.typbasetype, 0), e.oid) FROM pg_catalog.pg_type e
                        WHERE t.typcategory = 'A' AND e.oid = t.typelem)
FROM behind t
WHERE t.typbasetype = 0

-- name: end
-- Where the log ends, be it safe on disk already or not; on a standby, where it was replayed to.
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END - CAST('0/0' AS pg_lsn)

-- name: level
SELECT current_setting('wal_level')
