-- Payments that waited for these orders become visible, where the orders are. Of several events of one payment the
-- newest goes first.
WITH ready AS (
    DELETE FROM waiting_payments w USING unnest($1::text[]) AS p(order_id), orders o
    WHERE w.order_id = p.order_id AND o.order_id = p.order_id
    RETURNING w.*
)
INSERT INTO payments AS p
    (payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at, event_id)
SELECT DISTINCT ON (payment_id)
    payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at, event_id
FROM ready ORDER BY payment_id, updated_at DESC, event_id DESC
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
