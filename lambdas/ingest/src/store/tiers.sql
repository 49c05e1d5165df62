-- The tiers of these orders, from all their lines; written only where they change.
UPDATE orders AS o SET value_tier = t.tier
FROM (
    SELECT p.order_id, value_tier(sum(line_net(d.quantity, d.unit_price, d.discount))) AS tier
    FROM unnest($1::text[]) AS p(order_id) JOIN order_details d ON d.order_id = p.order_id
    GROUP BY p.order_id
) AS t
WHERE o.order_id = t.order_id AND o.value_tier IS DISTINCT FROM t.tier
