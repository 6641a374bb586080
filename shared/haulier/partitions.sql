-- name: tree
-- A table and all below it, parents first: its bounds, and how it is divided itself.
WITH RECURSIVE tree AS (
    SELECT c.oid, NULL::oid AS parent, 0 AS level
    FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
    UNION ALL
    SELECT c.oid, i.inhparent, tree.level + 1
    FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid JOIN pg_class c ON c.oid = i.inhrelid
    WHERE c.relispartition AND NOT i.inhdetachpending
)
SELECT c.oid::bigint, tree.parent::bigint, n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid), p.partstrat::text,
       (SELECT array_agg(coalesce(a.attname, '')::text ORDER BY k.place)
        FROM unnest(p.partattrs::smallint[]) WITH ORDINALITY AS k (attnum, place)
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum)
FROM tree
JOIN pg_class c ON c.oid = tree.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
ORDER BY tree.level, n.nspname, c.relname
