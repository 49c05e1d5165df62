//! The numbers of a dashboard: its statements, asked side by side, and what they answered. One that fails leaves the
//! others as they are.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::{
    client::aws::Aws,
    command::{
        self,
        query::{self, Question},
    },
    figures::{Absent, Definitions, Freshness, Sql, TILE, Tile, Visual},
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
        let alone = |it: Wanted| vec![it];
        let tile = tiles.iter().map(|it| Wanted::new(it.name.as_ref(), &it.sql, &TILE)).collect();
        let mut groups = vec![alone(Wanted::new("freshness", &freshness.sql, &["newest_order"])), tile];
        groups.extend(visuals.iter().map(|it| alone(Wanted::new(it.name.as_ref(), &it.sql, &it.needs()))));
        let now = Timestamp::now();
        // Not every browser reads more digits.
        let at = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        let asked = groups.into_iter().map(|it| self.group(it));
        let answers = stream::iter(asked).buffered(ABREAST).collect::<Vec<_>>().await;
        let mut answers = answers.into_iter().flatten();
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

    /// Asks for several key figures by one statement, and by one each when that fails: a statement costs more than its rows.
    async fn group(&self, group: Vec<Wanted>) -> Vec<Answer> {
        if group.len() > 1
            && let Some(it) = self.together(&group).await
        {
            return it;
        }
        let mut answers = Vec::new();
        for it in group {
            answers.push(self.one(it).await);
        }
        answers
    }

    async fn together(&self, group: &[Wanted]) -> Option<Vec<Answer>> {
        let sql = together(group, self.definitions.days.as_ref());
        let answer = query::ask(&self.aws, &self.question(&sql), &self.stop, &|_| ()).await.ok()?;
        let columns: Vec<Column> = answer.columns.into_iter().skip(1).map(number).collect();
        let mut rows = BTreeMap::<String, Vec<rows::Row>>::new();
        for mut row in answer.rows {
            let name = if row.is_empty() { None } else { row.remove(0) };
            rows.entry(name?).or_default().push(row);
        }
        let of = |it: &Wanted| Answer::rows(&columns, &rows.remove(&it.name).unwrap_or_default());
        Some(group.iter().map(of).collect())
    }

    fn question<'a>(&'a self, sql: &'a str) -> Question<'a> {
        Question { sql, workgroup: &self.workgroup, database: Some(&self.database), limit: None }
    }

    async fn one(&self, Wanted { name, sql, needs }: Wanted) -> Answer {
        let sql = statement(&sql, self.definitions.days.as_ref());
        let mend = || Some(format!("its SQL is in {}, under the name `{name}`", self.file));
        match query::ask(&self.aws, &self.question(&sql), &self.stop, &|_| ()).await {
            Ok(it) => match lacking(&needs, &it.columns) {
                Some(column) => Answer::failed(format!("the statement gives no column `{column}`"), mend()),
                None => Answer::rows(&it.columns, &it.rows),
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
    fn rows(columns: &[Column], rows: &[rows::Row]) -> Self {
        match RawValue::from_string(rows::json(columns, rows)) {
            Ok(rows) => Self::Rows { rows },
            Err(err) => Self::failed(err.to_string(), None),
        }
    }

    fn failed(error: String, help: Option<String>) -> Self {
        let missing = MISSING.iter().any(|it| error.contains(it));
        Self::Failed { missing, error, help: help.filter(|_| !missing) }
    }
}

/// Names a column that is wanted and not there.
fn lacking<'a>(needs: &'a [String], columns: &[Column]) -> Option<&'a String> {
    needs.iter().find(|it| !columns.iter().any(|column| column.name == **it))
}

/// A part or a whole comes as text where figures of different types are asked for together; it is a number all the same.
fn number(column: Column) -> Column {
    let kind = if ["part", "whole"].contains(&column.name.as_str()) { "decimal".to_owned() } else { column.kind };
    Column { kind, ..column }
}

/// Puts key figures together: each row begins with the name of its own.
fn together(group: &[Wanted], days: &[u32]) -> String {
    let with = |(at, it): (usize, &Wanted)| format!("figure{at} as (\n{}\n)", it.sql.trim_end());
    let select = |(at, it): (usize, &Wanted)| {
        format!(
            "select '{}' as name, days, period, currency, cast(part as varchar) as part, cast(whole as varchar) as whole \
             from figure{at}",
            it.name.replace('\'', "''")
        )
    };
    let with: Vec<String> = [ranges(days)].into_iter().chain(group.iter().enumerate().map(with)).collect();
    let select: Vec<String> = group.iter().enumerate().map(select).collect();
    format!("with {}\n{}", with.join(",\n"), select.join("\nunion all\n"))
}

/// Puts the spans of time that readers can choose before a statement that names them.
fn statement(sql: &str, days: &[u32]) -> String {
    match sql.split(|it: char| !it.is_alphanumeric() && it != '_').any(|it| it == "ranges") {
        true => format!("with {}\n{sql}", ranges(days)),
        false => sql.to_owned(),
    }
}

/// Defines the spans of time.
///
/// They count from the newest order, so that numbers are the same whenever they are asked for. `now` has no end: a payment
/// may be later than the newest order. All of the time is a century.
fn ranges(days: &[u32]) -> String {
    const CENTURY: u32 = 36_524;
    let span = |days: &u32| match days {
        0 => vec![format!("(0, 'now', {CENTURY}, -{CENTURY})")],
        days => vec![
            format!("({days}, 'now', {}, -{CENTURY})", days - 1),
            format!("({days}, 'before', {}, {days})", 2 * days - 1),
        ],
    };
    let spans: Vec<String> = days.iter().flat_map(span).collect();
    format!(
        "ranges as (\n  select s.days, s.period,\n         \
         cast(e.newest - s.oldest * interval '1' day as date) as starts,\n         \
         cast(e.newest - s.latest * interval '1' day as date) as ends\n  \
         from (select max(order_date) as newest from daily_sales) e\n  \
         cross join (values {}) s (days, period, oldest, latest)\n)",
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
    fn key_figures_are_asked_for_together() {
        let wanted = |name: &str| Wanted { name: name.to_owned(), sql: format!("select {name}\n"), needs: Vec::new() };
        let sql = together(&[wanted("a"), wanted("b'c")], &[0]);
        assert!(
            sql.starts_with("with ranges as (") && sql.contains("figure0 as (\nselect a\n),\nfigure1 as ("),
            "{sql}"
        );
        assert!(sql.contains("from figure0\nunion all\nselect 'b''c' as name"), "{sql}");
        let column = |name: &str| number(Column { name: name.to_owned(), kind: "varchar".to_owned() }).kind;
        assert_eq!((column("part"), column("currency")), ("decimal".to_owned(), "varchar".to_owned()));
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
