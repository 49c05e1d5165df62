//! Tables: how many rows they hold, and which events wait or were rejected. Asked of the function that runs the
//! migrations, which is the only one with a way to the database that every target has.

use std::collections::BTreeMap;

use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde_json::json;

use super::{needed, of_kind};
use crate::{
    address::Address,
    client::Error,
    command::run::Run,
    engine::Observed,
    report::status::{Known, Tables},
    resource::function::LIVE,
};

/// The tables of events that wait for another begin like this.
const WAITING: &str = "waiting_";
/// The table of events that were not accepted.
const REJECTED: &str = "rejected_events";

/// What the function answers, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    /// Rows by table; none where counting took too long.
    tables: BTreeMap<String, Option<i64>>,
    /// Rejected events by reason, where the function tells.
    rejected: BTreeMap<String, i64>,
}

pub(super) async fn look(run: &Run, observed: &Observed) -> Known<Tables> {
    let mut all = Tables::default();
    for (schema, exists) in of_kind(run, observed, "schema") {
        let asked = match exists {
            Known::Known(_) => ask(run, observed, schema).await,
            Known::Unknown(why) => Err(why),
        };
        match asked {
            Ok(it) => {
                add(&mut all, it);
            }
            Err(why) => return Known::Unknown(why),
        }
    }
    Known::Known(all)
}

async fn ask(run: &Run, observed: &Observed, schema: &Address) -> Result<Answer, String> {
    let function = needed(run, schema, "function").next().ok_or_else(|| format!("{schema} names no function"))?;
    let physical = observed.names.get(function).map(|it| it.physical.clone());
    let physical = physical.ok_or_else(|| format!("{function} does not exist"))?;
    let payload = json!({ "action": "count", "schema": schema.name });
    let request =
        run.cx.aws.lambda().invoke().function_name(physical).qualifier(LIVE).payload(Blob::new(payload.to_string()));
    let answer = request.send().await.map_err(Error::aws("lambda", "Invoke")).map_err(|it| it.to_string())?;
    let body = answer.payload().map(Blob::as_ref).unwrap_or_default();
    read(body, answer.function_error().is_some()).map_err(|why| format!("{function} answered: {why}"))
}

/// Tells the tables of events that did not get through from those that hold the pipeline's result.
fn add(all: &mut Tables, answer: Answer) {
    for (table, rows) in answer.tables {
        match rows {
            Some(rows) if table.starts_with(WAITING) => all.waiting += rows,
            Some(rows) if table == REJECTED => all.rejected += rows,
            rows => drop(all.rows.insert(table, rows)),
        }
    }
    for (reason, events) in answer.rejected {
        *all.reasons.entry(reason).or_default() += events;
    }
}

/// Reads the answer. A function that failed answers with `errorMessage`, as Lambda's runtime API has it.
fn read(body: &[u8], failed: bool) -> Result<Answer, String> {
    if failed {
        let error: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        return Err(error["errorMessage"].as_str().unwrap_or("an error without a message").to_owned());
    }
    serde_json::from_slice(body).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_failures_told() {
        let body = br#"{"schema":"shop","applied":[],"drift":[],"tables":{"orders":3,"payments":null,
            "waiting_payments":1,"waiting_order_details":2,"rejected_events":4}}"#;
        let mut all = Tables::default();
        add(&mut all, read(body, false).expect("an answer"));
        assert_eq!(all.rows, [("orders".to_owned(), Some(3)), ("payments".to_owned(), None)].into());
        assert_eq!((all.waiting, all.rejected, all.reasons.len()), (3, 4, 0));
        let error = read(br#"{"errorType":"x","errorMessage":"no connection"}"#, true).expect_err("a failure");
        assert_eq!(error, "no connection");
        assert!(read(b"\"no\"", false).is_err());
    }
}
