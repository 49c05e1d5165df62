-- The given objects and what hangs on them, each with a definition that changes when it does.
WITH made AS (
    SELECT DISTINCT unnest($1::text[]) AS object
), relations AS (
    SELECT c.oid, c.relkind, c.reloptions, i.type || ' ' || i.identity AS object, i.identity
    FROM pg_class c, pg_identify_object('pg_class'::regclass, c.oid, 0) AS i
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND i.type || ' ' || i.identity IN (SELECT object FROM made)
), functions AS (
    SELECT p.oid, i.type || ' ' || i.identity AS object
    FROM pg_proc p, pg_identify_object('pg_proc'::regclass, p.oid, 0) AS i
    WHERE p.prokind IN ('f', 'p') AND p.pronamespace <> 'pg_catalog'::regnamespace
      AND i.type || ' ' || i.identity IN (SELECT object FROM made)
)
SELECT object, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) ELSE coalesce(array_to_string(reloptions, ', '), '') END
FROM relations
UNION ALL
SELECT format('column %I on %s', a.attname, r.identity),
       format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END
       || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
       || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
FROM relations r
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT format('index %s on %s', x.indexrelid::regclass, r.identity),
       pg_get_indexdef(x.indexrelid) || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END
FROM relations r JOIN pg_index x ON x.indrelid = r.oid
UNION ALL
SELECT format('constraint %I on %s', k.conname, r.identity),
       pg_get_constraintdef(k.oid) || CASE WHEN k.convalidated THEN '' ELSE ' NOT VALID' END
FROM relations r JOIN pg_constraint k ON k.conrelid = r.oid
WHERE k.contype <> 'n'
UNION ALL
SELECT format('trigger %I on %s', t.tgname, r.identity),
       pg_get_triggerdef(t.oid) || CASE WHEN t.tgenabled = 'O'::"char" THEN '' ELSE format(' (enabled: %s)', t.tgenabled) END
FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL
SELECT object, pg_get_functiondef(oid) FROM functions
UNION ALL
SELECT made.object, '' FROM made
WHERE made.object NOT IN (SELECT object FROM relations) AND made.object NOT IN (SELECT object FROM functions)
  AND split_part(made.object, ' ', 1) NOT IN ('table', 'view', 'materialized', 'foreign', 'sequence', 'function', 'procedure')
