use super::*;

fn part(path: &str, it: Value) -> Part {
    Part::json(path, &it)
}

#[test]
fn what_means_the_same_is_no_change() {
    let visual = json!({ "$schema": "…/2.9.0", "name": "a", "visual": { "visualType": "card", "query": { "queryState": {
        "Data": { "projections": [{ "queryRef": "Figures.Net sales" }] } } } } });
    let newer = json!({ "visual": { "query": { "queryState": {
        "Data": { "projections": [{ "queryRef": "Figures.Net sales" }] } } }, "visualType": "card" }, "name": "a", "$schema": "…/2.10.0" });
    let path = "definition/pages/p/visuals/a/visual.json";
    let (one, other) = (shown(&[part(path, visual.clone())]), shown(&[part(path, newer)]));
    assert_eq!(one, other, "another order, another version of the schema");
    assert!(one["visuals"]["p/a"].as_str().expect("shown").starts_with("card · Figures.Net sales · "));
    let mut moved = visual;
    moved["position"] = json!({ "x": 1 });
    assert_ne!(one, shown(&[part(path, moved)]));
}

#[test]
fn the_model_is_known_however_the_service_words_it() {
    let pbir = |connection: &str| {
        vec![part(
            "definition.pbir",
            json!({ "datasetReference": { "byConnection": { "connectionString": connection } } }),
        )]
    };
    assert_eq!(bound(&pbir("semanticmodelid=AB-1")).as_deref(), Some("ab-1"));
    let long = "Data Source=powerbi://api/v1.0/x;initial catalog=\"Sales\";semanticModelId=\"ab-1\"";
    assert_eq!(bound(&pbir(long)).as_deref(), Some("ab-1"));
    assert_eq!(bound(&[]), None);
}

#[test]
fn pages_are_named_once() {
    let report = |pages: Value| -> Report {
        let spec = json!({ "workspace": "11111111-aaaa-4bbb-8ccc-000000000001", "model": "sales", "pages": pages });
        serde_json::from_value(spec).expect("a spec")
    };
    assert!(report(json!(["a", "b"])).check().is_empty());
    assert_eq!(report(json!(["a", "a"])).check()[0].at, "/pages/1");
    assert_eq!(report(json!([])).check()[0].at, "/pages");
    let nowhere: Report = serde_json::from_value(json!({ "model": "sales", "pages": ["a"] })).expect("a spec");
    assert!(nowhere.check()[0].message.contains("needs a `workspace`"));
}
