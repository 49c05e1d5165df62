INSERT INTO customers AS c (customer_id, name, email, country, created_at, updated_at, event_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::uuid[])
ON CONFLICT (customer_id) DO UPDATE SET
    name = excluded.name,
    email = excluded.email,
    country = excluded.country,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    event_id = excluded.event_id
WHERE (excluded.updated_at, excluded.event_id) > (c.updated_at, c.event_id)
