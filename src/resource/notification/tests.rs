use super::*;
use crate::resource::testing;

fn spec(spec: Value) -> Notification {
    serde_json::from_value(spec).expect("a spec")
}

fn live(policy: &Value, subscriptions: Vec<Subscribed>) -> LiveNotification {
    LiveNotification {
        arn: "arn:aws:sns:us-east-1:000000000000:s-alarms".into(),
        attributes: BTreeMap::from([("Policy".into(), policy.to_string()), ("KmsMasterKeyId".into(), String::new())]),
        subscriptions,
        invokes: Vec::new(),
        tags: Tags::default(),
    }
}

fn subscribed(protocol: &str, endpoint: &str) -> Subscribed {
    let arn = "arn:aws:sns:us-east-1:000000000000:s-alarms";
    Subscribed::builder().topic_arn(arn).protocol(protocol).endpoint(endpoint).subscription_arn("x").build()
}

#[test]
fn what_is_wanted_is_observed() {
    let spec = spec(json!({ "subscriptions": { "oncall": { "email": "oncall@example.com" } } }));
    let arn = arn_in(&testing::cx().scope, "alarms");
    let live =
        live(&publishing(&arn, "000000000000", &spec.publishers), vec![subscribed("email", "oncall@example.com")]);
    assert_eq!(arn, live.arn);
    let wanted = spec.desired(&testing::cx()).expect("wanted").spec;
    let observed = Notification::observed(&live);
    for field in ["publishers", "subscriptions", "tags"] {
        assert_eq!(observed[field], wanted[field], "{field}");
    }
    assert_eq!((wanted.get("kms_key"), &observed["kms_key"]), (None, &Value::Null));
}

#[test]
fn who_else_may_publish_is_drift() {
    let open = json!({ "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sns:Publish" }] });
    assert!(Notification::observed(&live(&open, Vec::new()))["publishers"].is_object());
}

#[test]
fn a_function_that_the_topic_may_not_invoke_gets_nothing() {
    let function = "arn:aws:lambda:us-east-1:000000000000:function:s-watch";
    let mut live = live(&Value::Null, vec![subscribed("lambda", function)]);
    assert_eq!(Notification::observed(&live)["subscriptions"], json!({}));
    live.invokes.push(function.into());
    assert_eq!(Notification::observed(&live)["subscriptions"], json!({ (format!("lambda {function}")): true }));
}

#[test]
fn the_shared_key_is_for_topics_without_services() {
    let alarms = json!({ "kms_key": "alias/aws/sns" });
    let flaws = spec(alarms).check();
    assert_eq!(flaws.iter().map(|it| it.at.as_str()).collect::<Vec<_>>(), ["/kms_key"]);
    assert_eq!(spec(json!({ "publishers": [] })).usual_key(), Some(SHARED_KEY));
    assert_eq!(spec(json!({})).usual_key(), None);
    let flaws = spec(json!({ "publishers": ["cloudwatch"], "subscriptions": { "a/b": { "email": "x" } } })).check();
    assert_eq!(flaws.iter().map(|it| it.at.as_str()).collect::<Vec<_>>(), ["/publishers/0", "/subscriptions/a~1b"]);
}
