WITH lines AS (
    SELECT d.*, o.currency, round(d.quantity * d.unit_price * (1 - d.discount), 2) AS net
    FROM order_details d JOIN oracle_orders o USING (order_id)
    WHERE o.paid
), names AS (
    SELECT DISTINCT ON (product_id) product_id, product_name, category
    FROM lines
    ORDER BY product_id, updated_at DESC, event_id DESC, order_id DESC, line_no DESC
)
SELECT product_id, product_name, names.category, currency, units, net_sales
FROM (SELECT product_id, currency, sum(quantity) AS units, sum(net) AS net_sales
      FROM lines GROUP BY product_id, currency) AS sums
JOIN names USING (product_id);
