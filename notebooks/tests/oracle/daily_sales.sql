SELECT order_date, currency, channel,
       count(*) AS orders,
       count(*) FILTER (WHERE paid) AS paid_orders,
       coalesce(sum(net_amount) FILTER (WHERE paid), 0) AS net_sales,
       round(avg(net_amount) FILTER (WHERE paid), 2) AS avg_order_value
FROM oracle_orders
GROUP BY order_date, currency, channel;
