-- Orders that waited for these customers become visible. Of several events of one order the newest goes first; the
-- ids come back, as what waits for those orders is next.
WITH ready AS (
    DELETE FROM waiting_orders w USING unnest($1::text[]) AS p(customer_id)
    WHERE w.customer_id = p.customer_id
    RETURNING w.*
), newest AS MATERIALIZED (
    SELECT DISTINCT ON (order_id) * FROM ready ORDER BY order_id, updated_at DESC, event_id DESC
), moved AS (
    INSERT INTO orders AS o
        (order_id, customer_id, status, currency, ordered_at, channel, shipping_country, updated_at, event_id,
         value_tier)
    SELECT order_id, customer_id, status, currency, ordered_at, channel, shipping_country, updated_at, event_id,
        (SELECT value_tier(sum(line_net(w.quantity, w.unit_price, w.discount)))
         FROM waiting_order_details w WHERE w.order_id = newest.order_id)
    FROM newest
    ON CONFLICT (order_id) DO UPDATE SET
        customer_id = excluded.customer_id,
        status = excluded.status,
        currency = excluded.currency,
        ordered_at = excluded.ordered_at,
        channel = excluded.channel,
        shipping_country = excluded.shipping_country,
        updated_at = excluded.updated_at,
        event_id = excluded.event_id
    WHERE (excluded.updated_at, excluded.event_id) > (o.updated_at, o.event_id)
)
SELECT order_id FROM newest
