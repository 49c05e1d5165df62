-- Payments whose order is visible become visible. The others wait.
WITH input AS MATERIALIZED (
    SELECT i.payment_id, i.order_id, i.method, i.status, i.outcome, i.amount * 0.01 AS amount, i.currency,
           i.failure_reason, i.processed_at, i.updated_at, i.event_id, o.order_id IS NOT NULL AS is_visible
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
                $9::timestamptz[], $10::timestamptz[], $11::uuid[])
         AS i(payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at,
              event_id)
    LEFT JOIN orders o ON o.order_id = i.order_id
), parked AS (
    INSERT INTO waiting_payments AS w
        (payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at,
         event_id)
    SELECT payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at,
           event_id
    FROM input WHERE NOT is_visible
    ON CONFLICT (order_id, payment_id) DO UPDATE SET
        method = excluded.method,
        status = excluded.status,
        outcome = excluded.outcome,
        amount = excluded.amount,
        currency = excluded.currency,
        failure_reason = excluded.failure_reason,
        processed_at = excluded.processed_at,
        updated_at = excluded.updated_at,
        event_id = excluded.event_id
    WHERE (excluded.updated_at, excluded.event_id) > (w.updated_at, w.event_id)
)
INSERT INTO payments AS p
    (payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at, event_id)
SELECT payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at, event_id
FROM input WHERE is_visible
ON CONFLICT (payment_id) DO UPDATE SET
    order_id = excluded.order_id,
    method = excluded.method,
    status = excluded.status,
    outcome = excluded.outcome,
    amount = excluded.amount,
    currency = excluded.currency,
    failure_reason = excluded.failure_reason,
    processed_at = excluded.processed_at,
    updated_at = excluded.updated_at,
    event_id = excluded.event_id
WHERE (excluded.updated_at, excluded.event_id) > (p.updated_at, p.event_id)
