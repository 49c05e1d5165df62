-- Lines that waited for these orders become visible, where the orders are.
WITH ready AS (
    DELETE FROM waiting_order_details w USING unnest($1::text[]) AS p(order_id), orders o
    WHERE w.order_id = p.order_id AND o.order_id = p.order_id
    RETURNING w.*
)
INSERT INTO order_details AS d
    (order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id)
SELECT order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id
FROM ready
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
