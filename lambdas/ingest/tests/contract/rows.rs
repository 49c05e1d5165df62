//! What one event becomes, and when it is seen.

use serde_json::{Value, json};

use crate::support::{Sent, Shop, customer, deliver, line, order, payment};

fn row(shop: &Shop<'_>, table: &str) -> Value {
    let text = shop.sql(&format!("SET timezone = 'UTC'; SELECT to_jsonb(t) - 'ingested_at' FROM {table} t"));
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn events_are_cleaned_and_categorised() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    let common = |mut event: Value, fields: Value| {
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event
    };
    let times = json!({"occurred_at": "2026-03-01T12:00:00.1234567+02:00", "unknown": {"a": [1]}});
    let records = [
        Sent::json(
            "customers",
            &common(
                customer(1, 0, 1),
                common(
                    times.clone(),
                    json!({
            "customer_id": "\u{3000} c1\t", "name": " Ada  Löve ", "email": " Ada@EXAMPLE.org ", "country": " de "}),
                ),
            ),
        ),
        Sent::json(
            "orders",
            &common(
                order(2, 0, 1, 1),
                common(
                    times.clone(),
                    json!({
            "status": " paid ", "currency": "eur", "shipping_country": "at", "channel": "mobile"}),
                ),
            ),
        ),
        Sent::json(
            "order_details",
            &common(
                line(3, 0, 1, 1),
                common(
                    times.clone(),
                    json!({
            "category": " ÄPFEL & Co ", "quantity": 3, "unit_price": " 19.9 ", "discount": "0.3333"}),
                ),
            ),
        ),
        Sent::json(
            "payments",
            &common(
                payment(4, 0, 1, 1),
                common(
                    times,
                    json!({
            "status": "failed", "amount": "10.005", "currency": "usd", "failure_reason": " no funds "}),
                ),
            ),
        ),
    ];
    let summary = deliver(&mut ingest, &records, 0).await;
    assert_eq!(
        serde_json::to_value(summary).unwrap(),
        json!({"records": 4, "accepted": 4, "rejected": 0, "waiting": 0})
    );

    let updated_at = "2026-03-01T10:00:00.123456+00:00";
    assert_eq!(
        row(&shop, "customers"),
        json!({
        "customer_id": "c1", "name": "Ada  Löve", "email": "ada@example.org", "country": "DE",
        "created_at": "2026-03-01T00:00:00+00:00", "updated_at": updated_at, "event_id": crate::support::event_id(1)})
    );
    assert_eq!(
        row(&shop, "orders"),
        json!({
        "order_id": "o1", "customer_id": "c1", "status": "paid", "currency": "EUR", "channel": "mobile",
        "ordered_at": "2026-03-01T00:00:01+00:00", "shipping_country": "AT", "value_tier": "small",
        "updated_at": updated_at, "event_id": crate::support::event_id(2)})
    );
    assert_eq!(
        row(&shop, "order_details"),
        json!({
        "order_id": "o1", "line_no": 1, "product_id": "p1", "product_name": "Thing", "category": "äpfel & co",
        "quantity": 3, "unit_price": 19.90, "discount": 0.3333, "updated_at": updated_at,
        "event_id": crate::support::event_id(3)})
    );
    assert_eq!(
        row(&shop, "payments"),
        json!({
        "payment_id": "y1", "order_id": "o1", "method": "card", "status": "failed", "outcome": "lost",
        "amount": 10.01, "currency": "USD", "failure_reason": "no funds", "processed_at": "2026-03-01T00:00:02+00:00",
        "updated_at": updated_at, "event_id": crate::support::event_id(4)})
    );
}

#[tokio::test]
async fn a_customer_brings_everything_that_waited_in_one_transaction() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    let early = [
        Sent::json("payments", &payment(1, 0, 1, 1)),
        Sent::json("order_details", &line(2, 0, 1, 1)),
        Sent::json("orders", &order(3, 0, 1, 1)),
        Sent::json("orders", &order(4, 0, 2, 2)),
    ];
    assert_eq!(deliver(&mut ingest, &early, 0).await.waiting, 4);
    let count =
        "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_details), (SELECT count(*) FROM payments)";
    assert_eq!(shop.sql(count), "0|0|0\n");
    assert_eq!(deliver(&mut ingest, &[Sent::json("customers", &customer(5, 0, 1))], 9).await.waiting, 1);
    assert_eq!(shop.sql(count), "1|1|1\n");
    let transactions = "SELECT count(DISTINCT xmin::text) FROM (
        SELECT xmin FROM customers UNION ALL SELECT xmin FROM orders UNION ALL SELECT xmin FROM order_details
        UNION ALL SELECT xmin FROM payments) AS rows";
    assert_eq!(shop.sql(transactions), "1\n");
    assert_ne!(shop.sql("SELECT value_tier FROM orders"), "\n");
}

#[tokio::test]
async fn tiers_follow_the_lines() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    deliver(&mut ingest, &[Sent::json("customers", &customer(1, 0, 1)), Sent::json("orders", &order(2, 0, 1, 1))], 0)
        .await;
    assert_eq!(shop.sql("SELECT coalesce(value_tier, 'none') FROM orders"), "none\n");
    let first_seen = shop.sql("SELECT ingested_at FROM orders");
    // 49.99; 50.00 with a second line; 200.00; 199.99 when a discount makes the first line 49.980002; a bad price; the most that a
    // line may be worth, and a little more.
    for (id, line_no, quantity, price, discount, tier) in [
        (10, 1, 1, "49.99", "0", "small"),
        (11, 2, 1, "0.01", "0", "medium"),
        (12, 2, 1, "150.01", "0", "large"),
        (13, 1, 1, "49.99", "0.0002", "medium"),
        (14, 1, 4, "12.4975", "0", "rejected"),
        (15, 1, 100, "9999999999.99", "0", "large"),
        (16, 1, 101, "9999999999.99", "0", "rejected"),
    ] {
        let mut event = line(id, id, 1, line_no);
        for (field, value) in
            [("quantity", json!(quantity)), ("unit_price", json!(price)), ("discount", json!(discount))]
        {
            event[field] = value;
        }
        let summary = deliver(&mut ingest, &[Sent::json("order_details", &event)], id as usize).await;
        let seen =
            if summary.rejected == 1 { "rejected\n".to_owned() } else { shop.sql("SELECT value_tier FROM orders") };
        assert_eq!(seen, format!("{tier}\n"), "event {id}");
    }
    assert_ne!(shop.sql("SELECT ingested_at FROM orders"), first_seen, "an update is seen by incremental readers");
}

#[tokio::test]
async fn newest_wins_and_a_tie_goes_to_the_greater_id() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    for (id, second, winner) in
        [(5, 10, "Name 5"), (9, 9, "Name 5"), (4, 10, "Name 5"), (6, 10, "Name 6"), (1, 11, "Name 1")]
    {
        deliver(&mut ingest, &[Sent::json("customers", &customer(id, second, 1))], id as usize).await;
        assert_eq!(shop.sql("SELECT name FROM customers"), format!("{winner}\n"), "after event {id}");
    }
}
