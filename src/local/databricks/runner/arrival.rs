//! Jobs that run when files arrive: the location of each is listed over and over, and a file that is new begins a run.
//!
//! As Databricks documents it ("Trigger jobs when new files arrive"): folders within the location count; what was there when
//! the trigger was set does not, nor does a file that is written over; both times put a run off, and what arrives meanwhile
//! is the same run's; a location has at most 10,000 files. Databricks looks about once a minute; looking costs nothing
//! here, so it is more often.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{Inner, Runner};
use crate::{
    client::aws::{Aws, Target},
    local::{
        ACCOUNT, REGION,
        databricks::{
            call::now,
            job::settings::{FileArrival, Pause},
            run::{self, New, record::Trigger},
        },
    },
};

/// The pause between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// The most files of a location.
const MOST: usize = 10_000;

/// What is known of all locations, by the numbers of their jobs.
pub(super) type Watches = BTreeMap<i64, Watch>;

/// What is known of a job's location. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watch {
    /// When the trigger was set: another time means another trigger.
    since: i64,
    /// The files that were there at the last look.
    files: BTreeSet<String>,
    /// When the newest file was found that no run was begun for.
    arrived: Option<i64>,
    /// When a run was begun last.
    fired: Option<i64>,
}

/// A file of a location, and when it was written, in milliseconds since 1970.
type File = (String, i64);

impl Watch {
    /// Begins with what was there before the trigger was set. S3 tells seconds.
    fn begin(since: i64, files: &[File]) -> Self {
        let before = files.iter().filter(|it| it.1 < since / 1000 * 1000).map(|it| it.0.clone());
        Self { since, files: before.collect(), ..Self::default() }
    }

    /// Notes what is there now.
    fn look(&mut self, files: Vec<File>, now: i64) {
        let files: BTreeSet<String> = files.into_iter().map(|it| it.0).collect();
        if files.difference(&self.files).next().is_some() {
            self.arrived = Some(now);
        }
        self.files = files;
    }

    /// Says of which arrival a run is due.
    fn due(&self, trigger: &FileArrival, now: i64) -> Option<i64> {
        let after = |from: i64, seconds: Option<u64>| {
            let pause = seconds.and_then(|it| i64::try_from(it).ok()).unwrap_or(0).saturating_mul(1000);
            now >= from.saturating_add(pause)
        };
        let arrived = self.arrived?;
        let quiet = after(arrived, trigger.wait_after_last_change_seconds);
        let apart = self.fired.is_none_or(|it| after(it, trigger.min_time_between_triggers_seconds));
        (quiet && apart).then_some(arrived)
    }
}

/// Begins runs when files arrive, for as long as it is polled.
pub(super) async fn serve(inner: &Arc<Inner>, runner: &Runner) {
    let keys = Some((ACCOUNT.to_owned(), "local".to_owned()));
    let target = Target { region: REGION.to_owned(), endpoint: Some(inner.place.gateway.clone()), keys };
    let aws = Aws::connect(&target).await;
    // What was wrong is told once, not at each look.
    let mut told: BTreeMap<i64, String> = BTreeMap::new();
    loop {
        let jobs = inner.jobs.all();
        let mut watched = BTreeSet::new();
        for (id, job) in jobs.iter() {
            let trigger = job.read().ok().and_then(|it| it.trigger).filter(|it| it.pause_status == Pause::Unpaused);
            let Some(trigger) = trigger.and_then(|it| it.file_arrival) else { continue };
            watched.insert(*id);
            let Err(why) = see(inner, runner, &aws, *id, job, &trigger).await else {
                told.remove(id);
                continue;
            };
            if told.get(id) != Some(&why) {
                inner.place.log.write(&format!("job {id} waits for files, but: {why}"));
                told.insert(*id, why);
            }
        }
        if inner.arrivals.now().keys().any(|it| !watched.contains(it)) {
            let forget = |all: &mut Watches| {
                all.retain(|id, _| watched.contains(id));
                Ok(())
            };
            // Tried again at the next look.
            inner.arrivals.change(forget).await.ok();
        }
        sleep(LOOK).await;
    }
}

/// Looks once at the location of one job. Whatever ends this between two steps, the next look goes on where it ended: the run
/// of an arrival has a token, so it is begun once.
async fn see(
    inner: &Inner,
    runner: &Runner,
    aws: &Aws,
    id: i64,
    job: &crate::local::databricks::job::Job,
    trigger: &FileArrival,
) -> Result<(), String> {
    let files = list(aws, &trigger.url).await?;
    let known = inner.arrivals.now().get(&id).filter(|it| it.since == job.scheduled).cloned();
    let mut watch = known.clone().unwrap_or_else(|| Watch::begin(job.scheduled, &files));
    watch.look(files, now());
    keep(inner, id, known.as_ref(), &watch).await?;
    let Some(arrived) = watch.due(trigger, now()) else { return Ok(()) };
    let new = New::scheduled(id, job.clone(), Trigger::FileArrival).once(format!("files {id} {arrived}"));
    run::begin(&inner.runs, new).await.map_err(|it| it.to_string())?;
    runner.wake();
    let fired = Watch { arrived: None, fired: Some(now()), ..watch.clone() };
    keep(inner, id, Some(&watch), &fired).await
}

/// Keeps what is known now, where that is news.
async fn keep(inner: &Inner, id: i64, before: Option<&Watch>, after: &Watch) -> Result<(), String> {
    if before == Some(after) {
        return Ok(());
    }
    let change = |all: &mut Watches| Ok(all.insert(id, after.clone()));
    inner.arrivals.change(change).await.map(drop).map_err(|it| it.to_string())
}

/// Splits a location in S3 into bucket and prefix; `None` where it lies elsewhere.
pub(crate) fn place(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("s3://").or_else(|| url.strip_prefix("s3a://"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty()).then_some((bucket, prefix))
}

async fn list(aws: &Aws, url: &str) -> Result<Vec<File>, String> {
    let (bucket, prefix) = place(url).ok_or_else(|| format!("{url} is not in S3"))?;
    // A folder, not whatever begins like its name.
    let prefix = if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
    let (mut files, mut next) = (Vec::new(), None);
    loop {
        let page = aws.s3().list_objects_v2().bucket(bucket).prefix(&prefix).set_continuation_token(next).send().await;
        let page = page.map_err(|err| crate::client::Error::aws("s3", "ListObjectsV2")(err).to_string())?;
        for it in page.contents() {
            let written = it.last_modified().and_then(|it| it.to_millis().ok()).unwrap_or_default();
            // Consoles make folders of objects whose names end so.
            files.extend(it.key().filter(|it| !it.ends_with('/')).map(|key| (key.to_owned(), written)));
        }
        if files.len() > MOST {
            return Err(format!("{url} has more than {MOST} files, which is more than can be watched"));
        }
        next = page.next_continuation_token().filter(|it| !it.is_empty()).map(str::to_owned);
        if next.is_none() {
            return Ok(files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<File> {
        names.iter().map(|it| ((*it).to_owned(), 0)).collect()
    }

    fn trigger(apart: Option<u64>, quiet: Option<u64>) -> FileArrival {
        FileArrival {
            url: "s3://b/in/".to_owned(),
            min_time_between_triggers_seconds: apart,
            wait_after_last_change_seconds: quiet,
        }
    }

    #[test]
    fn only_what_is_new_counts() {
        let there = vec![("old".to_owned(), 9_000), ("same second".to_owned(), 10_000), ("new".to_owned(), 11_000)];
        let watch = Watch::begin(10_400, &there);
        assert_eq!(watch.files, BTreeSet::from(["old".to_owned()]));
        let mut watch = Watch::begin(10_400, &files(&["a"]));
        watch.look(files(&["a"]), 11_000);
        assert_eq!(watch.due(&trigger(None, None), 11_000), None, "written over, or as before");
        watch.look(files(&["a", "b"]), 12_000);
        assert_eq!(watch.due(&trigger(None, None), 12_000), Some(12_000));
        watch.look(files(&["a"]), 13_000);
        assert_eq!(watch.due(&trigger(None, None), 13_000), Some(12_000), "it had arrived, whatever became of it");
    }

    #[test]
    fn both_times_put_a_run_off() {
        let mut watch = Watch { fired: Some(0), ..Watch::default() };
        watch.look(files(&["a"]), 10_000);
        let due = |watch: &Watch, now, apart, quiet| watch.due(&trigger(apart, quiet), now).is_some();
        assert!(!due(&watch, 59_999, Some(60), None));
        assert!(due(&watch, 60_000, Some(60), None));
        assert!(!due(&watch, 69_999, None, Some(60)));
        watch.look(files(&["a", "b"]), 65_000);
        assert!(!due(&watch, 124_999, None, Some(60)), "another file begins the wait anew");
        assert!(due(&watch, 125_000, Some(60), Some(60)));
        watch.fired = None;
        assert!(due(&watch, 65_000, Some(60), None), "there was no run before");
    }

    #[test]
    fn what_is_known_outlives_the_process() {
        let mut watch = Watch::begin(10_400, &files(&["a"]));
        watch.look(files(&["a", "b"]), 12_000);
        let kept = serde_json::to_string(&watch).expect("JSON");
        assert_eq!(serde_json::from_str::<Watch>(&kept).expect("a watch"), watch);
    }

    #[test]
    fn locations_are_in_s3() {
        assert_eq!(place("s3://b/in/"), Some(("b", "in/")));
        assert_eq!(place("s3a://b"), Some(("b", "")));
        assert_eq!(place("/Volumes/main/in/"), None);
        assert_eq!(place("s3:///in/"), None);
    }
}
