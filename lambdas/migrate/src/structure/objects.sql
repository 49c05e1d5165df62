-- Objects that exist by themselves: relations without their indexes, functions, types that no relation made, schemas.
WITH spaces AS (
    SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'ecomctl')
), found AS (
    SELECT 'pg_class'::regclass AS class, oid FROM pg_class
    WHERE relnamespace IN (SELECT oid FROM spaces) AND relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT 'pg_class'::regclass, oid FROM pg_class c
    WHERE relnamespace IN (SELECT oid FROM spaces) AND relkind = 'S'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace IN (SELECT oid FROM spaces)
    UNION ALL
    SELECT 'pg_type'::regclass, oid FROM pg_type
    WHERE typnamespace IN (SELECT oid FROM spaces) AND typtype IN ('e', 'd')
    UNION ALL
    SELECT 'pg_namespace'::regclass, oid FROM spaces
)
SELECT identity.type || ' ' || identity.identity
FROM found, pg_identify_object(found.class, found.oid, 0) AS identity
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = found.class AND d.objid = found.oid AND d.deptype = 'e')
ORDER BY 1
