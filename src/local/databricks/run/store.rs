//! All runs, each in a file of its own: `<run>/run.json`, beside its logs. The oldest that are over are forgotten.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use super::record::{Ending, Life, Run, State};
use crate::local::files;

/// How many runs that are over are kept.
const KEPT: usize = 1000;

/// All runs.
pub(crate) struct Runs {
    folder: PathBuf,
    all: RwLock<BTreeMap<i64, Arc<Run>>>,
    writing: tokio::sync::Mutex<()>,
}

impl Runs {
    /// Reads all runs, and says which cannot be read: one of them is no reason to serve none. Those that were under way when
    /// the server ended have failed; those in the queue still wait.
    pub(crate) fn open(folder: PathBuf) -> io::Result<(Self, Vec<String>)> {
        fs::create_dir_all(&folder)?;
        let (mut all, mut unreadable) = (BTreeMap::new(), Vec::new());
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path().join("run.json");
            let mut run = match files::read_json::<Run>(&path) {
                Ok(Some(it)) => it,
                // A folder without a record was made by a run that nobody was told of.
                Ok(None) => continue,
                Err(err) => {
                    unreadable.push(format!("run left out, its file stays: {err}"));
                    continue;
                }
            };
            if !run.state.life.is_over() && run.state.life != Life::Queued {
                let message = "The local cloud ended while the run was under way.";
                run.end(&State::over(Life::InternalError, Ending::Failed, message));
                files::write_json(&path, &run).map_err(io::Error::other)?;
            }
            all.insert(run.id, Arc::new(run));
        }
        Ok((Self { folder, all: RwLock::new(all), writing: tokio::sync::Mutex::new(()) }, unreadable))
    }

    /// The folder of a run.
    pub(crate) fn folder(&self, id: i64) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Looks a run up.
    pub(crate) fn find(&self, id: i64) -> Option<Arc<Run>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Looks a run up by one of its attempts at a task: with the places of the task and the attempt.
    pub(crate) fn find_attempt(&self, id: i64) -> Option<(Arc<Run>, usize, usize)> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().find_map(|run| {
            let mut tasks = run.tasks.iter().enumerate();
            let (task, attempt) =
                tasks.find_map(|(i, it)| Some((i, it.attempts.iter().position(|it| it.id == id)?)))?;
            Some((Arc::clone(run), task, attempt))
        })
    }

    /// All runs, the newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Run>> {
        let mut all: Vec<_> = self.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by_key(|it| std::cmp::Reverse((it.created, it.number)));
        all
    }

    /// Changes all at once: `choose` sees all runs and says which one is to be written. It is on disk before this
    /// returns.
    pub(crate) async fn decide<E>(
        &self,
        choose: impl FnOnce(&BTreeMap<i64, Arc<Run>>) -> Result<Run, E>,
    ) -> Result<io::Result<Arc<Run>>, E> {
        let _one_at_a_time = self.writing.lock().await;
        let run = {
            let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            choose(&all)?
        };
        Ok(self.write(run).await)
    }

    /// Changes one run, if it is there still.
    pub(crate) async fn change(&self, id: i64, change: impl FnOnce(&mut Run)) -> Option<Arc<Run>> {
        let _one_at_a_time = self.writing.lock().await;
        let mut run = Run::clone(&*self.find(id)?);
        change(&mut run);
        match self.write(run).await {
            Ok(it) => Some(it),
            Err(err) => {
                tracing::warn!("cannot write run {id}: {err}");
                None
            }
        }
    }

    async fn write(&self, run: Run) -> io::Result<Arc<Run>> {
        let run = Arc::new(run);
        let (path, document) = (self.folder(run.id).join("run.json"), Arc::clone(&run));
        let written = tokio::task::spawn_blocking(move || files::write_json(&path, &*document)).await;
        written.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(run.id, Arc::clone(&run));
        self.forget();
        Ok(run)
    }

    /// Removes a run that is over, with its logs.
    pub(crate) async fn remove(&self, id: i64) {
        let _one_at_a_time = self.writing.lock().await;
        self.drop_files(id);
        self.all.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn forget(&self) {
        let over: Vec<i64> =
            self.all().iter().filter(|it| it.state.life.is_over()).skip(KEPT).map(|it| it.id).collect();
        for id in over {
            self.drop_files(id);
            self.all.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }

    fn drop_files(&self, id: i64) {
        if let Err(err) = files::remove(&self.folder(id)) {
            tracing::warn!("{err}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::record::{Attempt, TaskRun},
        *,
    };

    fn run(id: i64, life: Life) -> Run {
        let task = TaskRun { key: "a".to_owned(), attempts: vec![Attempt::new(life)] };
        let run = json!({
            "id": id, "job": 1, "number": 1, "creator": "x", "submitted": false, "trigger": "ONE_TIME", "settings": {},
            "parameters": {}, "created": id, "state": { "life": life, "result": null, "message": "" }, "tasks": [task],
        });
        serde_json::from_value(run).expect("a run")
    }

    #[tokio::test]
    async fn a_run_that_was_under_way_when_all_ended_has_failed() {
        let dir = tempfile::tempdir().expect("directory");
        let (runs, _) = Runs::open(dir.path().to_owned()).expect("runs");
        for it in [run(1, Life::Running), run(2, Life::Queued)] {
            runs.decide(|_| Ok::<_, ()>(it)).await.expect("decided").expect("written");
        }
        std::mem::forget(runs);
        let broken = dir.path().join("3");
        fs::create_dir(&broken).expect("a folder");
        fs::write(broken.join("run.json"), "{\"id\": 3").expect("a file that was cut");
        let (runs, left_out) = Runs::open(dir.path().to_owned()).expect("again");
        assert_eq!(left_out.len(), 1, "{left_out:?}");
        assert!(left_out[0].contains("3/run.json"), "{left_out:?}");
        assert_eq!(fs::read_to_string(broken.join("run.json")).expect("kept"), "{\"id\": 3");
        let (first, second) = (runs.find(1).expect("first"), runs.find(2).expect("second"));
        assert_eq!((first.state.life, first.state.result), (Life::InternalError, Some(Ending::Failed)));
        assert_eq!(first.tasks[0].state().map(|it| it.life), Some(Life::InternalError));
        assert!(first.ended.is_some());
        assert_eq!(second.state.life, Life::Queued);
    }

    #[tokio::test]
    async fn attempts_are_found_and_old_runs_forgotten() {
        let dir = tempfile::tempdir().expect("directory");
        let (runs, _) = Runs::open(dir.path().to_owned()).expect("runs");
        let last = i64::try_from(KEPT).expect("a number") + 1;
        for id in [1, last] {
            runs.decide(|_| Ok::<_, ()>(run(id, Life::Terminated))).await.expect("decided").expect("written");
        }
        let attempt = runs.find(1).expect("run").tasks[0].attempts[0].id;
        let found = runs.find_attempt(attempt).map(|(run, task, attempt)| (run.id, task, attempt));
        assert_eq!(found, Some((1, 0, 0)));
        {
            let mut all = runs.all.write().expect("runs");
            (2..last).for_each(|id| drop(all.insert(id, Arc::new(run(id, Life::Terminated)))));
        }
        runs.change(last, |it| it.number = 2).await.expect("changed");
        assert!(runs.find(1).is_none() && !dir.path().join("1").exists());
        assert!(runs.find(2).is_some() && runs.find(last).is_some());
    }
}
