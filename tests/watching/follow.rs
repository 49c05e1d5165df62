//! The alarms of a stack as `ecomctl alarms` shows them, followed from beginning to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::place::Place;

/// How often is looked: each look starts the program.
const PACE: Duration = Duration::from_secs(3);
/// How long anything may take on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(420);

/// What is known of one alarm.
#[derive(Clone, Debug, Default)]
struct Course {
    state: String,
    /// When it was not in ALARM, and then in ALARM, after its cause.
    fired: Option<Instant>,
    /// When it was OK after its cause was undone.
    cleared: Option<Instant>,
    caused: Option<Instant>,
    undone: Option<Instant>,
    last: Value,
}

/// What is known of all alarms. The looking ends with it.
pub(crate) struct Follower {
    courses: Arc<Mutex<BTreeMap<String, Course>>>,
    looking: JoinHandle<()>,
}

impl Follower {
    /// Begins to look, again and again.
    pub(crate) fn begin(place: &Arc<Place>) -> Self {
        let (place, courses) = (Arc::clone(place), Arc::default());
        let shared = Arc::clone(&courses);
        let looking = tokio::spawn(async move {
            loop {
                // While the machine is busy a look may fail; the next one makes up for it.
                if let Ok(text) = place.run(["--json", "alarms", "local"]).await {
                    let now: Value = serde_json::from_str(&text).expect("JSON");
                    note(&shared, &now);
                }
                tokio::time::sleep(PACE).await;
            }
        });
        Self { courses, looking }
    }

    /// Lists the names of all alarms.
    pub(crate) async fn names(&self) -> BTreeSet<String> {
        self.until("there are alarms", |it| !it.is_empty()).await;
        lock(&self.courses).keys().cloned().collect()
    }

    /// Notes that there is now a reason for these alarms.
    pub(crate) fn caused<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut courses = lock(&self.courses);
        for name in names {
            courses.entry(name.to_owned()).or_default().caused = Some(Instant::now());
        }
    }

    /// Notes that there is none any more.
    pub(crate) fn undone<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut courses = lock(&self.courses);
        for name in names {
            courses.entry(name.to_owned()).or_default().undone = Some(Instant::now());
        }
    }

    /// Waits until these have gone off, each after its cause.
    pub(crate) async fn fired(&self, names: &[&str]) {
        self.until("they go off", |courses| {
            names.iter().all(|it| courses.get(*it).is_some_and(|it| it.fired.is_some()))
        })
        .await;
    }

    /// Waits until these are OK again, each after its cause was undone.
    pub(crate) async fn cleared(&self, names: &[&str]) {
        self.until("they are OK again", |courses| {
            names.iter().all(|it| courses.get(*it).is_some_and(|it| it.cleared.is_some()))
        })
        .await;
    }

    /// Waits until an alarm is OK.
    pub(crate) async fn is_ok(&self, name: &str) {
        self.until(name, |courses| courses.get(name).is_some_and(|it| it.state == "ok")).await;
    }

    /// Shows how long each took, for those who read the output.
    pub(crate) fn tell(&self) {
        let seconds = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
            (Some(from), Some(to)) => format!("{:>4} s", to.saturating_duration_since(from).as_secs()),
            _ => "   —".to_owned(),
        };
        for (name, it) in lock(&self.courses).iter().filter(|it| it.1.caused.is_some()) {
            let (fired, cleared) = (seconds(it.caused, it.fired), seconds(it.undone, it.cleared));
            eprintln!("{name:<28} went off after {fired}, was OK again after {cleared}");
        }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&BTreeMap<String, Course>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&lock(&self.courses)) {
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.pending());
            assert!(!self.looking.is_finished(), "nobody looks any more");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Those that are not as they shall be in the end, for whoever has to find out why.
    fn pending(&self) -> Vec<String> {
        let courses = lock(&self.courses);
        let pending = courses.iter().filter(|it| it.1.caused.is_some() && it.1.cleared.is_none());
        let shown = |(name, it): (&String, &Course)| {
            format!("{name}: {} (fired: {}) {}", it.state, it.fired.is_some(), it.last["reason"])
        };
        pending.map(shown).collect()
    }

    /// Ends the looking.
    pub(crate) async fn end(self) {
        self.looking.abort();
        // Cancelled, as it was asked to be.
        let _ = self.looking.await;
    }
}

fn note(courses: &Mutex<BTreeMap<String, Course>>, now: &Value) {
    let mut courses = lock(courses);
    for it in now["alarms"].as_array().expect("alarms") {
        let course = courses.entry(it["name"].as_str().expect("a name").to_owned()).or_default();
        it["state"].as_str().expect("a state").clone_into(&mut course.state);
        course.last = it.clone();
        match course.state.as_str() {
            "alarm" if course.caused.is_some() && is_beyond(it) => _ = course.fired.get_or_insert_with(Instant::now),
            "ok" if course.undone.is_some() && course.fired.is_some() => {
                course.cleared.get_or_insert_with(Instant::now);
            }
            _ => {}
        }
    }
}

/// Says whether an alarm that counts seconds goes off on a value, not on the silence of who counts them.
fn is_beyond(it: &Value) -> bool {
    let Some(limit) = it["threshold"].as_f64().filter(|_| it["name"] == "medallion_late") else { return true };
    let last = it["points"].as_array().and_then(|it| it.iter().rev().find_map(Value::as_f64));
    last.is_some_and(|it| it > limit)
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
