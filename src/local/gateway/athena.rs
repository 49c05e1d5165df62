//! Athena: queries are run for real, by `DuckDB` over the Delta tables that Glue lists. Workgroups, saved queries and tags
//! are the cloud's behind the gateway.
//!
//! The API is Athena's JSON 1.1 (Amazon Athena API reference). What differs from Athena: a statement that cannot be read
//! fails once it runs instead of being refused at once; `DataScannedInBytes` counts whole files; results are limited to
//! 256 MiB.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{select, sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

mod page;
mod record;
mod run;

pub use run::Sql;

use super::{
    call::{Call, Fault, Reply},
    record::Records,
    upstream::Upstream,
};
use record::{Blame, Queries, Query, State, Statement, forget};
use run::{Failed, Local, Spare};

/// How many queries run at a time; the others wait.
const AT_A_TIME: usize = 2;
/// The longest that a query may run: Athena's own limit for rows.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// How long a process waits for the next query.
const IDLE: Duration = Duration::from_secs(60);
/// How much of the latest results is kept beside S3, in bytes.
const KEPT: usize = 512 << 20;
/// How much of a result is read for a page, as long as that holds a whole row.
const CHUNK: usize = 1 << 20;
/// How many of the latest results are kept beside S3.
const MOST_KEPT: usize = 32;
/// The most rows of a page.
const MOST: usize = 1000;

/// Results that are kept here, by their queries' identifiers, the oldest first.
type LatestResults = VecDeque<(String, Arc<Local>)>;

/// The queries, and what runs them.
#[derive(Clone, Debug)]
pub(crate) struct AthenaApi {
    records: Arc<Records<Queries>>,
    cloud: Upstream,
    sql: Arc<Sql>,
    running: Arc<Mutex<HashMap<String, CancellationToken>>>,
    permits: Arc<Semaphore>,
    spare: Spare,
    local: Arc<Mutex<LatestResults>>,
    tasks: TaskTracker,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Start {
    query_string: String,
    client_request_token: Option<String>,
    #[serde(default)]
    query_execution_context: Context,
    #[serde(default)]
    result_configuration: Results,
    work_group: Option<String>,
    #[serde(default)]
    execution_parameters: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Context {
    database: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Results {
    output_location: Option<String>,
    encryption_configuration: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    query_execution_id: String,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    query_execution_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    work_group: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidRequestException", message)
}

impl AthenaApi {
    /// Reads what is remembered, and prepares to run what comes.
    pub(crate) fn open(records: PathBuf, sql: Sql, cloud: Upstream) -> std::io::Result<Self> {
        sql.prepare()?;
        Ok(Self {
            records: Arc::new(Records::open(records)?),
            cloud,
            sql: Arc::new(sql),
            running: Arc::default(),
            permits: Arc::new(Semaphore::new(AT_A_TIME)),
            spare: Spare::default(),
            local: Arc::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Says of the queries that a stopped supervisor left that they failed.
    pub(crate) async fn resume(&self) {
        let fail = |queries: &mut Queries| {
            for it in queries.values_mut().filter(|it| !it.state.is_final()) {
                it.end(Err(Failed::internal("the local cloud was stopped while the query ran")));
            }
            Ok(())
        };
        if self.records.now().values().any(|it| !it.state.is_final())
            && let Err(err) = self.records.change(fail).await
        {
            tracing::warn!("{err}");
        }
    }

    /// Ends all queries and waits until their processes are gone.
    pub(crate) async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        running.values().for_each(CancellationToken::cancel);
        self.tasks.close();
        self.tasks.wait().await;
        self.spare.retire(Duration::ZERO).await;
    }

    /// Answers what concerns queries; `target` is the operation, as `AmazonAthena.<Name>`.
    pub(crate) async fn answer(&self, target: &str, call: &Call) -> Result<Reply, Fault> {
        let document = match target.strip_prefix("AmazonAthena.").unwrap_or_default() {
            "StartQueryExecution" => self.start(input(call)?, &call.region).await?,
            "StopQueryExecution" => self.cancel(&input::<Asked>(call)?.query_execution_id)?,
            "GetQueryExecution" => {
                let id = input::<Asked>(call)?.query_execution_id;
                json!({ "QueryExecution": self.find(&id)?.json(&id) })
            }
            "BatchGetQueryExecution" => self.batch(&input(call)?),
            "ListQueryExecutions" => self.list(&input(call)?)?,
            "GetQueryResults" => self.results(&input(call)?).await?,
            _ => return Ok(Reply::Pass),
        };
        Ok(Reply::ok(document))
    }

    async fn start(&self, wanted: Start, region: &str) -> Result<Value, Fault> {
        let sql = wanted.query_string;
        if sql.trim().is_empty() || sql.len() > 262_144 {
            return Err(invalid("queryString must have between 1 and 262144 characters"));
        }
        let group = wanted.work_group.unwrap_or_else(|| "primary".to_owned());
        let settings = self.workgroup(&group, region).await?;
        let own = &settings["ResultConfiguration"];
        let enforced = settings["EnforceWorkGroupConfiguration"].as_bool().unwrap_or(true);
        let asked = wanted.result_configuration.output_location.filter(|_| !enforced);
        let location = asked.or_else(|| own["OutputLocation"].as_str().map(str::to_owned)).ok_or_else(|| {
            invalid(
                "No output location provided. An output location is required either through the Workgroup result \
                 configuration setting or as an API input.",
            )
        })?;
        self.check_bucket(&location, region).await?;
        let encryption = match wanted.result_configuration.encryption_configuration {
            it if !it.is_null() && !enforced => it,
            _ => own["EncryptionConfiguration"].clone(),
        };
        let (id, statement) = (Uuid::now_v7().to_string(), Statement::of(&sql));
        let query = Query {
            output: format!("{}/{id}.{}", location.trim_end_matches('/'), statement.ending()),
            parameters: wanted.execution_parameters,
            statement,
            database: wanted.query_execution_context.database.unwrap_or_else(|| "default".to_owned()),
            workgroup: group,
            region: region.to_owned(),
            encryption,
            limit: settings["BytesScannedCutoffPerQuery"].as_u64(),
            token: wanted.client_request_token,
            state: State::Queued,
            reason: None,
            blame: None,
            submitted: Timestamp::now(),
            began: None,
            ended: None,
            columns: Vec::new(),
            scanned: 0,
            sql,
        };
        let made = query.clone();
        let add = |queries: &mut Queries| {
            if let Some(token) = &made.token
                && let Some((id, it)) = queries.iter().find(|(_, it)| it.token.as_ref() == Some(token))
            {
                let same = it.sql == made.sql && it.workgroup == made.workgroup && it.database == made.database;
                let differs = || invalid("Idempotent parameters do not match the token's first request");
                return if same { Ok(id.clone()) } else { Err(differs()) };
            }
            queries.insert(id.clone(), made);
            forget(queries);
            Ok(id.clone())
        };
        let known = self.records.change(add).await?;
        if known == id {
            let cancel = CancellationToken::new();
            self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), cancel.clone());
            self.tasks.spawn(self.clone().run(id, query, cancel));
        }
        Ok(json!({ "QueryExecutionId": known }))
    }

    /// Takes a query from its beginning to its end.
    async fn run(self, id: String, query: Query, cancel: CancellationToken) {
        let work = async {
            let _permit = self.permits.acquire().await.map_err(Failed::internal)?;
            self.note(&id, |it| (it.state, it.began) = (State::Running, Some(Timestamp::now()))).await;
            self.sql.run(&id, &query, &self.cloud, &self.spare).await
        };
        let ended = select! {
            it = work => Some(it),
            () = cancel.cancelled() => None,
            () = sleep(LONGEST) => Some(Err(Failed { blame: Blame::User, reason: "Query timeout".to_owned() })),
        };
        match ended {
            Some(it) => {
                let done = it.map(|(done, local)| {
                    self.keep(id.clone(), local);
                    done
                });
                self.note(&id, |query| query.end(done)).await;
            }
            None => self.note(&id, Query::cancel).await,
        }
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        tokio::spawn(async move {
            sleep(IDLE).await;
            self.spare.retire(IDLE).await;
        });
    }

    /// Keeps a result here for who reads it page by page, and gives up the oldest for it.
    fn keep(&self, id: String, result: Local) {
        let mut all = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back((id, Arc::new(result)));
        while all.iter().map(|it| it.1.size).sum::<usize>() > KEPT || all.len() > MOST_KEPT {
            all.pop_front();
        }
    }

    /// Finds a result that is kept here and still what S3 has.
    async fn kept(&self, id: &str, query: &Query) -> Option<Arc<Local>> {
        let found = {
            let all = self.local.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().find(|it| it.0 == id).map(|it| Arc::clone(&it.1))?
        };
        let request = self.cloud.request("HEAD", &run::path(&query.output), "s3", &query.region);
        let answer = self.cloud.send(request, Bytes::new()).await.ok()?;
        (answer.status.is_success() && found.is(&answer.tag())).then_some(found)
    }

    async fn note(&self, id: &str, change: impl FnOnce(&mut Query)) {
        let noted = self.records.change(|queries| {
            if let Some(it) = queries.get_mut(id) {
                change(it);
            }
            Ok(())
        });
        if let Err(err) = noted.await {
            tracing::warn!("{err}");
        }
    }

    fn find(&self, id: &str) -> Result<Query, Fault> {
        let none = || invalid(format!("QueryExecution {id} was not found"));
        self.records.now().get(id).cloned().ok_or_else(none)
    }

    /// Cancels a query; one that is over stays as it is.
    fn cancel(&self, id: &str) -> Result<Value, Fault> {
        self.find(id)?;
        if let Some(it) = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            it.cancel();
        }
        Ok(json!({}))
    }

    fn batch(&self, asked: &Batch) -> Value {
        let now = self.records.now();
        let (known, unknown): (Vec<_>, Vec<_>) = asked.query_execution_ids.iter().partition(|it| now.contains_key(*it));
        let unknown = unknown.iter().map(|it| {
            json!({ "QueryExecutionId": it, "ErrorCode": "INVALID_INPUT", "ErrorMessage": format!("Query {it} was not found") })
        });
        json!({
            "QueryExecutions": known.iter().map(|it| now[*it].json(it)).collect::<Vec<_>>(),
            "UnprocessedQueryExecutionIds": unknown.collect::<Vec<_>>(),
        })
    }

    /// Lists the queries of a workgroup, the newest first. The token is the last identifier of the page before.
    fn list(&self, asked: &Listed) -> Result<Value, Fault> {
        let most = asked.max_results.unwrap_or(50);
        if !(1..=50).contains(&most) {
            return Err(invalid("MaxResults must be between 1 and 50"));
        }
        let group = asked.work_group.as_deref().unwrap_or("primary");
        let now = self.records.now();
        let older = |id: &String| asked.next_token.as_ref().is_none_or(|token| id < token);
        let mut ids = now.iter().rev().filter(|(id, it)| it.workgroup == group && older(id)).map(|it| it.0);
        let page: Vec<&String> = ids.by_ref().take(most).collect();
        let next = ids.next().and_then(|_| page.last().copied());
        Ok(with_token(json!({ "QueryExecutionIds": page }), next.cloned()))
    }

    /// Reads a page of a result from where it was put: with a result that is gone, this fails, as Athena's does.
    async fn results(&self, asked: &Asked) -> Result<Value, Fault> {
        let query = self.find(&asked.query_execution_id)?;
        match query.state {
            State::Succeeded => (),
            State::Queued | State::Running => {
                let now = json!(query.state);
                let now = now.as_str().unwrap_or_default();
                return Err(invalid(format!("Query has not yet finished. Current state: {now}")));
            }
            State::Failed | State::Cancelled => {
                let reason = query.reason.unwrap_or_default();
                return Err(invalid(format!(
                    "Query did not finish successfully. Final query state: {:?}: {reason}",
                    query.state
                )));
            }
        }
        let most = asked.max_results.unwrap_or(MOST);
        if !(1..=MOST).contains(&most) {
            return Err(invalid(format!("MaxResults must be between 1 and {MOST}")));
        }
        let from: usize =
            asked.next_token.as_deref().map_or(Ok(0), str::parse).map_err(|_| invalid("NextToken is invalid"))?;
        let read = if query.statement == Statement::Dml { page::csv } else { page::lines };
        let local = self.kept(&asked.query_execution_id, &query).await;
        let (mut bytes, mut size) = (Vec::new(), CHUNK);
        let (page, more) = loop {
            let part = self.part(&query, local.as_deref(), from + bytes.len(), size).await?;
            let last = part.len() < size;
            bytes.extend_from_slice(&part);
            let parsed = tokio::task::spawn_blocking(move || (read(&bytes, most), bytes)).await;
            let (page, read) = parsed.map_err(|err| Fault::new(500, "InternalServerException", err.to_string()))?;
            // A page ends with the rows that are whole: only of a row that is larger than that more is read, twice as much
            // each time, since it is parsed from its beginning.
            if last || !page.rows.is_empty() {
                let more = page.length < read.len() || !last;
                break (page, more);
            }
            (bytes, size) = (read, size * 2);
        };
        let next = more.then(|| (from + page.length).to_string());
        let columns: Vec<Value> = query.columns.iter().map(record::Column::json).collect();
        let set = json!({ "Rows": page.json(), "ResultSetMetadata": { "ColumnInfo": columns } });
        Ok(with_token(json!({ "UpdateCount": 0, "ResultSet": set }), next))
    }

    /// Reads a part of a result's file; nothing beyond its end.
    async fn part(&self, query: &Query, local: Option<&Local>, from: usize, size: usize) -> Result<Bytes, Fault> {
        if let Some(local) = local {
            let read = local.part(from, size).await;
            return read.map_err(|err| Fault::new(500, "InternalServerException", err.to_string()));
        }
        let request = self.cloud.request("GET", &run::path(&query.output), "s3", &query.region);
        let request = request.header("range", format!("bytes={from}-{}", from + size - 1));
        let answer = self.cloud.send(request, Bytes::new()).await;
        let answer = answer.map_err(|err| Fault::new(500, "InternalServerException", err.to_string()))?;
        match answer.status.as_u16() {
            206 => Ok(answer.body),
            // It has no bytes from there on, or none at all.
            200 if from == 0 => Ok(answer.body),
            416 => Ok(Bytes::new()),
            _ => Err(invalid(format!("cannot read the result at {}: {}", query.output, answer.refusal()))),
        }
    }

    /// Returns a workgroup's configuration; refuses one that is not there, or disabled.
    async fn workgroup(&self, name: &str, region: &str) -> Result<Value, Fault> {
        let sent = self.cloud.ask("athena", region, "AmazonAthena.GetWorkGroup", &json!({ "WorkGroup": name })).await;
        let answer = sent.map_err(|err| Fault::new(500, "InternalServerException", err.to_string()))?;
        if !answer.status.is_success() {
            return Err(invalid(format!("WorkGroup {name} is not found.")));
        }
        let group = answer.json()["WorkGroup"].take();
        if group["State"] == "DISABLED" {
            return Err(invalid(format!("WorkGroup {name} is disabled.")));
        }
        Ok(group["Configuration"].clone())
    }

    async fn check_bucket(&self, location: &str, region: &str) -> Result<(), Fault> {
        let location = format!("{}/", location.trim_end_matches('/'));
        let (bucket, _) = run::place(&location).ok_or_else(|| invalid(format!("{location} is not an S3 location")))?;
        let request = self.cloud.request("HEAD", &format!("/{bucket}"), "s3", region);
        let answer = self.cloud.send(request, Bytes::new()).await;
        if answer.is_ok_and(|it| it.status.is_success()) {
            return Ok(());
        }
        Err(invalid(format!("Unable to verify/create output bucket {bucket}")))
    }
}

impl Query {
    fn end(&mut self, ended: Result<run::Done, Failed>) {
        self.ended = Some(Timestamp::now());
        match ended {
            Ok(it) => (self.state, self.columns, self.scanned) = (State::Succeeded, it.columns, it.scanned),
            Err(it) => (self.state, self.reason, self.blame) = (State::Failed, Some(it.reason), Some(it.blame)),
        }
    }

    fn cancel(&mut self) {
        let reason = "Query was cancelled by the client".to_owned();
        (self.state, self.reason, self.ended) = (State::Cancelled, Some(reason), Some(Timestamp::now()));
    }
}

fn input<T: serde::de::DeserializeOwned>(call: &Call) -> Result<T, Fault> {
    call.input().map_err(|err| invalid(err.message))
}

fn with_token(mut document: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        document["NextToken"] = next.into();
    }
    document
}
