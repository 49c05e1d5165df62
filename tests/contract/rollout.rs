//! New code that does harm: the alias goes back by itself, the run says so, and whoever comes after a run that died goes on
//! where that was. All of it on the local cloud: ministack's versions and aliases, the gateway's alarms, real invocations.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_lambda::primitives::Blob;
use ecomctl::{engine::Action, resource::Cause, stack::Stack};

use crate::{
    no_drift,
    place::{Place, Stage},
};

const FUNCTION: &str = "kind-rollout-ingest";
const ALARM: &str = "kind-rollout-errors";
/// The longest that anything may take.
const LONG: Duration = Duration::from_secs(120);

/// Writes the stack with this variable in its function's environment, and this rollout.
fn define(place: &Place, wave: u32, rollout: &str) -> Stack {
    let text = format!(
        "stack: {{ target: local }}
resources:
  log_group: {{ ingest: {{}} }}
  role:
    ingest:
      policies:
        logs: {{ template: policies/logs.json, uses: [log_group.ingest] }}
  function:
    ingest:
      package: ingest
      architecture: native
      environment: {{ WAVE: \"{wave}\" }}
      role: ingest
      log_group: ingest
      rollout: {rollout}
  alarm:
    errors: {{ template: alarms/function_errors.toml, of: function.ingest, period: 10s, points: 1 of 1 }}
"
    );
    place.write("rollout", &text)
}

impl Stage {
    async fn alias(&self) -> (String, String) {
        let sent = self.cx.aws.lambda().get_alias().function_name(FUNCTION).name("live").send().await;
        let alias = sent.expect("there is an alias");
        (alias.function_version.unwrap_or_default(), alias.description.unwrap_or_default())
    }

    /// Waits until the alias names another version than this one, and returns that.
    async fn moved_from(&self, version: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            let now = self.alias().await.0;
            if now != version {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the alias stays at {version}");
    }

    async fn fails_once(&self) {
        let request = self.cx.aws.lambda().invoke().function_name(FUNCTION).qualifier("live");
        let answer = request.payload(Blob::new("{}")).send().await.expect("invoked");
        assert!(answer.function_error().is_some(), "without a database it can only fail");
    }

    async fn alarm(&self) -> Option<StateValue> {
        let sent = self.cx.aws.cloudwatch().describe_alarms().alarm_names(ALARM).send().await.expect("alarms");
        sent.metric_alarms().first().and_then(|it| it.state_value().cloned())
    }

    /// Invokes the function, which fails, until its alarm says so; or waits until it has been quiet.
    async fn alarm_is(&self, on: bool) {
        let begun = Instant::now();
        while (self.alarm().await == Some(StateValue::Alarm)) != on {
            assert!(begun.elapsed() < LONG, "the alarm stays as it is");
            if on {
                self.fails_once().await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn versions(&self) -> BTreeSet<u64> {
        let sent = self.cx.aws.lambda().list_versions_by_function().function_name(FUNCTION).send().await;
        sent.expect("versions").versions().iter().filter_map(|it| it.version()?.parse().ok()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_sets_an_alarm_off_goes_back_by_itself() {
    let place = Place::start().await;
    let watched = "{ alarms: [errors], bake_time: 10m }";
    let first = define(&place, 1, watched);
    let mut stage = place.stage_of(&[&first]).await;
    stage.up().await.expect("created");
    assert_eq!(no_drift(&stage, "after creation").await, None);
    let good = stage.alias().await;
    assert_eq!(good.1, "", "there was nothing to go back to, so nothing was on trial");

    // The second version fails while it is on trial.
    stage.switch(define(&place, 2, watched));
    let harm = async {
        let bad = stage.moved_from(&good.0).await;
        stage.alarm_is(true).await;
        bad
    };
    let (ended, bad) = tokio::join!(stage.up(), harm);
    let told = ended.expect_err("it fails");
    assert!(told.contains(&format!("Reverted(\"the alarm {ALARM} went off at ")), "{told}");
    assert!(told.contains(&format!("while version {bad} was on trial")), "{told}");
    let back = format!("ecomctl: moved back from {bad} by {ALARM}");
    assert_eq!(stage.alias().await, (good.0.clone(), back.clone()));

    // What is shown is what serves, and nobody else is blamed for it.
    let plan = stage.plan().await;
    let step = plan.steps.iter().find(|it| it.address.kind == "function").expect("planned");
    let change = step.changes.iter().find(|it| it.field == "environment.WAVE").expect("it has the old value");
    assert_eq!((change.from.as_str(), change.to.as_str(), step.action), (Some("1"), Some("2"), Action::Update));
    assert!(step.changes.iter().all(|it| it.cause == Cause::Edit), "{:?}", step.changes);

    // The same again, but nobody watches when it happens: the next run takes it back, and tries nothing anew.
    stage.alarm_is(false).await;
    tokio::select! {
        ended = stage.up() => panic!("{ended:?} in less than ten minutes"),
        moved = stage.moved_from(&good.0) => assert_eq!(moved, bad, "nothing was published anew"),
    }
    stage.alarm_is(true).await;
    let told = stage.up().await.expect_err("it does harm");
    assert!(told.contains("Reverted"), "{told}");
    assert_eq!(stage.alias().await, (good.0.clone(), back));

    // The file goes back.
    stage.switch(first);
    stage.up().await.expect("what serves is what is wanted");
    assert_eq!(no_drift(&stage, "after the file went back").await, None);
    assert_eq!(stage.alias().await, good);

    // A version that does no harm, though the alarm is on from before.
    stage.alarm_is(true).await;
    stage.switch(define(&place, 3, "{ alarms: [errors], bake_time: 3s }"));
    stage.up().await.expect("the trial is over");
    assert_eq!(no_drift(&stage, "after the trial").await, None);
    let (version, note) = stage.alias().await;
    assert!(version.parse::<u64>().ok() > bad.parse().ok() && note.is_empty(), "{version} {note}");

    // Without alarms each counts at once; old ones go, whatever other aliases name stays.
    let kept = stage.cx.aws.lambda().create_alias().function_name(FUNCTION).name("kept").function_version(&good.0);
    kept.send().await.expect("an alias of somebody's");
    for wave in 4..10 {
        stage.switch(define(&place, wave, "null"));
        stage.up().await.expect("changed");
    }
    let (version, _) = stage.alias().await;
    let (versions, newest) = (stage.versions().await, version.parse::<u64>().expect("a number"));
    let expected: BTreeSet<u64> = (newest - 4..=newest).chain(good.0.parse()).collect();
    assert_eq!(versions, expected, "the newest five, and what an alias names");
    assert_eq!(no_drift(&stage, "at the end").await, None);
    stage.down().await.expect("deleted");
}
