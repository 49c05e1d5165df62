//! The numbers of a dashboard: its statements, asked side by side, and what they answered. One that fails leaves the
//! others as they are.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::definitions::{Absent, Definitions, Freshness, Sql, TILE, Tile, Visual};
use crate::{
    client::aws::Aws,
    command::{
        self,
        query::{self, Question},
    },
    report::rows::{self, Column},
};

/// How many statements run at a time: Athena lets an account have 20, and a machine has few cores.
const ABREAST: usize = 4;

/// What Athena says of a table that is not there, or that nothing was written to.
const MISSING: [&str; 4] =
    ["TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND", "DELTA_LAKE_INVALID_TABLE", "DELTA_LAKE_INVALID_SCHEMA"];

/// Whoever asks for the numbers of a stack.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) aws: Arc<Aws>,
    /// The stack.
    pub(super) stack: String,
    /// The command that makes the numbers anew.
    pub(super) run: String,
    /// The workgroup and the database, at the provider.
    pub(super) workgroup: String,
    pub(super) database: String,
    pub(super) definitions: Definitions,
    /// The file of the definitions, for those who mend them.
    pub(super) file: String,
    pub(super) stop: CancellationToken,
}

/// All numbers at a time, with their definitions: what the page reads.
#[derive(Debug, Serialize)]
pub(super) struct Numbers<'a> {
    stack: &'a str,
    /// When they were asked for.
    at: Timestamp,
    run: &'a str,
    title: &'a str,
    days: &'a [u32],
    first: u32,
    freshness: Answered<'a, Freshness>,
    tiles: Vec<Answered<'a, Tile>>,
    visuals: Vec<Answered<'a, Visual>>,
    absent: &'a [Absent],
}

#[derive(Debug, Serialize)]
struct Answered<'a, T> {
    #[serde(flatten)]
    of: &'a T,
    answer: Answer,
}

/// What a statement came to.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    Rows {
        rows: Box<RawValue>,
    },
    Failed {
        error: String,
        help: Option<String>,
        /// Whether that is because a table does not exist yet.
        missing: bool,
    },
}

/// A statement that is to be asked.
struct Wanted {
    name: String,
    sql: String,
    /// The columns that its rows must have.
    needs: Vec<String>,
}

impl Wanted {
    fn new(name: &str, sql: &Sql, needs: &[&str]) -> Self {
        let needs = needs.iter().map(|it| (*it).to_owned()).collect();
        Self { name: name.to_owned(), sql: sql.as_ref().clone(), needs }
    }
}

impl Numbers<'_> {
    /// Says whether every statement was answered, or will be once there are tables.
    pub(super) fn is_complete(&self) -> bool {
        let failed = |it: &Answer| matches!(it, Answer::Failed { missing: false, .. });
        let (tiles, visuals) = (self.tiles.iter().map(|it| &it.answer), self.visuals.iter().map(|it| &it.answer));
        !tiles.chain(visuals).chain([&self.freshness.answer]).any(failed)
    }
}

impl Asker {
    /// Asks for everything.
    pub(super) async fn ask(&self) -> Numbers<'_> {
        let Definitions { title, days, first, freshness, tiles, visuals, absent, .. } = &self.definitions;
        let mut wanted = vec![Wanted::new("freshness", &freshness.sql, &["newest_order"])];
        wanted.extend(tiles.iter().map(|it| Wanted::new(it.name.as_ref(), &it.sql, &TILE)));
        wanted.extend(visuals.iter().map(|it| Wanted::new(it.name.as_ref(), &it.sql, &it.needs())));
        let at = Timestamp::now();
        let asked = wanted.into_iter().map(|it| self.one(it));
        let mut answers = stream::iter(asked).buffered(ABREAST).collect::<Vec<_>>().await.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Answer::failed("it was not asked for".to_owned(), None));
        Numbers {
            stack: &self.stack,
            at,
            run: &self.run,
            title,
            days: days.as_ref(),
            first: *first.as_ref(),
            freshness: Answered { of: freshness, answer: next() },
            tiles: tiles.iter().map(|of| Answered { of, answer: next() }).collect(),
            visuals: visuals.iter().map(|of| Answered { of, answer: next() }).collect(),
            absent,
        }
    }

    async fn one(&self, Wanted { name, sql, needs }: Wanted) -> Answer {
        let sql = statement(&sql, self.definitions.days.as_ref());
        let question = Question { sql: &sql, workgroup: &self.workgroup, database: Some(&self.database), limit: None };
        let mend = || Some(format!("its SQL is in {}, under the name `{name}`", self.file));
        match query::ask(&self.aws, &question, &self.stop, &|_| ()).await {
            Ok(it) => match lacking(&needs, &it.columns) {
                Some(column) => Answer::failed(format!("the statement gives no column `{column}`"), mend()),
                None => match RawValue::from_string(rows::json(&it.columns, &it.rows)) {
                    Ok(rows) => Answer::Rows { rows },
                    Err(err) => Answer::failed(err.to_string(), None),
                },
            },
            Err(err) => {
                let (reason, help) = super::worded(&err);
                let help = if err.exit() == command::Exit::Usage { mend() } else { help };
                Answer::failed(reason, help)
            }
        }
    }
}

impl Answer {
    fn failed(error: String, help: Option<String>) -> Self {
        Self::Failed { missing: MISSING.iter().any(|it| error.contains(it)), error, help }
    }
}

/// Names a column that is wanted and not there.
fn lacking<'a>(needs: &'a [String], columns: &[Column]) -> Option<&'a String> {
    needs.iter().find(|it| !columns.iter().any(|column| column.name == **it))
}

/// Puts the spans of time that readers can choose before a statement that names them.
///
/// They count from the newest order, so that numbers are the same whenever they are asked for. `now` has no end: a payment
/// may be later than the newest order. All of the time is a century.
fn statement(sql: &str, days: &[u32]) -> String {
    if !sql.split(|it: char| !it.is_alphanumeric() && it != '_').any(|it| it == "ranges") {
        return sql.to_owned();
    }
    let century = 36_524;
    let span = |days: &u32| match days {
        0 => vec![format!("(0, 'now', {century}, -{century})")],
        days => vec![
            format!("({days}, 'now', {}, -{century})", days - 1),
            format!("({days}, 'before', {}, {days})", 2 * days - 1),
        ],
    };
    let spans: Vec<String> = days.iter().flat_map(span).collect();
    format!(
        "with ranges as (\n  select s.days, s.period,\n         \
         cast(e.newest - s.oldest * interval '1' day as date) as starts,\n         \
         cast(e.newest - s.latest * interval '1' day as date) as ends\n  \
         from (select max(order_date) as newest from daily_sales) e\n  \
         cross join (values {}) s (days, period, oldest, latest)\n)\n{sql}",
        spans.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_put_before_what_names_them() {
        assert_eq!(statement("select 1 from arranges", &[30]), "select 1 from arranges");
        let sql = statement("select days from ranges", &[30, 0]);
        assert!(
            sql.contains("values (30, 'now', 29, -36524), (30, 'before', 59, 30), (0, 'now', 36524, -36524)"),
            "{sql}"
        );
        assert!(sql.ends_with(")\nselect days from ranges"), "{sql}");
    }

    #[test]
    fn a_table_that_is_not_there_yet_is_no_mistake() {
        let answer = |text: &str| serde_json::to_value(Answer::failed(text.to_owned(), None)).expect("JSON");
        let missing =
            "the query failed: TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.gold.daily_sales' does not exist";
        assert_eq!(answer(missing)["missing"], true);
        assert_eq!(answer("the query failed: COLUMN_NOT_FOUND: line 1:8: Column 'x'")["missing"], false);
    }

    #[test]
    fn a_column_that_is_wanted_is_told_when_it_is_not_there() {
        let columns = ["days", "part"].map(|it| Column { name: it.to_owned(), kind: "bigint".to_owned() });
        let needs = |names: [&str; 2]| names.map(str::to_owned);
        assert_eq!(lacking(&needs(["days", "part"]), &columns), None);
        assert_eq!(lacking(&needs(["days", "whole"]), &columns), Some(&"whole".to_owned()));
    }
}
