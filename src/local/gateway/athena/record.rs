//! What the gateway remembers of queries, and how Athena's API shows it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How many queries are remembered. Athena forgets them after 45 days.
const HISTORY: usize = 300;

/// The queries by their identifiers, which sort by time.
pub(super) type Queries = BTreeMap<String, Query>;

/// One execution of a statement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Query {
    /// The statement, as it was given.
    pub(super) sql: String,
    /// The values of its placeholders.
    pub(super) parameters: Vec<String>,
    /// What kind of statement it is.
    pub(super) statement: Statement,
    /// The database of names without one.
    pub(super) database: String,
    /// The workgroup that it runs in.
    pub(super) workgroup: String,
    /// The region that was asked.
    pub(super) region: String,
    /// Where the result goes, as `s3://bucket/key`.
    pub(super) output: String,
    /// How the result is encrypted, as the API has it.
    pub(super) encryption: Value,
    /// How many bytes it may read.
    pub(super) limit: Option<u64>,
    /// The token by which a repeated request is recognised.
    pub(super) token: Option<String>,
    /// How far it is.
    pub(super) state: State,
    /// Why it failed or was cancelled.
    pub(super) reason: Option<String>,
    /// Whether the statement is to blame for the failure.
    pub(super) blame: Option<Blame>,
    /// When it was submitted.
    pub(super) submitted: Timestamp,
    /// When it began to run.
    pub(super) began: Option<Timestamp>,
    /// When it came to its end.
    pub(super) ended: Option<Timestamp>,
    /// The columns of the result.
    pub(super) columns: Vec<Column>,
    /// The bytes of the tables' files that it read from.
    pub(super) scanned: u64,
}

/// The kinds of statements that Athena tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Statement {
    /// It asks for rows.
    Dml,
    /// It makes or drops something.
    Ddl,
    /// It asks for what is known.
    Utility,
}

/// The states of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    /// It waits for others to end.
    Queued,
    /// It runs.
    Running,
    /// Its result is there.
    Succeeded,
    /// It came to nothing.
    Failed,
    /// Somebody, or a limit, ended it.
    Cancelled,
}

/// Who is to blame for a failure: `ErrorCategory` in Athena's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Blame {
    /// Athena.
    System = 1,
    /// The statement.
    User = 2,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// Its type, as Athena calls it.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The digits that it holds.
    pub(super) precision: i64,
    /// Those after the point.
    pub(super) scale: i64,
}

impl State {
    /// Says whether it will change no more.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl Statement {
    /// Tells by the first word.
    pub(super) fn of(sql: &str) -> Self {
        let mut rest = sql;
        loop {
            rest = rest.trim_start_matches(|it: char| it.is_whitespace() || it == '(');
            let behind = match (rest.starts_with("--"), rest.starts_with("/*")) {
                (true, _) => rest.split_once('\n'),
                (_, true) => rest.split_once("*/"),
                _ => break,
            };
            rest = behind.map_or("", |it| it.1);
        }
        let word = rest.split(|it: char| !it.is_alphabetic()).next().unwrap_or_default();
        match word.to_lowercase().as_str() {
            "create" | "drop" | "alter" | "msck" => Self::Ddl,
            "show" | "describe" | "desc" | "explain" => Self::Utility,
            _ => Self::Dml,
        }
    }

    /// The end of the result's name: rows as CSV, everything else as lines of text.
    pub(super) const fn ending(self) -> &'static str {
        if matches!(self, Self::Dml) { "csv" } else { "txt" }
    }
}

impl Query {
    /// Shows it as `GetQueryExecution` does.
    pub(super) fn json(&self, id: &str) -> Value {
        let seconds = |it: Timestamp| it.as_duration().as_secs_f64();
        let millis = |from: Option<Timestamp>, to: Option<Timestamp>| {
            let (from, to) = (from?, to.unwrap_or_else(Timestamp::now));
            Some(to.as_millisecond().saturating_sub(from.as_millisecond()).max(0))
        };
        let mut status = json!({ "State": self.state, "SubmissionDateTime": seconds(self.submitted) });
        if let Some(ended) = self.ended {
            status["CompletionDateTime"] = seconds(ended).into();
        }
        if let Some(reason) = &self.reason {
            status["StateChangeReason"] = reason.as_str().into();
        }
        if let Some(blame) = self.blame {
            status["AthenaError"] =
                json!({ "ErrorCategory": blame as i32, "Retryable": false, "ErrorMessage": self.reason });
        }
        let mut results = json!({ "OutputLocation": self.output });
        if !self.encryption.is_null() {
            results["EncryptionConfiguration"] = self.encryption.clone();
        }
        json!({
            "QueryExecutionId": id,
            "Query": self.sql,
            "StatementType": self.statement,
            "ResultConfiguration": results,
            "QueryExecutionContext": { "Database": self.database, "Catalog": "awsdatacatalog" },
            "ExecutionParameters": self.parameters,
            "Status": status,
            "Statistics": {
                "EngineExecutionTimeInMillis": millis(self.began, self.ended).unwrap_or_default(),
                "QueryQueueTimeInMillis": millis(Some(self.submitted), self.began.or(self.ended)),
                "TotalExecutionTimeInMillis": millis(Some(self.submitted), self.ended),
                "DataScannedInBytes": self.scanned,
                "ResultReuseInformation": { "ReusedPreviousResult": false },
            },
            "WorkGroup": self.workgroup,
            "EngineVersion": {
                "SelectedEngineVersion": "Athena engine version 3",
                "EffectiveEngineVersion": "Athena engine version 3",
            },
        })
    }
}

impl Column {
    /// Shows it as `GetQueryResults` does.
    pub(super) fn json(&self) -> Value {
        json!({
            "CatalogName": "hive",
            "SchemaName": "",
            "TableName": "",
            "Name": self.name,
            "Label": self.name,
            "Type": self.kind,
            "Precision": self.precision,
            "Scale": self.scale,
            "Nullable": "UNKNOWN",
            "CaseSensitive": matches!(self.kind.as_str(), "varchar" | "char"),
        })
    }
}

/// Forgets the oldest queries that are over, where there are too many.
pub(super) fn forget(queries: &mut Queries) {
    let over: Vec<String> = queries.iter().filter(|(_, it)| it.state.is_final()).map(|it| it.0.clone()).collect();
    let many = queries.len().saturating_sub(HISTORY);
    over.iter().take(many).for_each(|it| drop(queries.remove(it)));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A query that was submitted and has not begun.
    pub(in super::super) fn query(sql: &str) -> Query {
        Query {
            sql: sql.to_owned(),
            parameters: Vec::new(),
            statement: Statement::of(sql),
            database: "gold".into(),
            workgroup: "w".into(),
            region: "us-east-1".into(),
            output: "s3://b/athena/1.csv".into(),
            encryption: Value::Null,
            limit: None,
            token: None,
            state: State::Queued,
            reason: None,
            blame: None,
            submitted: "2026-01-01T00:00:00Z".parse().expect("a time"),
            began: None,
            ended: None,
            columns: Vec::new(),
            scanned: 0,
        }
    }

    #[test]
    fn statements_are_told_apart() {
        for (sql, statement) in [
            ("  (SELECT 1)", Statement::Dml),
            ("with x as (select 1) select * from x", Statement::Dml),
            ("SHOW TABLES", Statement::Utility),
            ("DROP TABLE x", Statement::Ddl),
            ("-- of an editor\n /* and\nanother */ show tables", Statement::Utility),
            ("-- nothing but that", Statement::Dml),
        ] {
            assert_eq!(Statement::of(sql), statement, "{sql}");
        }
    }

    #[test]
    fn a_failure_is_told_in_both_places() {
        let failed = Query {
            state: State::Failed,
            reason: Some("TABLE_NOT_FOUND: line 1:15: no".into()),
            blame: Some(Blame::User),
            ended: Some("2026-01-01T00:00:01.5Z".parse().expect("a time")),
            ..query("select * from x")
        };
        let shown = failed.json("1");
        assert_eq!(shown["Status"]["State"], "FAILED");
        assert_eq!(shown["Status"]["StateChangeReason"], shown["Status"]["AthenaError"]["ErrorMessage"]);
        assert_eq!(shown["Status"]["AthenaError"]["ErrorCategory"], 2);
        assert_eq!(shown["Statistics"]["TotalExecutionTimeInMillis"], 1500);
    }

    #[test]
    fn only_what_is_over_is_forgotten_and_the_oldest_first() {
        let over = Query { state: State::Succeeded, ..query("select 1") };
        let mut queries: Queries = (0..HISTORY + 5).map(|it| (format!("{it:04}"), over.clone())).collect();
        queries.insert("0000".into(), query("select 2"));
        forget(&mut queries);
        assert_eq!(queries.len(), HISTORY);
        assert!(queries.contains_key("0000") && !queries.contains_key("0005") && queries.contains_key("0006"));
    }
}
