//! Records that are not events are kept byte for byte, once, and cost their neighbours nothing.

use serde_json::json;

use crate::support::{Sent, Shop, customer, deliver, order};

#[tokio::test]
async fn rejects_are_kept_byte_for_byte() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    let long = "x".repeat(300_000);
    let mut nul = customer(1, 0, 1);
    nul["name"] = json!("a\u{0}b");
    let cases: Vec<(Option<Vec<u8>>, &str)> = vec![
        (None, "empty_value"),
        (Some(Vec::new()), "empty_value"),
        (Some(vec![0xff, 0x00, 0xfe, b'{']), "not_utf8"),
        (Some(b"{\"event_id\":".to_vec()), "not_json"),
        (Some(b"[1, 2]".to_vec()), "not_an_object"),
        (Some(b"{} {}".to_vec()), "not_json"),
        (Some(long.into_bytes()), "not_json"),
        (Some(nul.to_string().into_bytes()), "invalid_value"),
        (Some(b"{\"schema_version\":2}".to_vec()), "unsupported_version"),
        (Some(b" {\"schema_version\": 1}\n".to_vec()), "missing_field"),
        (Some(b"{\"schema_version\":\"1\"}".to_vec()), "wrong_type"),
    ];
    let mut records: Vec<Sent> =
        cases.iter().map(|(value, _)| Sent { topic: "customers", value: value.clone() }).collect();
    records.insert(5, Sent::json("customers", &customer(7, 0, 7)));
    let summary = deliver(&mut ingest, &records, 100).await;
    assert_eq!((summary.records, summary.accepted, summary.rejected), (12, 1, 11));
    deliver(&mut ingest, &records, 100).await;

    assert_eq!(shop.sql("SELECT customer_id FROM customers"), "c7\n");
    let kept = shop.sql(
        "SELECT \"offset\", coalesce(md5(payload), 'null'), octet_length(payload), reason, convert_from(key, 'UTF8'),
                topic
         FROM rejected_events ORDER BY 1",
    );
    let hashes = cases.iter().map(|(value, _)| value.as_ref().map_or_else(|| "null".to_owned(), |v| hash(&shop, v)));
    let expected: Vec<String> = cases
        .iter()
        .zip(hashes)
        .enumerate()
        .map(|(at, ((value, reason), hash))| {
            let offset = 100 + at + usize::from(at >= 5);
            let length = value.as_ref().map(|v| v.len().to_string()).unwrap_or_default();
            format!("{offset}|{hash}|{length}|{reason}|key|customers")
        })
        .collect();
    assert_eq!(kept.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn topics_are_told_apart_behind_their_prefix() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest_with_prefix("staging-");
    let event = customer(1, 0, 1);
    let records = [
        Sent::json("staging-customers", &event),
        Sent::json("customers", &event),
        Sent::json("staging-refunds", &event),
    ];
    let summary = deliver(&mut ingest, &records, 0).await;
    assert_eq!((summary.accepted, summary.rejected), (1, 2));
    let kept = shop.sql("SELECT topic, reason, payload IS NULL FROM rejected_events ORDER BY 1");
    assert_eq!(kept, "customers|unknown_topic|f\nstaging-refunds|unknown_topic|f\n");
}

#[tokio::test]
async fn metrics_count_what_was_rejected_and_why() {
    let shop = Shop::shared();
    let mut ingest = shop.ingest();
    let records =
        [Sent::bytes("orders", b"no"), Sent::bytes("orders", b"[]"), Sent::json("orders", &order(1, 0, 1, 1))];
    let mut out = Vec::new();
    let summary = ingest.handle(&crate::support::payload(&records, 0), &mut out).await.unwrap();
    assert_eq!(summary.waiting, 1);
    let lines: Vec<serde_json::Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let figures = (&lines[0]["Records"], &lines[0]["Accepted"], &lines[0]["Rejected"], &lines[0]["Waiting"]);
    assert_eq!(figures, (&json!(3), &json!(1), &json!(2), &json!(1)));
    assert_eq!((&lines[0]["Stack"], &lines[0]["Function"]), (&json!("test"), &json!("test-ingest")));
    assert!(lines[0]["EventToCommitLatency"][0].as_i64().unwrap() > 0);
    assert_eq!((&lines[1]["Reason"], &lines[2]["Reason"]), (&json!("not_json"), &json!("not_an_object")));
}

/// As `PostgreSQL` computes it, over bytes that went there another way.
fn hash(shop: &Shop<'_>, bytes: &[u8]) -> String {
    let folder = shop.server.host();
    let file = format!("{folder}/payload");
    std::fs::write(&file, bytes).unwrap();
    shop.sql(&format!("SELECT md5(pg_read_binary_file('{file}'))")).trim().to_owned()
}
