//! A database that is down or refuses fails the invocation; the same delivery later loses nothing.

use lambda_runtime::Diagnostic;
use testing::Server;

use crate::support::{Sent, Shop, customer, deliver, order, payload};

#[tokio::test]
async fn a_crash_fails_the_invocation_and_nothing_is_lost() {
    // The disk's guarantees are what is tested here.
    let mut server = Server::start_with(&[]).unwrap();
    let database = Shop::open(&server).database;
    let event = |n| payload(&[Sent::json("customers", &customer(n, 0, n))], 0);
    let mut ingest = Shop { server: &server, database: database.clone() }.ingest();
    ingest.handle(&event(1), std::io::sink()).await.unwrap();

    server.crash().unwrap();
    let error = ingest.handle(&event(2), std::io::sink()).await.unwrap_err();
    assert_eq!(Diagnostic::from(error).error_type, "DatabaseUnreachable");

    server.restart().unwrap();
    ingest.handle(&event(2), std::io::sink()).await.unwrap();
    let shop = Shop { server: &server, database };
    assert_eq!(shop.sql("SELECT customer_id FROM customers ORDER BY 1"), "c1\nc2\n");
}

#[tokio::test]
async fn a_connection_that_died_in_between_is_replaced() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    deliver(&mut ingest, &[Sent::json("customers", &customer(1, 0, 1))], 0).await;
    shop.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    deliver(&mut ingest, &[Sent::json("customers", &customer(2, 0, 2))], 0).await;
    assert_eq!(shop.sql("SELECT count(*) FROM customers"), "2\n");
}

#[tokio::test]
async fn a_refusal_in_the_middle_leaves_nothing_of_the_batch() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    let records = [
        Sent::json("customers", &customer(1, 0, 1)),
        Sent::json("orders", &order(2, 0, 1, 1)),
        Sent::bytes("orders", b"{"),
    ];
    deliver(&mut ingest, &[], 0).await;
    shop.sql("ALTER TABLE rejected_events ADD CONSTRAINT no_room CHECK (reason = 'none')");
    let error = ingest.handle(&payload(&records, 0), std::io::sink()).await.unwrap_err();
    let diagnostic = Diagnostic::from(error);
    assert_eq!(diagnostic.error_type, "DatabaseFailed");
    assert!(
        diagnostic.error_message.contains("violates check constraint \"no_room\" (SQLSTATE 23514)"),
        "{diagnostic:?}"
    );
    assert_eq!(shop.sql("SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders)"), "0|0\n");

    shop.sql("ALTER TABLE rejected_events DROP CONSTRAINT no_room");
    let summary = deliver(&mut ingest, &records, 0).await;
    assert_eq!((summary.accepted, summary.rejected), (2, 1));
    assert_eq!(shop.sql("SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders)"), "1|1\n");
}

#[tokio::test]
async fn a_payload_of_another_source_is_an_error() {
    let mut ingest = Shop::shared().ingest();
    let error = ingest.handle(r#"{"Records":[]}"#, std::io::sink()).await.unwrap_err();
    assert_eq!(Diagnostic::from(error).error_type, "EventMalformed");
}
