-- All columns but gold_at, which tells of the runs, not of the orders.
SELECT order_id, customer_id, order_date, ordered_at, currency, channel, shipping_country AS country, status, net_amount, paid
FROM oracle_orders;
