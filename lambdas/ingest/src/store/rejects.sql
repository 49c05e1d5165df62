INSERT INTO rejected_events (topic, partition, "offset", key, payload, reason, detail)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::text[])
ON CONFLICT (topic, partition, "offset") DO NOTHING
