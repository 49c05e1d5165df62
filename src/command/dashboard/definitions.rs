//! The definitions of a dashboard: what it shows, and the SQL of each number. Asks nothing.

use std::{collections::BTreeSet, ops::Range, path::Path};

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    command::{Error, Exit},
    template::{self, Templates},
};

/// A dashboard, as its file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definitions {
    /// The page's title.
    pub(super) title: String,
    /// The catalog, as the stack's file calls it, whose tables are asked.
    pub(super) catalog: String,
    /// The job, as the stack's file calls it, that writes the tables.
    pub(super) job: String,
    /// The numbers of days that can be chosen; 0 is all of the time.
    pub(super) days: Spanned<Vec<u32>>,
    /// The one that is shown first.
    pub(super) first: Spanned<u32>,
    /// How old the numbers are.
    pub(super) freshness: Freshness,
    /// The key figures.
    #[serde(rename = "tile")]
    pub(super) tiles: Vec<Tile>,
    /// The rest.
    #[serde(rename = "visual")]
    pub(super) visuals: Vec<Visual>,
    /// What cannot be shown.
    #[serde(default)]
    pub(super) absent: Vec<Absent>,
}

/// How old the numbers are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freshness {
    pub(super) description: String,
    /// In minutes.
    pub(super) stale_after: u32,
    pub(super) sql: Sql,
}

/// A key figure: `part` / `whole`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tile {
    pub(super) name: Spanned<String>,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) format: Format,
    pub(super) better: Better,
    pub(super) sql: Sql,
}

/// Rows, drawn.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visual {
    pub(super) name: Spanned<String>,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) form: Form,
    pub(super) width: Width,
    #[serde(default)]
    pub(super) columns: Vec<Column>,
    pub(super) sql: Sql,
}

/// A column of numbers of a visual.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) format: Format,
}

/// A figure that the events cannot give.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Absent {
    pub(super) title: String,
    pub(super) reason: String,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// In the currency of its row.
    Money,
    /// Whole.
    Count,
    /// Of 1.
    Percent,
    /// A number of days.
    Days,
}

/// Which change is a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Better {
    Higher,
    Lower,
}

/// How rows are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// By day.
    Trend,
    /// As bars, the longest first.
    Ranking,
    /// As bars of parts.
    Stack,
    /// As a map of months.
    Cohorts,
}

/// How much of the page's width it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Width {
    Half,
    Full,
}

/// A statement, and where it stands in the file.
pub(super) type Sql = Spanned<String>;

/// The columns of a key figure's rows.
pub(super) const TILE: [&str; 5] = ["days", "period", "currency", "part", "whole"];

/// A mistake in the definitions, shown under the line that holds it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the dashboard's definitions are wrong at {at}: {message}")]
#[diagnostic(code(dashboard::definitions))]
pub(super) struct Mistake {
    at: String,
    message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    span: Option<SourceSpan>,
    #[help]
    help: Option<String>,
}

impl Definitions {
    /// Reads and checks a file below `templates/`.
    ///
    /// # Errors
    /// [`Mistake`], or that the file cannot be read.
    pub(super) fn read(templates: &Templates, path: &str) -> Result<Self, Error> {
        let unread = |err: template::Error| Error::new(Exit::Rejected, err);
        let text = templates.read(Path::new(path)).map_err(unread)?;
        Self::parse(&text, &format!("templates/{path}")).map_err(|it| Error::new(Exit::Rejected, it))
    }

    /// Reads and checks a text; `name` is what mistakes call it.
    pub(super) fn parse(text: &str, name: &str) -> Result<Self, Mistake> {
        let mistake = |message: String, span: Option<Range<usize>>, help: Option<&str>| Mistake {
            at: place(name, text, span.as_ref()),
            message,
            text: NamedSource::new(name, text.to_owned()).with_language("toml"),
            span: span.map(Into::into),
            help: help.map(str::to_owned),
        };
        let read: Self = toml::from_str(text).map_err(|err| mistake(err.message().to_owned(), err.span(), None))?;
        match read.flaw() {
            None => Ok(read),
            Some(Flaw { message, span, help }) => Err(mistake(message, Some(span), help)),
        }
    }

    /// Finds what the types do not rule out.
    fn flaw(&self) -> Option<Flaw> {
        let mut names = BTreeSet::new();
        let tiles = self.tiles.iter().map(|it| (&it.name, &it.sql));
        for (name, sql) in tiles.chain(self.visuals.iter().map(|it| (&it.name, &it.sql))) {
            if !names.insert(name.as_ref()) {
                return Some(Flaw::new(name, format!("the name `{}` is taken", name.as_ref()), None));
            }
            if let Some(it) = of_sql(sql) {
                return Some(it);
            }
        }
        if !self.days.as_ref().contains(self.first.as_ref()) {
            return Some(Flaw::new(&self.first, "not one of `days`".to_owned(), None));
        }
        if self.days.as_ref().iter().any(|it| *it > 3_660) {
            return Some(Flaw::new(&self.days, "more than ten years".to_owned(), Some("0 is all of the time")));
        }
        let drawn = |it: &&Visual| it.columns.is_empty() && it.form != Form::Cohorts;
        if let Some(it) = self.visuals.iter().find(drawn) {
            let help = Some("`columns` says which numbers are drawn, and how they are written");
            return Some(Flaw::new(&it.name, "there is no column to draw".to_owned(), help));
        }
        of_sql(&self.freshness.sql)
    }
}

/// What is wrong, and where.
struct Flaw {
    message: String,
    span: Range<usize>,
    help: Option<&'static str>,
}

impl Flaw {
    fn new<T>(at: &Spanned<T>, message: String, help: Option<&'static str>) -> Self {
        Self { message, span: at.span(), help }
    }
}

fn of_sql(sql: &Sql) -> Option<Flaw> {
    let begins = sql.as_ref().trim_start().get(..6).is_some_and(|it| it.eq_ignore_ascii_case("select"));
    let help = Some("a statement is put behind `with ranges as (…)`; use a subquery instead of a `with` of its own");
    if !begins {
        return Some(Flaw::new(sql, "the statement does not begin with `select`".to_owned(), help));
    }
    let ends = sql.as_ref().trim_end().ends_with(';');
    ends.then(|| Flaw::new(sql, "the statement ends with a semicolon".to_owned(), Some("leave it out")))
}

/// Writes `file:line:column`, counted from 1.
fn place(name: &str, text: &str, span: Option<&Range<usize>>) -> String {
    let Some(before) = span.and_then(|it| text.get(..it.start)) else { return name.to_owned() };
    let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
    format!("{name}:{}:{column}", before.matches('\n').count() + 1)
}

impl Visual {
    /// The columns that its rows must have.
    pub(super) fn needs(&self) -> Vec<&str> {
        let fixed: &[&str] = match self.form {
            Form::Trend => &["order_date"],
            Form::Ranking | Form::Stack => &["label"],
            Form::Cohorts => &["cohort_month", "month_offset", "customers"],
        };
        let money = self.columns.iter().any(|it| it.format == Format::Money).then_some("currency");
        fixed.iter().copied().chain(money).chain(self.columns.iter().map(|it| it.name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{self, Style};

    const SALES: &str = include_str!("../../../templates/dashboards/sales.toml");

    fn sales() -> Definitions {
        Definitions::parse(SALES, "sales.toml").expect("no mistakes")
    }

    #[test]
    fn the_definitions_of_the_project_hold_no_mistake() {
        let sales = sales();
        let names: Vec<&str> = sales.tiles.iter().map(|it| it.name.as_ref().as_str()).collect();
        assert_eq!(
            names,
            ["net_sales", "paid_orders", "average_order_value", "repeat_purchase_rate", "payment_failure_rate"]
        );
        for word in ["Conversion rate", "Cart abandonment", "Customer acquisition cost"] {
            assert!(sales.absent.iter().any(|it| it.title == word), "{word} is not said to be absent");
        }
        for it in sales.visuals.iter().filter(|it| it.needs().contains(&"currency")) {
            assert!(it.sql.as_ref().contains("currency"), "{} adds currencies", it.name.as_ref());
        }
    }

    /// The page is checked with these numbers, so they must be of these definitions.
    #[test]
    fn the_fixture_is_of_these_definitions() {
        let text = include_str!("../../../tests/dashboard/numbers.json");
        let fixture: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let without = |key: &str| {
            let mut all = fixture[key].clone();
            for it in all.as_array_mut().expect("a list") {
                it.as_object_mut().expect("an object").shift_remove("answer");
            }
            all
        };
        let sales = sales();
        let fresh = "run `python3 tests/dashboard/fixture.py`";
        assert_eq!(without("tiles"), serde_json::to_value(&sales.tiles).expect("JSON"), "{fresh}");
        assert_eq!(without("visuals"), serde_json::to_value(&sales.visuals).expect("JSON"), "{fresh}");
        for it in &sales.visuals {
            let at = fixture["visuals"].as_array().expect("a list").iter().find(|one| one["name"] == *it.name.as_ref());
            let row = &at.expect("of the same name")["answer"]["rows"][0];
            for column in it.needs() {
                assert!(!row[column].is_null(), "{}: {column}", it.name.as_ref());
            }
        }
    }

    fn refused(from: &str, to: &str) -> String {
        assert_eq!(SALES.matches(from).count().min(1), 1, "{from} is not there");
        let text = SALES.replacen(from, to, 1);
        let mistake = Definitions::parse(&text, "sales.toml").expect_err("refused");
        report::error::text(&mistake, Style::PLAIN)
    }

    #[test]
    fn mistakes_are_shown_under_their_line() {
        let shown = refused("format = \"count\"", "format = \"number\"");
        assert!(shown.contains("sales.toml:47:10: unknown variant `number`, expected one of `money`"), "{shown}");
        let shown = refused("better = \"higher\"", "beter = \"higher\"");
        assert!(shown.contains("sales.toml:36:1: unknown field `beter`"), "{shown}");
        let shown = refused("name = \"paid_orders\"", "name = \"net_sales\"");
        assert!(shown.contains("the name `net_sales` is taken"), "{shown}");
        let shown = refused("first = 30", "first = 31");
        assert!(shown.contains("not one of `days`"), "{shown}");
        let shown = refused("sql = \"\"\"\nselect max(", "sql = \"\"\"\nwith x as (select 1) select max(");
        assert!(shown.contains("does not begin with `select`") && shown.contains("subquery"), "{shown}");
        let shown = refused("title = \"Sales\"\n", "");
        assert!(shown.contains("missing field `title`"), "{shown}");
    }
}
