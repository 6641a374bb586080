-- name: table
-- The table itself; what of it could not be brought back.
SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner), c.reloptions, ts.spcname, pg_get_partkeydef(c.oid),
       array_remove(ARRAY[
           CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'is no plain table' END,
           CASE WHEN c.relpersistence <> 'p' THEN 'is unlogged' END,
           CASE WHEN c.relrowsecurity OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) THEN 'has row security' END,
           CASE WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid) THEN 'has rules' END,
           CASE WHEN c.relreplident <> 'd' THEN 'has a replica identity of its own' END,
           CASE WHEN EXISTS (SELECT FROM pg_publication_rel p WHERE p.prrelid = c.oid) THEN 'is named by a publication' END,
           CASE WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid)
                THEN 'is what a foreign key refers to' END,
           -- What the server keeps for itself among the options (pg_attver, since 17.12) is nobody's wish.
           CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                             AND (a.attidentity <> '' OR coalesce(a.attstattarget, -1) <> -1
                                  OR EXISTS (SELECT FROM unnest(a.attoptions) o WHERE NOT starts_with(o, 'pg_'))))
                THEN 'has an identity column, or column options' END], NULL)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
WHERE c.oid = %(oid)s

-- name: columns
-- Its columns in order, each as CREATE TABLE would have it.
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
       concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attcompression <> '' THEN
               'COMPRESSION ' || CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END END,
           CASE WHEN a.attcollation <> t.typcollation THEN
               (SELECT format('COLLATE %%I.%%I', n.nspname, k.collname)
                FROM pg_collation k JOIN pg_namespace n ON n.oid = k.collnamespace WHERE k.oid = a.attcollation) END,
           CASE a.attgenerated
               WHEN 's' THEN format('GENERATED ALWAYS AS (%%s) STORED', pg_get_expr(d.adbin, d.adrelid))
               WHEN 'v' THEN format('GENERATED ALWAYS AS (%%s) VIRTUAL', pg_get_expr(d.adbin, d.adrelid))
               ELSE 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
           CASE WHEN a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid
                                                  AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]) THEN 'NOT NULL' END),
       CASE WHEN a.attstorage <> t.typstorage THEN
           CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: constraints
-- Its constraints, those first that CREATE TABLE has to know.
SELECT conname, contype = 'n', pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %(oid)s AND contype IN ('c', 'p', 'u', 'x', 'f', 'n') AND conparentid = 0 OR
      conrelid = %(oid)s AND contype IN ('p', 'u', 'x')
ORDER BY contype = 'n' DESC, contype = 'f', conname

-- name: indexes
-- Its indexes, but for those of constraints.
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %(oid)s
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname

-- name: more
-- Statements that make its extended statistics and its triggers.
SELECT pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s WHERE s.stxrelid = %(oid)s
UNION ALL
SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE t.tgrelid = %(oid)s AND NOT t.tgisinternal AND t.tgparentid = 0
ORDER BY 1

-- name: comments
-- What people wrote on it and on what belongs to it.
SELECT format('TABLE %%I.%%I', n.nspname, c.relname), d.description
FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classoid = 'pg_class'::regclass AND d.objoid = %(oid)s AND d.objsubid = 0
UNION ALL
SELECT format('COLUMN %%I.%%I.%%I', n.nspname, c.relname, a.attname), d.description
FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
WHERE d.classoid = 'pg_class'::regclass AND d.objoid = %(oid)s AND d.objsubid > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('INDEX %%I.%%I', n.nspname, c.relname), d.description
FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indexrelid = c.oid
WHERE d.classoid = 'pg_class'::regclass AND i.indrelid = %(oid)s
UNION ALL
SELECT format('CONSTRAINT %%I ON %%I.%%I', k.conname, n.nspname, c.relname), d.description
FROM pg_description d JOIN pg_constraint k ON k.oid = d.objoid JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classoid = 'pg_constraint'::regclass AND k.conrelid = %(oid)s
UNION ALL
SELECT format('TRIGGER %%I ON %%I.%%I', g.tgname, n.nspname, c.relname), d.description
FROM pg_description d JOIN pg_trigger g ON g.oid = d.objoid JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classoid = 'pg_trigger'::regclass AND g.tgrelid = %(oid)s AND NOT g.tgisinternal AND g.tgparentid = 0
UNION ALL
SELECT format('STATISTICS %%I.%%I', n.nspname, s.stxname), d.description
FROM pg_description d JOIN pg_statistic_ext s ON s.oid = d.objoid JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE d.classoid = 'pg_statistic_ext'::regclass AND s.stxrelid = %(oid)s
ORDER BY 1

-- name: grants
-- Who may do what with it, and with which of its columns.
SELECT NULL AS column_name, g.grantee, g.privilege_type, g.is_grantable
FROM pg_class c CROSS JOIN LATERAL (
    SELECT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee, privilege_type, is_grantable
    FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))) g
WHERE c.oid = %(oid)s
UNION
SELECT quote_ident(a.attname), CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
       g.privilege_type, g.is_grantable
FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) g
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1 NULLS FIRST, 2, 3, 4

-- name: dependents
-- Views and other tables' things that stand on it and would go with it.
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s AND r.ev_class <> %(oid)s
ORDER BY 1
