-- name: relations
-- The tables and views of a schema by name, each with its columns and their types.
SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s) AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY c.relname, a.attnum

-- name: behind
-- The tables that a relation is made of: itself, or what a view reads, whatever is between.
WITH RECURSIVE reads (relation) AS (
    SELECT %(relation)s::regclass::oid
    UNION
    SELECT d.refobjid
    FROM reads AS r
    JOIN pg_rewrite AS w ON w.ev_class = r.relation
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
)
SELECT n.nspname || '.' || c.relname
FROM reads AS r
JOIN pg_class AS c ON c.oid = r.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
ORDER BY 1

-- name: position
-- How far the ledger had come with each target: its last commit of rows and the link of the chain that seals it.
SELECT DISTINCT ON (l.target) l.target, l.load_id, l.loaded_at, encode(c.hash, 'hex')
FROM haulier.load AS l
LEFT JOIN haulier.chain AS c ON c.load_id = l.load_id
WHERE l.target = ANY (%(targets)s) AND l.outcome = 'loaded'
ORDER BY l.target, l.load_id DESC
