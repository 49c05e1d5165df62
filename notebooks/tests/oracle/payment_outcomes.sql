SELECT (processed_at AT TIME ZONE 'UTC')::date AS payment_date, method, currency,
       count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'refunded') AS refunded,
       coalesce(sum(amount) FILTER (WHERE status = 'failed'), 0) AS failed_amount
FROM payments
WHERE status NOT IN ('pending', 'authorized')
GROUP BY 1, 2, 3;
