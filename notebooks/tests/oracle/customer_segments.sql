-- $1: the time of the run.
WITH sums AS (
    SELECT customer_id, min(order_date) AS first_order_date, count(*) AS frequency, sum(net_amount) AS monetary,
           greatest(($1::timestamptz AT TIME ZONE 'UTC')::date - max(order_date), 0) AS recency_days
    FROM oracle_orders WHERE paid GROUP BY customer_id
), scores AS (
    SELECT *,
           CASE WHEN recency_days <= 7 THEN 5 WHEN recency_days <= 30 THEN 4 WHEN recency_days <= 90 THEN 3
                WHEN recency_days <= 180 THEN 2 ELSE 1 END AS r,
           CASE WHEN frequency >= 10 THEN 5 WHEN frequency >= 5 THEN 4 WHEN frequency >= 3 THEN 3
                WHEN frequency = 2 THEN 2 ELSE 1 END AS f,
           CASE WHEN monetary >= 1000 THEN 5 WHEN monetary >= 500 THEN 4 WHEN monetary >= 200 THEN 3
                WHEN monetary >= 50 THEN 2 ELSE 1 END AS m
    FROM sums
)
SELECT customer_id, country, first_order_date, recency_days, frequency, monetary, concat(r, f, m) AS rfm,
       CASE WHEN least(r, f, m) >= 4 THEN 'champion'
            WHEN f >= 4 AND r >= 3 THEN 'loyal'
            WHEN r >= 4 AND f = 1 THEN 'new'
            WHEN r >= 4 THEN 'promising'
            WHEN r = 3 THEN 'regular'
            WHEN f >= 3 OR m >= 4 THEN 'at_risk'
            WHEN r = 2 THEN 'hibernating'
            ELSE 'lost' END AS segment
FROM scores JOIN customers USING (customer_id);
