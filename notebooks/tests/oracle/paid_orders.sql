-- For the other queries: every order with its net, and whether it is paid. No use is made of the database's own functions
-- line_net and value_tier, so that a mistake in them shows.
CREATE TEMPORARY VIEW oracle_orders AS
SELECT o.*,
       (o.ordered_at AT TIME ZONE 'UTC')::date AS order_date,
       coalesce((SELECT sum(round(d.quantity * d.unit_price * (1 - d.discount), 2))
                 FROM order_details d WHERE d.order_id = o.order_id), 0) AS net_amount,
       EXISTS (SELECT FROM payments p WHERE p.order_id = o.order_id AND p.status = 'succeeded')
       AND NOT EXISTS (SELECT FROM payments p WHERE p.order_id = o.order_id AND p.status = 'refunded') AS paid
FROM orders o;
