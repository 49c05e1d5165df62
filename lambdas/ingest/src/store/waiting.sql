-- How many rows wait, at most 10,000 counted per table: cheap however many there are.
SELECT (SELECT count(*) FROM (SELECT FROM waiting_orders LIMIT 10000) AS o)
     + (SELECT count(*) FROM (SELECT FROM waiting_order_details LIMIT 10000) AS d)
     + (SELECT count(*) FROM (SELECT FROM waiting_payments LIMIT 10000) AS p)
