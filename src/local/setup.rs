//! Getting the software of the local cloud through its ordinary clients: pip and Maven.
//!
//! Each piece is made under another name and renamed when it is complete, so a set-up may be killed at any instant and
//! run again. Never touches data.

pub(crate) mod echarts;
pub(crate) mod kafka;
pub(crate) mod postgres;
pub(crate) mod python;

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use sha2::{Digest, Sha256};
use tokio::{join, process::Command, time::Instant, try_join};

use uuid::Uuid;

use super::{
    Progress,
    doctor::{self, Tools},
    error::{Error, Result},
    exec::Identity,
    files,
    home::Home,
};
use crate::turn;
use python::Python;

/// The longest that one piece may take to download.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);

/// The name of the file that says what a complete piece was made from.
const MARKER: &str = ".ecomctl-complete";

/// Gets what is missing, all at once; does nothing when all is there. Several processes may do this at a time.
pub(crate) async fn setup(home: &Home, progress: &(dyn Fn(Progress) + Sync)) -> Result<Tools> {
    let tools = doctor::tools(home).await.map_err(Error::Prerequisites)?;
    if is_complete(home).await {
        return Ok(tools);
    }
    if home.kafka().as_os_str().as_encoded_bytes().contains(&b':') {
        return Err(Error::Start {
            message: format!(
                "software cannot be installed in {}: Java and Python read `:` as the end of a path",
                home.kafka().display()
            ),
            help: "move the project, or name a directory for software without `:` in ECOMCTL_SOFTWARE".to_owned(),
        });
    }
    let lock = home.setup_lock();
    files::create_dir(lock.parent().unwrap_or(home.local()))?;
    let _turn = wait_for(&lock, progress).await?;
    // Another process may have got them meanwhile.
    let (has_cloud, has_spark, has_postgres) =
        join!(Python::Cloud.is_complete(home), Python::Spark.is_complete(home), postgres::is_complete(home));
    let environment = |it: Python, complete| {
        piece(complete, it.name(), "installing with pip", progress, it.make(home, &tools, progress))
    };
    let cloud = environment(Python::Cloud, has_cloud);
    let spark = environment(Python::Spark, has_spark);
    let kafka = piece(kafka::is_complete(home), "kafka", "downloading with Maven", progress, kafka::make(home, &tools));
    let postgres = piece(has_postgres, "postgres", "downloading with Maven", progress, postgres::make(home, &tools));
    try_join!(cloud, spark, kafka, postgres)?;
    Ok(tools)
}

/// Says whether all software is there.
async fn is_complete(home: &Home) -> bool {
    let pieces = join!(Python::Cloud.is_complete(home), Python::Spark.is_complete(home), postgres::is_complete(home));
    pieces == (true, true, true) && kafka::is_complete(home)
}

async fn piece(
    complete: bool,
    part: &'static str,
    message: &str,
    progress: &(dyn Fn(Progress) + Sync),
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    if complete {
        return Ok(());
    }
    let began = Instant::now();
    progress(Progress { part, message: message.to_owned(), done: None });
    work.await?;
    progress(Progress { part, message: "installed".to_owned(), done: Some(began.elapsed()) });
    Ok(())
}

/// Waits until no other process sets up.
async fn wait_for(path: &Path, progress: &(dyn Fn(Progress) + Sync)) -> Result<File> {
    let message = "waiting for another ecomctl that sets up".to_owned();
    let waiting = || progress(Progress { part: "setup", message, done: None });
    turn::take(path, waiting).await.map_err(|err| Error::io("lock", path.display(), err))
}

/// A command that ends at once when this program does, however that ends.
fn tool(home: &Home, program: &Path) -> Command {
    Identity::Same.command(home.program(), Signal::KILL, program)
}

/// Opens a file to lock it.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    turn::open(path).map_err(|err| Error::io("open", path.display(), err))
}

/// A directory that is being made; it gets its name when it is complete.
pub(crate) struct Draft {
    name: PathBuf,
    /// Where to make it.
    pub(crate) path: PathBuf,
}

impl Draft {
    /// Begins anew. What an interrupted attempt left is removed, as far as nothing of that attempt still writes to it.
    pub(crate) fn begin(name: PathBuf) -> Result<Self> {
        let dir = name.parent().unwrap_or(Path::new("."));
        let prefix = format!("{}.new-", name.file_name().unwrap_or_default().display());
        for left in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if left.file_name().to_string_lossy().starts_with(&prefix) {
                files::remove(&left.path()).ok();
            }
        }
        let path = dir.join(format!("{prefix}{}", Uuid::new_v4().simple()));
        files::create_dir(&path)?;
        Ok(Self { name, path })
    }

    /// Gives it its name, in place of what had it before.
    pub(crate) fn complete(self, inputs: &str) -> Result<()> {
        files::write(&self.path.join(MARKER), hash(inputs).as_bytes())?;
        files::remove(&self.name)?;
        files::rename(&self.path, &self.name)
    }
}

/// Says whether a directory was made from these inputs, to its end.
pub(crate) fn is_made_from(path: &Path, inputs: &str) -> bool {
    std::fs::read(path.join(MARKER)).is_ok_and(|it| it == hash(inputs).as_bytes())
}

fn hash(inputs: &str) -> String {
    Sha256::digest(inputs).iter().map(|it| format!("{it:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_completed_from_the_same_inputs_counts() {
        let dir = tempfile::tempdir().expect("directory");
        let name = dir.path().join("piece");
        let interrupted = Draft::begin(name.clone()).expect("begin");
        std::fs::write(interrupted.path.join("half"), "").expect("write");
        assert!(!is_made_from(&name, "a"));

        let again = Draft::begin(name.clone()).expect("begin again");
        assert!(!interrupted.path.exists());
        again.complete("a").expect("complete");
        assert!(is_made_from(&name, "a"));
        assert!(!is_made_from(&name, "b"));

        Draft::begin(name.clone()).expect("begin").complete("b").expect("replace");
        assert!(is_made_from(&name, "b"));
    }
}
