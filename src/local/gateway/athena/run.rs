//! One query, run by a Python process of its own (`worker.py`), whose end is the query's: it can be killed at any time,
//! and what it took of memory is free again.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    fs,
    io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use super::record::{Blame, Column, Query};
use crate::local::gateway::upstream::{Upstream, segment};

/// The sources of the process.
const SOURCES: [(&str, &str); 6] = [
    ("worker.py", include_str!("worker.py")),
    ("catalog.py", include_str!("catalog.py")),
    ("dialect.py", include_str!("dialect.py")),
    ("statement.py", include_str!("statement.py")),
    ("typed.py", include_str!("typed.py")),
    ("rows.py", include_str!("rows.py")),
];
/// The memory that the engine may use for one query; what is larger fails and says so.
const MEMORY: &str = "1GiB";
/// The memory that the process may have in its address space, programs included: rows on their way, in bytes.
const ADDRESS_SPACE: u64 = 3 << 30;
/// The threads that the engine may use for one query.
const THREADS: u32 = 2;

/// What runs SQL, and where it finds tables.
#[derive(Clone, Debug)]
pub struct Sql {
    /// The Python of the environment that has the engine.
    pub python: PathBuf,
    /// A folder for the program and for results on their way.
    pub folder: PathBuf,
    /// The endpoint of all services, as `http://host:port`.
    pub endpoint: String,
    /// The account of all requests, 12 digits.
    pub account: String,
}

/// A query that ran to its end.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    /// The columns of the result.
    pub(super) columns: Vec<Column>,
    /// The bytes of the files that it read from.
    pub(super) scanned: u64,
}

/// Why a query failed, in Athena's words.
#[derive(Debug)]
pub(super) struct Failed {
    /// Who is to blame.
    pub(super) blame: Blame,
    /// What went wrong.
    pub(super) reason: String,
}

/// What the process answers.
#[derive(Debug, Deserialize)]
struct Answer {
    refused: Option<String>,
    failed: Option<String>,
    #[serde(flatten)]
    done: Option<Done>,
}

impl Failed {
    pub(super) fn internal(what: impl std::fmt::Display) -> Self {
        Self { blame: Blame::System, reason: format!("GENERIC_INTERNAL_ERROR: {what}") }
    }
}

impl Sql {
    /// Writes the program, and clears what a stopped supervisor left.
    pub(super) fn prepare(&self) -> std::io::Result<()> {
        let results = self.folder.join("results");
        if results.exists() {
            std::fs::remove_dir_all(&results)?;
        }
        std::fs::create_dir_all(&results)?;
        SOURCES.iter().try_for_each(|(name, text)| std::fs::write(self.folder.join(name), text))
    }

    /// Runs a query and puts its result where it belongs. Dropping the future ends the process.
    pub(super) async fn run(
        &self,
        id: &str,
        query: &Query,
        cloud: &Upstream,
        spare: &Spare,
    ) -> Result<(Done, Local), Failed> {
        let result = Scratch(self.folder.join("results").join(id));
        let process = match spare.take() {
            Some(it) => it,
            None => self.start()?,
        };
        let done = self.ask(process, query, &result.0).await;
        // Who asked once will ask again, and loading takes longer than most queries do.
        spare.fill(|| self.start().ok());
        let done = done?;
        let body = fs::read(&result.0).await.map_err(Failed::internal)?;
        let size = body.len();
        let tag = put(cloud, query, "", Bytes::from(body)).await?;
        // Athena's own is binary and not documented; this one says the same in JSON.
        let columns: Vec<Value> = done.columns.iter().map(Column::json).collect();
        put(cloud, query, ".metadata", Bytes::from(json!({ "ColumnInfo": columns }).to_string())).await?;
        Ok((done, Local { file: result, tag, size }))
    }

    /// Starts a process that loads the engine and waits for a query.
    fn start(&self) -> Result<Child, Failed> {
        let mut command = Command::new(&self.python);
        // Neither the environment nor the user's own packages reach it; its modules lie in the working directory.
        command.args(["-E", "-s", "-c", "import worker; worker.main()"]).current_dir(&self.folder).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8").env("TZ", "UTC");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().map_err(|err| {
            Failed::internal(format!("cannot start {}: {err}; `ecomctl local start` sets it up", self.python.display()))
        })
    }

    async fn ask(&self, mut process: Child, query: &Query, output: &Path) -> Result<Done, Failed> {
        let (input, answers) = (process.stdin.take(), process.stdout.take());
        // Held until the answer is there: the process ends with its input.
        let mut input = input.ok_or_else(|| Failed::internal("no input"))?;
        let request = json!({
            "sql": query.sql, "parameters": query.parameters, "database": query.database, "limit": query.limit,
            "endpoint": self.endpoint, "account": self.account, "region": query.region,
            "output": output, "memory": MEMORY, "address_space": ADDRESS_SPACE, "threads": THREADS,
        });
        let mut answer = String::new();
        let talk = async {
            input.write_all(format!("{request}\n").as_bytes()).await?;
            match answers {
                Some(it) => BufReader::new(it).read_line(&mut answer).await,
                None => Ok(0),
            }
        };
        let read = talk.await;
        if let Some(answer) = read.is_ok().then(|| serde_json::from_str::<Answer>(&answer).ok()).flatten() {
            drop(input);
            process.wait().await.ok();
            return match answer {
                Answer { refused: Some(reason), .. } => Err(Failed { blame: Blame::User, reason }),
                Answer { failed: Some(reason), .. } => Err(Failed { blame: Blame::System, reason }),
                Answer { done: Some(done), .. } => Ok(done),
                Answer { .. } => Err(Failed::internal("the engine answers with nothing")),
            };
        }
        let mut said = String::new();
        if let Some(mut errors) = process.stderr.take() {
            errors.read_to_string(&mut said).await.ok();
        }
        let ended = process.wait().await.map_or_else(|err| err.to_string(), |it| it.to_string());
        tracing::warn!("the SQL engine ended ({ended}) without an answer: {said}");
        let last = said.lines().rev().find(|it| !it.trim().is_empty()).unwrap_or_default().to_owned();
        Err(Failed::internal(format!("the SQL engine ended ({ended}) {last}")))
    }
}

/// A process that is ready for the next query. It holds some 100 MB, so it is given up when none comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Spare(Arc<Mutex<Option<(Instant, Child)>>>);

impl Spare {
    fn take(&self) -> Option<Child> {
        let (_, mut process) = self.slot().take()?;
        // It may have died of whatever ends processes.
        matches!(process.try_wait(), Ok(None)).then_some(process)
    }

    fn fill(&self, start: impl FnOnce() -> Option<Child>) {
        let mut slot = self.slot();
        if slot.is_none() {
            *slot = start().map(|it| (Instant::now(), it));
        }
    }

    /// Ends the process, unless it is younger than this.
    pub(super) async fn retire(&self, age: Duration) {
        let old = self.slot().take_if(|(since, _)| since.elapsed() >= age);
        if let Some((_, mut process)) = old {
            process.kill().await.ok();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<(Instant, Child)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A result that is still here: S3 gives a part of an object only after it has read all of it.
#[derive(Debug)]
pub(super) struct Local {
    file: Scratch,
    /// The tag that S3 gave it.
    tag: String,
    /// How long it is, in bytes.
    pub(super) size: usize,
}

impl Local {
    /// Says whether it is what S3 has under a tag.
    pub(super) fn is(&self, tag: &str) -> bool {
        self.tag == tag
    }

    /// Reads a part of it; nothing beyond its end.
    pub(super) async fn part(&self, from: usize, length: usize) -> std::io::Result<Bytes> {
        let mut file = fs::File::open(&self.file.0).await?;
        file.seek(SeekFrom::Start(from as u64)).await?;
        let mut part = Vec::with_capacity(length.min(self.size.saturating_sub(from)));
        file.take(length as u64).read_to_end(&mut part).await?;
        Ok(part.into())
    }
}

/// A file that is gone with this.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been written.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Splits `s3://bucket/key`.
pub(super) fn place(url: &str) -> Option<(&str, &str)> {
    let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
    (!bucket.is_empty()).then_some((bucket, key))
}

/// Encodes the path of an object.
pub(super) fn path(url: &str) -> String {
    let (bucket, key) = place(url).unwrap_or_default();
    let key: Vec<String> = key.split('/').map(segment).collect();
    format!("/{bucket}/{}", key.join("/"))
}

async fn put(cloud: &Upstream, query: &Query, ending: &str, body: Bytes) -> Result<String, Failed> {
    let url = format!("{}{ending}", query.output);
    let mut request = cloud.request("PUT", &path(&url), "s3", &query.region);
    request = request.header("content-type", if ending.is_empty() { "text/csv" } else { "application/json" });
    match query.encryption["EncryptionOption"].as_str() {
        Some("SSE_S3") => request = request.header("x-amz-server-side-encryption", "AES256"),
        Some("SSE_KMS") => {
            request = request.header("x-amz-server-side-encryption", "aws:kms");
            if let Some(key) = query.encryption["KmsKey"].as_str() {
                request = request.header("x-amz-server-side-encryption-aws-kms-key-id", key);
            }
        }
        _ => (),
    }
    let answer = cloud.send(request, body).await.map_err(Failed::internal)?;
    if answer.status.is_success() {
        return Ok(answer.tag());
    }
    let reason = format!("Insufficient permissions to write to {url}, or it is not there: {}", answer.refusal());
    Err(Failed { blame: Blame::User, reason })
}
