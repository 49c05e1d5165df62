WITH months AS (
    SELECT DISTINCT customer_id, date_trunc('month', order_date)::date AS month FROM oracle_orders
), cohorts AS (
    SELECT customer_id, month, min(month) OVER (PARTITION BY customer_id) AS cohort_month FROM months
)
SELECT cohort_month,
       (extract(year FROM age(month, cohort_month)) * 12 + extract(month FROM age(month, cohort_month)))::int AS month_offset,
       count(*) AS customers
FROM cohorts
GROUP BY 1, 2;
