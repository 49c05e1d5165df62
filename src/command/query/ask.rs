//! One statement through Athena's API: submitted, followed, and its rows fetched.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_athena::types::{QueryExecution, QueryExecutionContext, QueryExecutionState, Row};
use miette::{Diagnostic, NamedSource, SourceSpan};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{self, Reason, aws::Aws},
    command::{Error, Exit},
    report::{
        human,
        rows::{self, Column},
        terminal::harmless,
    },
    stack,
};

/// How soon a statement is looked at again: ever later, up to a limit.
const SOON: Duration = Duration::from_millis(40);
const LATE: Duration = Duration::from_secs(1);

/// A statement, and how it is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The statement.
    pub sql: &'a str,
    /// The workgroup's name at the provider.
    pub workgroup: &'a str,
    /// The database of names without one.
    pub database: Option<&'a str>,
    /// How many rows are fetched; `None` for all.
    pub limit: Option<usize>,
}

/// The rows of a statement.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, as text; `None` for NULL.
    pub rows: Vec<rows::Row>,
}

/// What takes rows as they are fetched: the columns, and some rows.
pub(super) type Taker<'a> = &'a mut (dyn FnMut(&[Column], Vec<rows::Row>) + Send);

/// What is known of a statement once its rows were fetched.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// How many rows were fetched.
    pub count: usize,
    /// Whether there are more rows than were fetched.
    pub more: bool,
    /// Where all rows lie.
    pub output: String,
    /// How much was read, in bytes.
    pub scanned: u64,
    /// How long it took, in milliseconds.
    pub millis: i64,
}

/// A statement that failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the query failed: {reason}")]
#[diagnostic(code(query::failed))]
pub struct Failed {
    /// Why, in Athena's words.
    pub reason: String,
    #[source_code]
    sql: NamedSource<String>,
    #[label("here")]
    place: Option<SourceSpan>,
    #[help]
    help: Option<String>,
}

/// A statement that was cancelled.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the query was cancelled: {reason}")]
#[diagnostic(code(query::cancelled))]
struct Cancelled {
    reason: String,
}

/// Why a statement gave no rows.
#[derive(Debug)]
pub enum Fault {
    /// It ran, and failed.
    Ran(Failed),
    /// It was not taken.
    Refused(Failed),
    /// It is not its own fault.
    Other(Error),
}

impl From<Error> for Fault {
    fn from(it: Error) -> Self {
        Self::Other(it)
    }
}

impl From<client::Error> for Fault {
    fn from(it: client::Error) -> Self {
        Self::Other(it.into())
    }
}

/// Runs a statement of the program's own or of a file, as [`answer`] does.
///
/// # Errors
/// Says why the statement failed, as a mistake of who wrote it, or what the provider refused.
pub async fn ask(
    aws: &Aws,
    question: &Question<'_>,
    cancel: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Answer, Error> {
    let mut all = Answer::default();
    let mut take = |columns: &[Column], rows: Vec<rows::Row>| {
        all.columns = columns.to_vec();
        all.rows.extend(rows);
    };
    answer(aws, question, cancel, tell, &mut take).await.map_err(|it| match it {
        Fault::Ran(it) | Fault::Refused(it) => Error::new(Exit::Usage, it),
        Fault::Other(it) => it,
    })?;
    Ok(all)
}

/// Runs a statement and gives its rows away as they are fetched. Cancelling ends the statement at the provider, too, and
/// the fetching.
///
/// # Errors
/// Says why the statement failed, or what the provider refused.
pub(super) async fn answer(
    aws: &Aws,
    question: &Question<'_>,
    cancel: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
    take: Taker<'_>,
) -> Result<Told, Fault> {
    // A repeated request, after an answer that was lost, is recognised by the token that the SDK adds.
    let context = QueryExecutionContext::builder().set_database(question.database.map(str::to_owned)).build();
    let request = aws.athena().start_query_execution().query_string(question.sql).work_group(question.workgroup);
    let sent = request.query_execution_context(context).send().await;
    let started =
        sent.map_err(client::Error::aws("athena", "StartQueryExecution")).map_err(|err| refused(err, question))?;
    let none = || client::Error::new("athena", "StartQueryExecution", Reason::Other, "the answer names no query");
    let id = started.query_execution_id.ok_or_else(none)?;
    let query = follow(aws, &id, cancel, tell).await?;
    let status = query.status();
    let reason = || status.and_then(|it| it.state_change_reason()).unwrap_or("no reason was given").to_owned();
    match status.and_then(|it| it.state()) {
        Some(QueryExecutionState::Succeeded) => {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    stop(aws, &id).await?;
                    let reason = "its rows were no longer wanted".to_owned();
                    Err(Error::new(Exit::Incomplete, Cancelled { reason }).into())
                }
                it = fetch(aws, &id, &query, question.limit, take) => Ok(it?),
            }
        }
        Some(QueryExecutionState::Cancelled) => {
            Err(Error::new(Exit::Incomplete, Cancelled { reason: reason() }).into())
        }
        _ => {
            let system = status.and_then(|it| it.athena_error()).and_then(|it| it.error_category()) == Some(1);
            let failed = Failed::new(reason(), question.sql);
            Err(if system { Error::new(Exit::Failed, failed).into() } else { Fault::Ran(failed) })
        }
    }
}

/// Looks at a statement until it is over.
async fn follow(
    aws: &Aws,
    id: &str,
    cancel: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<QueryExecution, Error> {
    let (mut pause, mut cancelled) = (SOON, false);
    loop {
        let sent = aws.athena().get_query_execution().query_execution_id(id).send().await;
        let found = sent.map_err(client::Error::aws("athena", "GetQueryExecution"))?;
        let query = found.query_execution.unwrap_or_else(|| QueryExecution::builder().build());
        match query.status().and_then(|it| it.state()) {
            Some(QueryExecutionState::Queued) => tell("the query waits for others"),
            Some(QueryExecutionState::Running) => tell("the query runs"),
            _ => return Ok(query),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => (),
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                stop(aws, id).await?;
            }
        }
        pause = (pause * 3 / 2).min(LATE);
    }
}

/// Tells the provider to end a statement; one that is over stays as it is.
async fn stop(aws: &Aws, id: &str) -> Result<(), Error> {
    let sent = aws.athena().stop_query_execution().query_execution_id(id).send().await;
    sent.map_err(client::Error::aws("athena", "StopQueryExecution"))?;
    Ok(())
}

async fn fetch(
    aws: &Aws,
    id: &str,
    query: &QueryExecution,
    limit: Option<usize>,
    take: Taker<'_>,
) -> Result<Told, Error> {
    let statistics = query.statistics();
    let mut told = Told {
        count: 0,
        more: false,
        output: query.result_configuration().and_then(|it| it.output_location()).unwrap_or_default().to_owned(),
        scanned: statistics.and_then(|it| it.data_scanned_in_bytes()).and_then(|it| it.try_into().ok()).unwrap_or(0),
        millis: statistics.and_then(|it| it.total_execution_time_in_millis()).unwrap_or_default(),
    };
    // The first row of rows that were selected holds the names of the columns; other statements have no such row.
    let headed = query.statement_type() == Some(&aws_sdk_athena::types::StatementType::Dml);
    let (mut token, mut first, mut columns) = (None, true, Vec::new());
    loop {
        let request = aws.athena().get_query_results().query_execution_id(id).set_next_token(token);
        let page = request.send().await.map_err(client::Error::aws("athena", "GetQueryResults"))?;
        let Some(set) = page.result_set else { break };
        if first {
            let found = set.result_set_metadata().map(|it| it.column_info()).unwrap_or_default();
            columns = found.iter().map(|it| Column { name: it.name.clone(), kind: it.r#type.clone() }).collect();
        }
        let left = limit.map_or(usize::MAX, |it| it - told.count);
        let mut rows: Vec<rows::Row> =
            set.rows().iter().skip(usize::from(first && headed)).map(|it| values(it, columns.len())).collect();
        first = false;
        token = page.next_token;
        told.more = rows.len() > left || rows.len() == left && token.is_some();
        rows.truncate(left);
        told.count += rows.len();
        take(&columns, rows);
        if told.more || token.is_none() {
            break;
        }
    }
    Ok(told)
}

/// Takes a row apart. What is no rows of a table comes as one text, its columns set off by tabs and filled with blanks.
fn values(row: &Row, columns: usize) -> rows::Row {
    match row.data() {
        [one] if columns > 1 => {
            let mut parts: Vec<_> = one.var_char_value().unwrap_or_default().split('\t').map(str::trim).collect();
            parts.resize(columns, "");
            parts.into_iter().map(|it| Some(it.to_owned())).collect()
        }
        data => data.iter().map(|it| it.var_char_value().map(str::to_owned)).collect(),
    }
}

/// Tells a statement that was refused from a request that failed.
fn refused(err: client::Error, question: &Question<'_>) -> Fault {
    match err.reason {
        Reason::Invalid => {
            let reason = err.message.strip_prefix("InvalidRequestException: ").unwrap_or(&err.message);
            Fault::Refused(Failed::new(reason.to_owned(), question.sql))
        }
        _ => err.into(),
    }
}

impl Failed {
    /// Points at the place that the reason names.
    fn new(reason: String, sql: &str) -> Self {
        let help = reason
            .starts_with("DELTA_LAKE_INVALID_TABLE")
            .then(|| "the table is listed, and nothing has been written to it: run the job that writes it".to_owned());
        let place = place(&reason, sql);
        // It may hold what the data hold, which does not steer a terminal.
        let reason = harmless(&reason).into_owned();
        Self { place, sql: NamedSource::new("query", sql.to_owned()), reason, help }
    }

    /// Says which tables there are, where the statement names none of them; `tables` are such as `gold.daily_sales`.
    pub(super) fn among(self, tables: &[String]) -> Self {
        let help = match self.reason.split_once(':').map(|it| it.0) {
            Some("SCHEMA_NOT_FOUND") => catalogs(self.sql.inner(), tables),
            Some("TABLE_NOT_FOUND") => {
                let quoted = self.reason.split('\'').nth(1).unwrap_or_default();
                let word = quoted.strip_prefix("awsdatacatalog.").unwrap_or(quoted);
                stack::nearest(word, tables.iter().map(String::as_str)).map(|it| format!("did you mean `{it}`?"))
            }
            _ => None,
        };
        Self { help: self.help.clone().or(help), ..self }
    }
}

/// Says how tables are named, by the example of one that the statement may mean.
fn catalogs(sql: &str, tables: &[String]) -> Option<String> {
    let words: BTreeSet<&str> = sql.split(|it: char| !it.is_alphanumeric() && it != '_').collect();
    let meant = tables.iter().find(|it| it.split_once('.').is_some_and(|it| words.contains(it.1)));
    let example = meant.or(tables.first())?;
    let all: BTreeSet<&str> = tables.iter().filter_map(|it| it.split_once('.')).map(|it| it.0).collect();
    let all: Vec<String> = all.into_iter().map(|it| format!("`{it}`")).collect();
    Some(format!(
        "tables are named with their catalog, such as `{example}`, or without it where `--database` names one; the \
         catalogs of this stack are: {}",
        human::list(&all),
    ))
}

/// Finds `line 2:7` in a reason, and that place in the statement: columns count characters from 1.
fn place(reason: &str, sql: &str) -> Option<SourceSpan> {
    let (line, rest) = reason.split_once("line ")?.1.split_once(':')?;
    let column: usize = rest.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()?;
    let line: usize = line.parse().ok()?;
    let before: usize = sql.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let text = sql.get(before..)?;
    let at = text.char_indices().nth(column.checked_sub(1)?).map_or(text.len(), |it| it.0);
    let word = text[at..].find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(text.len() - at);
    Some((before + at, word.max(1).min(sql.len() - before - at)).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        client::{
            aws::Target,
            databricks::testing::{Answer as Reply, Request, Server},
        },
        report::{self, Style},
    };

    /// Athena with a result that never ends.
    async fn endless() -> Server {
        Server::start(|it: &Request| {
            let answer = match it.headers["x-amz-target"].as_str() {
                "AmazonAthena.StartQueryExecution" => json!({ "QueryExecutionId": "q" }),
                "AmazonAthena.GetQueryExecution" => json!({ "QueryExecution": {
                    "QueryExecutionId": "q", "StatementType": "DML", "Status": { "State": "SUCCEEDED" },
                } }),
                "AmazonAthena.GetQueryResults" => json!({ "NextToken": "next", "ResultSet": {
                    "Rows": [{ "Data": [{ "VarCharValue": "1" }] }, { "Data": [{}] }],
                    "ResultSetMetadata": { "ColumnInfo": [{ "Name": "x", "Type": "integer" }] },
                } }),
                _ => json!({}),
            };
            Reply::Json(200, answer)
        })
        .await
    }

    async fn client(of: &Server) -> Aws {
        let keys = Some(("000000000000".into(), "x".into()));
        Aws::connect(&Target { region: "us-east-1".into(), endpoint: Some(of.host.clone()), keys }).await
    }

    #[tokio::test]
    async fn an_interrupt_ends_the_query_also_while_its_rows_are_fetched() {
        let server = endless().await;
        let (aws, cancel) = (client(&server).await, CancellationToken::new());
        let question = Question { sql: "select 1", workgroup: "w", database: None, limit: None };
        let (mut pages, stop) = (0, cancel.clone());
        let mut take = |columns: &[Column], rows: Vec<rows::Row>| {
            assert_eq!((columns.len(), rows.len()), (1, if pages == 0 { 1 } else { 2 }));
            pages += 1;
            if pages == 3 {
                stop.cancel();
            }
        };
        let ended = answer(&aws, &question, &cancel, &|_| (), &mut take).await;
        let Err(Fault::Other(err)) = ended else { panic!("{ended:?}") };
        assert_eq!(err.exit(), Exit::Incomplete);
        let asked = server.asked();
        let target = |it: &Request| it.headers["x-amz-target"].clone();
        assert_eq!(asked.last().map(target).as_deref(), Some("AmazonAthena.StopQueryExecution"));
        assert!(asked.len() <= 7, "nothing is fetched after that: {}", asked.len());
    }

    #[tokio::test]
    async fn a_limit_is_kept_across_pages() {
        let server = endless().await;
        let aws = client(&server).await;
        for (limit, pages) in [(1, 1), (2, 2), (3, 2)] {
            let question = Question { sql: "select 1", workgroup: "w", database: None, limit: Some(limit) };
            let (mut count, mut seen) = (0, 0);
            let mut take = |_: &[Column], rows: Vec<rows::Row>| (count, seen) = (count + rows.len(), seen + 1);
            let told = answer(&aws, &question, &CancellationToken::new(), &|_| (), &mut take).await.expect("rows");
            assert_eq!((count, seen, told.count, told.more), (limit, pages, limit, true));
        }
    }

    #[test]
    fn a_failure_points_at_its_place() {
        let sql = "select é,\n  totl\nfrom gold.daily_sales";
        let failed = Failed::new("COLUMN_NOT_FOUND: line 2:3: Column 'totl' cannot be resolved".into(), sql);
        insta::assert_snapshot!(report::error::text(&failed, Style::PLAIN), @"
        query::failed

          × the query failed: COLUMN_NOT_FOUND: line 2:3: Column 'totl' cannot be resolved
           ╭─[query:2:3]
         1 │ select é,
         2 │   totl
           ·   ──┬─
           ·     ╰── here
         3 │ from gold.daily_sales
           ╰────
        ");
        assert_eq!(place("line 9:1: x", sql), Some((sql.len(), 0).into()));
        assert_eq!(place("no line", sql), None);
    }

    #[test]
    fn a_table_that_is_not_found_is_suggested() {
        let tables = ["gold.daily_sales", "gold.order_facts", "silver.orders"].map(str::to_owned);
        let help = |reason: &str, sql: &str| Failed::new(reason.to_owned(), sql).among(&tables).help;
        assert_eq!(
            help("SCHEMA_NOT_FOUND: line 1:15: Schema 'default' does not exist", "select * from orders").as_deref(),
            Some(
                "tables are named with their catalog, such as `silver.orders`, or without it where `--database` names \
                 one; the catalogs of this stack are: `gold` and `silver`"
            )
        );
        let missing = "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.gold.daily_sale' does not exist";
        assert_eq!(help(missing, "").as_deref(), Some("did you mean `gold.daily_sales`?"));
        assert_eq!(help("COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved", "select x"), None);
    }
}
