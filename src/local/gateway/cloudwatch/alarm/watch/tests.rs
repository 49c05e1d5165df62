//! Alarms over a clock of the test's own; a stub takes their messages.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State as Behind};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::local::gateway::{
    cloudwatch::{
        metric::{Metric, Point},
        series::Summary,
    },
    upstream::Upstream,
};

const R: &str = "us-east-1";
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:told";
/// A minute that begins at zero seconds.
const T: i64 = 1_800_000_000;

type Sent = Arc<Mutex<Vec<BTreeMap<String, String>>>>;

async fn take(Behind(sent): Behind<Sent>, body: String) -> &'static str {
    sent.lock().expect("messages").push(form_urlencoded::parse(body.as_bytes()).into_owned().collect());
    "<PublishResponse/>"
}

struct Scene {
    monitor: CloudWatch,
    seen: Seen,
    sent: Sent,
    folder: TempDir,
    cloud: String,
}

fn open(folder: &Path, cloud: &str) -> CloudWatch {
    let upstream = Upstream::new(cloud, "000000000000").expect("a URL");
    CloudWatch::open(folder.join("monitor.json"), upstream, "000000000000").expect("records")
}

impl Scene {
    async fn new() -> Self {
        let (sent, folder) = (Sent::default(), tempfile::tempdir().expect("a folder"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let cloud = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(take).with_state(Arc::clone(&sent));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { monitor: open(folder.path(), &cloud), seen: Seen::new(), sent, folder, cloud }
    }

    async fn alarm(&self, rule: Value) {
        let mut all = json!({
            "Namespace": "Shop", "MetricName": "Bad", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
            "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": [TOPIC], "OKActions": [TOPIC],
        });
        if rule["Metrics"].is_array() {
            ["Namespace", "MetricName", "Statistic", "Period"]
                .iter()
                .for_each(|it| drop(all.as_object_mut().map(|all| all.remove(*it))));
        }
        rule.as_object().expect("members").iter().for_each(|(key, it)| all[key] = it.clone());
        self.monitor.put_metric_alarm(all, R).await.expect("an alarm");
    }

    async fn composite(&self, rule: Value) {
        self.monitor.put_composite_alarm(rule, R).await.expect("an alarm");
    }

    fn put(&self, name: &str, at: i64, value: f64) {
        let metric = Metric::new("Shop", name, []);
        let values = Summary::one(value);
        self.monitor.store.put(R, [Point { metric, at, fine: false, unit: "Count".into(), values }], at);
    }

    /// Evaluates all alarms so many seconds after the beginning, when what came before has settled.
    async fn at(&mut self, seconds: i64) {
        let now = Timestamp::from_second(T + seconds).expect("a time");
        self.monitor.evaluate_all(&mut self.seen, now).await;
    }

    fn shown(&self, name: &str) -> Value {
        let asked = json!({ "AlarmNames": [name], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"] });
        let answer = self.monitor.describe(asked, R).expect("alarms");
        let all =
            ["MetricAlarms", "CompositeAlarms"].map(|it| answer[it].as_array().cloned().unwrap_or_default()).concat();
        all.first().cloned().unwrap_or_default()
    }

    fn state(&self, name: &str) -> String {
        self.shown(name)["StateValue"].as_str().unwrap_or_default().to_owned()
    }

    /// Takes the messages that were sent: the alarm, its new state and the reason.
    fn messages(&self) -> Vec<(String, String, String)> {
        let sent = std::mem::take(&mut *self.sent.lock().expect("messages"));
        let read = |it: BTreeMap<String, String>| {
            assert_eq!((it["Action"].as_str(), it["TopicArn"].as_str()), ("Publish", TOPIC));
            let message: Value = serde_json::from_str(&it["Message"]).expect("JSON");
            let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
            assert!(it["Subject"].starts_with(&text("NewStateValue")), "{}", it["Subject"]);
            (text("AlarmName"), text("NewStateValue"), text("NewStateReason"))
        };
        sent.into_iter().map(read).collect()
    }

    fn past(&self, name: &str) -> Vec<String> {
        let past =
            self.monitor.past(json!({ "AlarmName": name, "ScanBy": "TimestampAscending" }), R).expect("a history");
        let items = past["AlarmHistoryItems"].as_array().cloned().unwrap_or_default();
        items.iter().map(|it| it["HistorySummary"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

#[tokio::test]
async fn an_alarm_goes_off_and_back_and_tells_each_change_once() {
    let mut scene = Scene::new().await;
    scene.alarm(json!({ "AlarmName": "bad" })).await;
    assert_eq!(scene.shown("bad")["StateReason"], "Unchecked: Initial alarm creation");
    scene.put("Bad", T, 9.0);
    scene.at(64).await;
    assert_eq!(scene.state("bad"), "INSUFFICIENT_DATA", "the minute has not settled");
    scene.at(65).await;
    assert_eq!(scene.state("bad"), "ALARM");
    let told = scene.messages();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].2.contains("1 datapoint [9.0 (15/01/27 08:00:00)] was greater than the threshold (5.0)"),
        "{told:?}"
    );
    for seconds in [67, 90, 126] {
        scene.at(seconds).await;
    }
    assert_eq!((scene.state("bad").as_str(), scene.messages().len()), ("ALARM", 0), "nothing changed");
    scene.put("Bad", T + 120, 1.0);
    scene.at(186).await;
    let told = scene.messages();
    assert_eq!(told.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect::<Vec<_>>(), [("bad", "OK")]);
    let action = format!("Successfully executed action {TOPIC}");
    assert_eq!(
        scene.past("bad"),
        [
            "Alarm \"bad\" created",
            "Alarm updated from INSUFFICIENT_DATA to ALARM",
            &action,
            "Alarm updated from ALARM to OK",
            &action,
        ]
    );
    // Three minutes of silence and a state that is on disk.
    scene.at(366).await;
    assert_eq!(scene.state("bad"), "INSUFFICIENT_DATA");
    let again = open(scene.folder.path(), &scene.cloud);
    assert_eq!(again.records.now().alarms, scene.monitor.records.now().alarms);
}

#[tokio::test]
async fn silence_is_what_the_alarm_says_it_is() {
    let mut scene = Scene::new().await;
    for treatment in ["breaching", "notBreaching", "ignore", "missing"] {
        let rule = json!({ "AlarmName": treatment, "TreatMissingData": treatment, "EvaluationPeriods": 2 });
        scene.alarm(rule).await;
        let set = json!({ "AlarmName": treatment, "StateValue": "OK", "StateReason": "test" });
        scene.monitor.set_state(set, R).await.expect("a state");
    }
    scene.at(65).await;
    let states = ["breaching", "notBreaching", "ignore", "missing"].map(|it| scene.state(it));
    assert_eq!(states, ["ALARM", "OK", "OK", "INSUFFICIENT_DATA"]);
    assert!(scene.shown("breaching")["StateReason"].as_str().is_some_and(|it| it.contains("treated as [Breaching]")));
}

#[tokio::test]
async fn math_decides_and_its_mistakes_are_told() {
    let mut scene = Scene::new().await;
    let metric = |id: &str, name: &str| {
        let metric = json!({ "Namespace": "Shop", "MetricName": name });
        json!({ "Id": id, "MetricStat": { "Metric": metric, "Period": 60, "Stat": "Sum" }, "ReturnData": false })
    };
    let rate = json!({ "Id": "e", "Expression": "IF(all > 0, 100 * bad / all, 0)" });
    let metrics = json!([rate, metric("bad", "Bad"), metric("all", "All")]);
    scene.alarm(json!({ "AlarmName": "rate", "Metrics": metrics })).await;
    scene.put("All", T, 100.0);
    scene.put("Bad", T, 4.0);
    scene.put("All", T + 60, 100.0);
    scene.put("Bad", T + 60, 6.0);
    scene.at(65).await;
    assert_eq!(scene.state("rate"), "OK");
    scene.at(125).await;
    assert_eq!(scene.state("rate"), "ALARM");
    let growth = json!([{ "Id": "e", "Expression": "DIFF(bad)" }, metric("bad", "Bad")]);
    scene.alarm(json!({ "AlarmName": "growth", "Metrics": growth, "Threshold": 1.5 })).await;
    scene.at(125).await;
    assert_eq!(scene.state("growth"), "ALARM", "two more than the minute before");
}

#[tokio::test]
async fn a_composite_follows_its_children_and_names_them() {
    let mut scene = Scene::new().await;
    let quiet = json!({ "AlarmActions": [], "OKActions": [], "TreatMissingData": "notBreaching" });
    for (name, metric) in [("bad", "Bad"), ("slow", "Slow")] {
        let mut rule = quiet.clone();
        (rule["AlarmName"], rule["MetricName"]) = (json!(name), json!(metric));
        scene.alarm(rule).await;
    }
    let rule = "ALARM(bad) AND NOT ALARM(\"slow\")";
    scene
        .composite(json!({ "AlarmName": "down", "AlarmRule": rule, "AlarmActions": [TOPIC], "OKActions": [TOPIC] }))
        .await;
    scene.at(65).await;
    assert_eq!(scene.state("down"), "OK");
    assert_eq!(scene.messages().len(), 1, "the first state is told, too");
    scene.put("Bad", T + 60, 9.0);
    scene.at(125).await;
    assert_eq!(scene.state("down"), "ALARM");
    let told = scene.messages();
    let reason = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:bad transitioned to ALARM at ";
    assert!(told.len() == 1 && told[0].2.starts_with(reason), "{told:?}");
    scene.put("Bad", T + 120, 9.0);
    scene.put("Slow", T + 120, 9.0);
    scene.at(185).await;
    assert_eq!(scene.state("down"), "OK");
    let refused = scene.monitor.delete(json!({ "AlarmNames": ["bad"] }), R).await.expect_err("it is needed");
    assert_eq!(refused.message, "Cannot delete bad as there are composite alarm(s) depending on it.");
    scene.monitor.delete(json!({ "AlarmNames": ["bad", "slow", "down"] }), R).await.expect("all at once");
}

#[tokio::test]
async fn actions_are_held_back_when_disabled_or_suppressed() {
    let mut scene = Scene::new().await;
    scene.alarm(json!({ "AlarmName": "muted", "ActionsEnabled": false })).await;
    scene.alarm(json!({ "AlarmName": "deploying", "MetricName": "Deploying", "AlarmActions": [] })).await;
    scene
        .composite(json!({
            "AlarmName": "held", "AlarmRule": "ALARM(muted)", "AlarmActions": [TOPIC], "ActionsSuppressor": "deploying",
            "ActionsSuppressorWaitPeriod": 10, "ActionsSuppressorExtensionPeriod": 10,
        }))
        .await;
    scene.put("Bad", T, 9.0);
    scene.put("Deploying", T, 9.0);
    scene.at(65).await;
    assert_eq!(["muted", "held", "deploying"].map(|it| scene.state(it)), ["ALARM", "ALARM", "ALARM"]);
    assert_eq!(scene.messages(), []);
    assert_eq!(scene.shown("held")["ActionsSuppressedBy"], "Alarm");
}

#[tokio::test]
async fn an_action_that_fails_is_noted_and_nothing_more() {
    let mut scene = Scene::new().await;
    scene.alarm(json!({ "AlarmName": "bad", "AlarmActions": ["arn:aws:ssm:us-east-1:0:opsitem:1", TOPIC] })).await;
    scene.put("Bad", T, 9.0);
    scene.at(65).await;
    assert_eq!(scene.messages().len(), 1, "the second one is done all the same");
    assert!(scene.past("bad").iter().any(|it| it.starts_with("Failed to execute action arn:aws:ssm")));
}

#[tokio::test]
async fn a_start_forgets_values_but_alarms_nobody() {
    let mut scene = Scene::new().await;
    scene.alarm(json!({ "AlarmName": "beat", "TreatMissingData": "breaching" })).await;
    scene.put("Bad", T, 1.0);
    scene.at(65).await;
    assert_eq!(scene.state("beat"), "OK");
    scene.monitor = open(scene.folder.path(), &scene.cloud);
    scene.monitor.started = Timestamp::from_second(T + 600).expect("a time");
    scene.seen.clear();
    scene.messages();
    for seconds in [605, 665, 725] {
        scene.at(seconds).await;
        assert_eq!((scene.state("beat").as_str(), scene.messages().len()), ("OK", 0), "{seconds}");
    }
    scene.at(785).await;
    assert_eq!(scene.state("beat"), "ALARM", "three minutes of silence since the start");
}
