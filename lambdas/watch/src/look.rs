//! The looks at the parts: each asks, decides what is news, and writes its metrics.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::Instant;

use crate::{
    Error, Moment, RequestError, Watch,
    databricks::Which,
    deadlocks, gold,
    metrics::Lines,
    run::{Ending, Run},
    state::{Jobs, Listing, Memory},
    store::Store,
};

/// How far back the last success is looked for when nothing is known: pages of 25 runs.
const PAGES: usize = 4;

/// What was found of one job.
struct Found<'a> {
    name: &'a str,
    id: i64,
    listing: Listing,
    /// What is known to begin with.
    success: i64,
}

impl Watch {
    /// Looks at all jobs.
    pub(crate) async fn look_at_jobs(&self, moment: Moment<'_>) -> Result<(), Error> {
        let Some(workspace) = &self.settings.workspace else { return Ok(()) };
        let jobs: Vec<(&str, i64)> = workspace.jobs.iter().map(|(name, id)| (name.as_str(), *id)).collect();
        self.look_at(&jobs, None, moment).await
    }

    /// Says under which name a job is looked at every minute; `None` for one that is not.
    pub(crate) async fn remembered(&self, id: i64, end: Instant) -> Result<Option<String>, Error> {
        let known: Jobs = self.store("jobs.json").load(end).await?;
        Ok(known.jobs.into_iter().find(|it| it.1.id == id).map(|it| it.0))
    }

    /// Looks at some jobs, and at one run that lists may not hold.
    pub(crate) async fn look_at(
        &self,
        jobs: &[(&str, i64)],
        run: Option<i64>,
        moment: Moment<'_>,
    ) -> Result<(), Error> {
        let store = self.store("jobs.json");
        let known: Jobs = store.load(moment.end).await?;
        let asked = jobs
            .iter()
            .map(|(name, id)| self.list(name, *id, known.jobs.get(*name).filter(|it| it.id == *id), run, moment));
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for it in join_all(asked).await {
            match it {
                Ok(it) => found.push(it),
                Err(err) => failures.push(Error::from(err)),
            }
        }
        let claim = |state: &mut Jobs| claim(state, &found, moment.now);
        let seen = store.change(moment.end, claim).await?;

        let mut lines = Lines::new(&self.settings.stack, moment.now);
        for it in &found {
            let Some((success, news)) = seen.get(it.name) else { continue };
            lines.add(Some(("Job", it.name)), &metrics(&it.listing.active, *success, news, moment.now));
        }
        moment.write(lines);

        if seen.values().any(|it| !it.1.is_empty()) {
            // Should this fail, the claims run out, and another look tells these runs once more.
            let tell = |state: &mut Jobs| {
                for (name, (_, news)) in &seen {
                    if let Some(it) = state.jobs.get_mut(*name) {
                        it.told(news);
                    }
                }
                (true, ())
            };
            store.change(moment.end, tell).await?;
        }
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Error::Several(failures)),
        }
    }

    /// Asks for the runs of a job.
    async fn list<'a>(
        &self,
        name: &'a str,
        id: i64,
        known: Option<&Memory>,
        run: Option<i64>,
        moment: Moment<'_>,
    ) -> Result<Found<'a>, RequestError> {
        let Moment { now, end, .. } = moment;
        let workspace =
            self.workspace.as_ref().ok_or_else(|| RequestError::new("databricks", "no workspace is named"))?;
        let mut earlier = None;
        let success = match known {
            Some(it) => it.success,
            None => {
                earlier = workspace.last_success(&self.aws, id, PAGES, end).await?;
                // While nothing has succeeded, the job is late since it was made.
                match &earlier {
                    Some(it) => it.end_time,
                    None => workspace.created(&self.aws, id, end).await?,
                }
            }
        };
        let from = known.map_or_else(|| Memory::new(id, 0, now).from, |it| it.from);
        let active = workspace.runs(&self.aws, id, Which::Active, end).await?;
        let mut completed = workspace.runs(&self.aws, id, Which::Completed { from }, end).await?;
        if let Some(run) = run.filter(|run| !completed.iter().any(|it| it.run_id == *run)) {
            completed.push(workspace.run(&self.aws, run, end).await?);
        }
        completed.extend(earlier);
        Ok(Found { name, id, listing: Listing { active, completed }, success })
    }

    /// Looks at the tables' logs. A run of the job that writes them has found no news, or written it: either way, they
    /// are as fresh as the run.
    pub(crate) async fn look_at_tables(&self, moment: Moment<'_>) -> Result<(), Error> {
        if self.settings.tables.is_empty() {
            return Ok(());
        }
        let as_of = match self.settings.writer {
            Some(writer) => {
                let known: Jobs = self.store("jobs.json").load(moment.end).await?;
                known.jobs.values().filter(|it| it.id == writer).map(|it| it.as_of).max().unwrap_or(0)
            }
            None => 0,
        };
        let asked = self
            .settings
            .tables
            .iter()
            .map(async |(name, place)| (name, gold::newest_commit(&self.aws, place, moment.end).await));
        let mut lines = Lines::new(&self.settings.stack, moment.now);
        let mut failure = Ok(());
        for (name, written) in join_all(asked).await {
            match written {
                Ok(Some(it)) => {
                    let age = seconds(moment.now - it.max(as_of));
                    lines.add(Some(("Table", name)), &[("GoldFreshness", "Seconds", vec![age])]);
                }
                Ok(None) => tracing::debug!("there is no table {name} yet"),
                Err(err) => failure = Err(err.into()),
            }
        }
        moment.write(lines);
        failure
    }

    /// Counts deadlocks since the last look.
    pub(crate) async fn look_at_database(&self, moment: Moment<'_>) -> Result<(), Error> {
        let Some((database, settings)) = self.database.as_ref().zip(self.settings.database.as_ref()) else {
            return Ok(());
        };
        let late = || Error::Query("no answer in time".to_owned());
        let mut database = database.lock().await;
        let counted = tokio::time::timeout_at(moment.end, deadlocks::count(&mut database)).await;
        let counted = counted.map_err(|_| late())??;
        let note = |state: &mut deadlocks::Count| state.note(counted);
        let since = self.store("database.json").change(moment.end, note).await?;
        let mut lines = Lines::new(&self.settings.stack, moment.now);
        lines.add(Some(("Database", &settings.name)), &[("Deadlocks", "Count", vec![since])]);
        moment.write(lines);
        Ok(())
    }

    fn store(&self, name: &'static str) -> Store<'_> {
        Store { aws: &self.aws, bucket: self.settings.bucket.as_deref().unwrap_or_default(), name }
    }
}

/// Takes note of what was found, and claims what is news. Returns for each job when it last succeeded, and its news.
fn claim<'a>(state: &mut Jobs, found: &[Found<'a>], now: i64) -> (bool, BTreeMap<&'a str, (i64, Vec<Run>)>) {
    let mut is_worth_writing = false;
    let mut seen = BTreeMap::new();
    for it in found {
        let old = state.jobs.get(it.name).filter(|old| old.id == it.id).cloned();
        let mut new = old.clone().unwrap_or_else(|| Memory::new(it.id, it.success, now));
        let news = new.note(&it.listing, now);
        is_worth_writing |= old.is_none_or(|old| new.is_worth_writing(&old));
        seen.insert(it.name, (new.success, news));
        state.jobs.insert(it.name.to_owned(), new);
    }
    (is_worth_writing, seen)
}

/// What is told of one job.
fn metrics(active: &[Run], success: i64, news: &[Run], now: i64) -> [(&'static str, &'static str, Vec<i64>); 4] {
    let endings: Vec<(&Run, Ending)> = news.iter().filter_map(|it| Some((it, it.ending()?))).collect();
    let failed = endings.iter().filter(|it| it.1.is_failure()).count();
    let durations = endings.iter().filter(|it| it.1.has_duration()).map(|it| seconds(it.0.duration()));
    let age = active.iter().map(|it| seconds(now - it.start_time)).max();
    [
        // Zero is told as well: that nothing failed is knowledge, and lets an alarm end.
        ("RunsFailed", "Count", vec![i64::try_from(failed).unwrap_or(i64::MAX)]),
        ("RunDuration", "Seconds", durations.collect()),
        ("SecondsSinceLastSuccess", "Seconds", vec![seconds(now - success)]),
        ("ActiveRunAge", "Seconds", vec![age.unwrap_or(0)]),
    ]
}

/// Whole seconds; clocks that disagree make none negative.
fn seconds(millis: i64) -> i64 {
    millis.max(0) / 1000
}
