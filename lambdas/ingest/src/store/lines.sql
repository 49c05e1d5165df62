-- Lines whose order is visible become visible. The others wait.
WITH input AS MATERIALIZED (
    SELECT i.order_id, i.line_no, i.product_id, i.product_name, i.category, i.quantity,
           i.unit_price * 0.01 AS unit_price, i.discount * 0.0001 AS discount, i.updated_at, i.event_id,
           o.order_id IS NOT NULL AS is_visible
    FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::bigint[],
                $8::bigint[], $9::timestamptz[], $10::uuid[])
         AS i(order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id)
    LEFT JOIN orders o ON o.order_id = i.order_id
), parked AS (
    INSERT INTO waiting_order_details AS w
        (order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id)
    SELECT order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id
    FROM input WHERE NOT is_visible
    ON CONFLICT (order_id, line_no) DO UPDATE SET
        product_id = excluded.product_id,
        product_name = excluded.product_name,
        category = excluded.category,
        quantity = excluded.quantity,
        unit_price = excluded.unit_price,
        discount = excluded.discount,
        updated_at = excluded.updated_at,
        event_id = excluded.event_id
    WHERE (excluded.updated_at, excluded.event_id) > (w.updated_at, w.event_id)
)
INSERT INTO order_details AS d
    (order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id)
SELECT order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id
FROM input WHERE is_visible
ON CONFLICT (order_id, line_no) DO UPDATE SET
    product_id = excluded.product_id,
    product_name = excluded.product_name,
    category = excluded.category,
    quantity = excluded.quantity,
    unit_price = excluded.unit_price,
    discount = excluded.discount,
    updated_at = excluded.updated_at,
    event_id = excluded.event_id
WHERE (excluded.updated_at, excluded.event_id) > (d.updated_at, d.event_id)
