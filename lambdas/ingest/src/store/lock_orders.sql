-- The orders whose lines are about to change, locked in the order of their ids until the commit. Another batch with
-- lines of the same order waits here, and so computes the order's tier from all of them.
SELECT count(*) FROM (
    SELECT FROM unnest($1::text[]) AS p(order_id) JOIN orders o ON o.order_id = p.order_id
    ORDER BY o.order_id
    FOR NO KEY UPDATE OF o
) AS locked
