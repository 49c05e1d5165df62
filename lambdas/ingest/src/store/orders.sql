-- Orders whose customer is known become visible, with the tier of the lines that waited for them (an order that is
-- visible already keeps its own: none of its lines waits). The others wait.
WITH input AS MATERIALIZED (
    SELECT i.*, c.customer_id IS NOT NULL AS is_visible
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[],
                $8::timestamptz[], $9::uuid[])
         AS i(order_id, customer_id, status, currency, ordered_at, channel, shipping_country, updated_at, event_id)
    LEFT JOIN customers c ON c.customer_id = i.customer_id
), parked AS (
    INSERT INTO waiting_orders AS w
        (order_id, customer_id, status, currency, ordered_at, channel, shipping_country, updated_at, event_id)
    SELECT order_id, customer_id, status, currency, ordered_at, channel, shipping_country, updated_at, event_id
    FROM input WHERE NOT is_visible
    ON CONFLICT (customer_id, order_id) DO UPDATE SET
        status = excluded.status,
        currency = excluded.currency,
        ordered_at = excluded.ordered_at,
        channel = excluded.channel,
        shipping_country = excluded.shipping_country,
        updated_at = excluded.updated_at,
        event_id = excluded.event_id
    WHERE (excluded.updated_at, excluded.event_id) > (w.updated_at, w.event_id)
)
INSERT INTO orders AS o
    (order_id, customer_id, status, currency, ordered_at, channel, shipping_country, updated_at, event_id, value_tier)
SELECT order_id, customer_id, status, currency, ordered_at, channel, shipping_country, updated_at, event_id,
    (SELECT value_tier(sum(line_net(w.quantity, w.unit_price, w.discount)))
     FROM waiting_order_details w WHERE w.order_id = input.order_id)
FROM input WHERE is_visible
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
