//! The definitions of figures: what the dashboard and Power BI show, the SQL and the DAX of each number. Asks nothing.

use std::{collections::BTreeSet, ops::Range};

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::template::{self, Templates};

pub(crate) mod dax;
pub(crate) mod layout;
mod mistake;

pub(crate) use mistake::{Mistake, Text};

/// A dashboard, as its file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definitions {
    /// The page's title.
    pub(crate) title: String,
    /// The catalog, as the stack's file calls it, whose tables are asked.
    pub(crate) catalog: String,
    /// The job, as the stack's file calls it, that writes the tables.
    pub(crate) job: String,
    /// The numbers of days that can be chosen; 0 is all of the time.
    pub(crate) days: Spanned<Vec<u32>>,
    /// The one that is shown first.
    pub(crate) first: Spanned<u32>,
    /// How old the numbers are.
    pub(crate) freshness: Freshness,
    /// The key figures.
    #[serde(rename = "tile")]
    pub(crate) tiles: Vec<Tile>,
    /// The rest.
    #[serde(rename = "visual")]
    pub(crate) visuals: Vec<Visual>,
    /// The measures that Power BI has besides.
    #[serde(rename = "measure", default)]
    pub(crate) measures: Vec<Measure>,
    /// What cannot be shown.
    #[serde(default)]
    pub(crate) absent: Vec<Absent>,
}

/// A figure of Power BI alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measure {
    pub(crate) title: Spanned<String>,
    pub(crate) description: String,
    pub(crate) format: Written,
    pub(crate) dax: Spanned<String>,
}

/// How a measure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Written {
    /// In the currency of its rows.
    Money,
    /// Whole.
    Count,
    /// Of 1.
    Percent,
    /// A number of days.
    Days,
    /// With two digits after the point.
    Number,
    /// Date and time.
    Moment,
    /// As it is.
    Text,
}

impl From<Format> for Written {
    fn from(it: Format) -> Self {
        match it {
            Format::Money => Self::Money,
            Format::Count => Self::Count,
            Format::Percent => Self::Percent,
            Format::Days => Self::Days,
        }
    }
}

/// How old the numbers are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Freshness {
    pub(crate) description: String,
    /// In minutes.
    pub(crate) stale_after: u32,
    pub(crate) sql: Sql,
}

/// A key figure: `part` / `whole`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tile {
    pub(crate) name: Spanned<String>,
    pub(crate) title: Spanned<String>,
    pub(crate) description: String,
    pub(crate) format: Format,
    pub(crate) better: Better,
    /// The same figure as a measure of Power BI; the dashboard has no use for it.
    #[serde(skip_serializing)]
    pub(crate) dax: Spanned<String>,
    pub(crate) sql: Sql,
}

/// Rows, drawn.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visual {
    pub(crate) name: Spanned<String>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) form: Form,
    pub(crate) width: Width,
    #[serde(default)]
    pub(crate) columns: Vec<Column>,
    pub(crate) sql: Sql,
}

/// A column of numbers of a visual.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) format: Format,
    /// The measure of Power BI that is the same number, where one is; the dashboard has no use for it.
    #[serde(default, skip_serializing)]
    pub(crate) measure: Option<Spanned<String>>,
}

/// A figure that the events cannot give.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Absent {
    pub(crate) title: String,
    pub(crate) reason: String,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
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
pub(crate) enum Better {
    Higher,
    Lower,
}

/// How rows are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
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
pub(crate) enum Width {
    Half,
    Full,
}

/// A statement, and where it stands in the file.
pub(crate) type Sql = Spanned<String>;

/// The columns of a key figure's rows.
pub(crate) const TILE: [&str; 5] = ["days", "period", "currency", "part", "whole"];

/// Why definitions cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unread(#[from] template::Error),
    /// What it says is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(#[from] Mistake),
}

impl Definitions {
    /// Reads and checks a file below `templates/`.
    ///
    /// # Errors
    /// A [`Mistake`], or that the file cannot be read.
    pub(crate) fn read(templates: &Templates, path: &str) -> Result<Self, Error> {
        Ok(Self::parse(&Text::read(templates, path)?)?)
    }

    /// Reads and checks a text.
    pub(crate) fn parse(text: &Text) -> Result<Self, Mistake> {
        let read: Self = text.parse()?;
        match read.flaw() {
            None => Ok(read),
            Some(Flaw { message, span, help }) => Err(text.mistake(message, Some(span), help)),
        }
    }

    /// Lists all measures of Power BI: those of the tiles, then those besides.
    pub(crate) fn formulas(&self) -> Vec<Formula<'_>> {
        let stale = self.freshness.stale_after.to_string();
        let formula = |title, description: &str, written, dax| {
            let filled = |it: &str| it.replace("{stale_after}", &stale);
            Formula {
                title,
                description: filled(description),
                written,
                dax,
                text: filled(AsRef::<String>::as_ref(dax)),
            }
        };
        let tiles = self.tiles.iter().map(|it| formula(&it.title, &it.description, it.format.into(), &it.dax));
        let besides = self.measures.iter().map(|it| formula(&it.title, &it.description, it.format, &it.dax));
        tiles.chain(besides).collect()
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
        self.flaw_of_measures().or_else(|| of_sql(&self.freshness.sql))
    }

    /// Finds a column whose measure is none, or is written in another way.
    fn flaw_of_measures(&self) -> Option<Flaw> {
        let formulas = self.formulas();
        let columns = self.visuals.iter().flat_map(|it| &it.columns);
        let mut linked = columns.filter_map(|it| Some((Written::from(it.format), it.measure.as_ref()?)));
        linked.find_map(|(written, it)| match formulas.iter().find(|formula| formula.title.as_ref() == it.as_ref()) {
            None => {
                let help = Some("name the title of a tile or of a measure");
                Some(Flaw::new(it, format!("there is no measure `{}`", it.as_ref()), help))
            }
            Some(formula) if formula.written != written => {
                Some(Flaw::new(it, format!("`{}` is written in another format", it.as_ref()), None))
            }
            Some(_) => None,
        })
    }
}

impl Formula<'_> {
    /// Finds where in the file a part of the text stands.
    pub(crate) fn place(&self, file: &Text, part: &Range<usize>) -> Range<usize> {
        let written: &String = self.dax.as_ref();
        let filled = written.find('{').filter(|at| *written != self.text && part.end > *at);
        if filled.is_some() { self.dax.span() } else { file.within(self.dax, part) }
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

/// A measure of Power BI.
#[derive(Clone, Debug)]
pub(crate) struct Formula<'a> {
    pub(crate) title: &'a Spanned<String>,
    pub(crate) description: String,
    pub(crate) written: Written,
    /// As the file has it.
    pub(crate) dax: &'a Spanned<String>,
    /// With what stands in braces filled in.
    pub(crate) text: String,
}

impl Visual {
    /// The columns that its rows must have.
    pub(crate) fn needs(&self) -> Vec<&str> {
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

    const SALES: &str = include_str!("../templates/dashboards/sales.toml");

    fn sales() -> Definitions {
        Definitions::parse(&Text::new("sales.toml", SALES)).expect("no mistakes")
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

    /// The numbers of the dashboard that Power BI has no measure for. This list may only shrink.
    const ALONE: [(&str, &str); 2] = [("top_categories", "products"), ("customer_segments", "orders")];

    #[test]
    fn a_number_of_the_dashboard_is_a_measure_too() {
        let sales = sales();
        let columns = sales.visuals.iter().flat_map(|it| it.columns.iter().map(move |column| (it, column)));
        let alone: Vec<(&str, &str)> = columns
            .filter(|it| it.1.measure.is_none())
            .map(|(visual, column)| (visual.name.as_ref().as_str(), column.name.as_str()))
            .collect();
        assert_eq!(alone, ALONE);
    }

    /// The page is checked with these numbers, so they must be of these definitions.
    #[test]
    fn the_fixture_is_of_these_definitions() {
        let text = include_str!("../tests/dashboard/numbers.json");
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
        let mistake = Definitions::parse(&Text::new("sales.toml", &text)).expect_err("refused");
        report::error::text(&mistake, Style::PLAIN)
    }

    #[test]
    fn mistakes_are_shown_under_their_line() {
        let shown = refused("format = \"count\"", "format = \"number\"");
        assert!(shown.contains("sales.toml:51:10: unknown variant `number`, expected one of `money`"), "{shown}");
        let shown = refused("better = \"higher\"", "beter = \"higher\"");
        assert!(shown.contains("sales.toml:39:1: unknown field `beter`"), "{shown}");
        let shown = refused("name = \"paid_orders\"", "name = \"net_sales\"");
        assert!(shown.contains("the name `net_sales` is taken"), "{shown}");
        let shown = refused("first = 30", "first = 31");
        assert!(shown.contains("not one of `days`"), "{shown}");
        let shown = refused("sql = \"\"\"\nselect max(", "sql = \"\"\"\nwith x as (select 1) select max(");
        assert!(shown.contains("does not begin with `select`") && shown.contains("subquery"), "{shown}");
        let shown = refused("measure = \"Paid orders\"", "measure = \"Paid order\"");
        assert!(shown.contains("there is no measure `Paid order`"), "{shown}");
        let shown = refused("measure = \"Paid orders\"", "measure = \"Net sales\"");
        assert!(shown.contains("`Net sales` is written in another format"), "{shown}");
        let shown = refused("title = \"Sales\"\n", "");
        assert!(shown.contains("missing field `title`"), "{shown}");
    }
}
