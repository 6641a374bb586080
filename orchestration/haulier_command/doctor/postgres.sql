-- name: server
-- The server, the connection to it, and what it is set to.
SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_version') AS shown,
       clock_timestamp() AS now,
       coalesce((SELECT s.ssl FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()), false) AS tls,
       (SELECT s.version FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()) AS tls_version,
       inet_server_addr() IS NULL AS socket,
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only,
       current_setting('server_encoding') AS encoding,
       current_setting('fsync')::bool AS fsync,
       current_setting('full_page_writes')::bool AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections')::int AS connections,
       current_setting('superuser_reserved_connections')::int + current_setting('reserved_connections')::int AS reserved,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'client backend') AS used,
       current_user AS role,
       has_database_privilege(current_database(), 'TEMPORARY') AS temporary,
       has_database_privilege(current_database(), 'CREATE') AS schemas,
       pg_has_role('pg_signal_backend', 'MEMBER') AS signals,
       to_regclass('haulier.alembic_version') IS NOT NULL AS migrated

-- name: ledger
-- Which version the ledger is at, and which of its tables this role may not read and append to.
SELECT (SELECT v.version_num FROM haulier.alembic_version v) AS version,
       has_schema_privilege('haulier_stage', 'CREATE') AS staging,
       (SELECT coalesce(array_agg(c.relname::text ORDER BY c.relname), '{}')
        FROM pg_class c
        WHERE c.relnamespace = 'haulier'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
          AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT'))) AS closed
