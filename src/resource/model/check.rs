//! Whether a model and its pages fit together: tables and columns of the lake, formulas, joins, visuals. Every mistake with
//! its place; pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use toml::Spanned;

use super::design::{Files, HOME_COLUMN, LakeTable, titled, typed};
use crate::figures::{
    Formula, Mistake,
    dax::{self, Reference, Target},
    layout::{Layout, Sort},
};

mod visual;

/// Lists everything that does not fit.
pub(super) fn mistakes(files: &Files, lake: &BTreeMap<String, LakeTable>) -> Vec<Mistake> {
    let formulas = files.figures.formulas();
    let names = Names::of(&files.layout, &formulas, lake);
    let mut check = Check { files, names: &names, found: Vec::new() };
    check.tables(lake);
    check.calculated();
    check.measures(&formulas);
    check.joins();
    check.paths();
    visual::pages(&mut check);
    check.found
}

/// What there is to refer to.
pub(super) struct Names<'a> {
    /// The columns of each table, with their types.
    columns: BTreeMap<&'a str, BTreeMap<String, &'static str>>,
    /// Columns with unique values.
    keys: BTreeSet<(&'a str, String)>,
    measures: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(layout: &'a Layout, formulas: &[Formula<'a>], lake: &BTreeMap<String, LakeTable>) -> Self {
        let (mut columns, mut keys) = (BTreeMap::new(), BTreeSet::new());
        for it in &layout.tables {
            let there = lake.get(it.of.as_ref()).map(|it| it.columns.as_slice()).unwrap_or_default();
            let column = |it: &crate::client::glue::Column| (titled(&it.name), typed(&it.kind).map_or("", |it| it.0));
            columns.insert(it.name.as_ref().as_str(), there.iter().map(column).collect::<BTreeMap<_, _>>());
            let special = it.columns.iter().filter(|it| it.key);
            keys.extend(special.map(|column| (it.name.as_ref().as_str(), titled(column.name.as_ref()))));
        }
        for it in &layout.calculated {
            let sort = |it: &Sort| match it {
                Sort::Text => "string",
                Sort::Date => "dateTime",
                Sort::Whole => "int64",
            };
            let all = it.columns.iter().map(|column| (column.name.as_ref().clone(), sort(&column.sort)));
            columns.insert(it.name.as_ref(), all.collect());
            let special = it.columns.iter().filter(|it| it.key);
            keys.extend(special.map(|column| (it.name.as_ref().as_str(), column.name.as_ref().clone())));
        }
        columns.insert(layout.home.as_ref(), BTreeMap::from([(HOME_COLUMN.to_owned(), "string")]));
        Self { columns, keys, measures: formulas.iter().map(|it| it.title.as_ref().as_str()).collect() }
    }

    /// Says what is wrong with a reference, and what there is instead.
    fn unknown(&self, to: &Target) -> Option<(String, String)> {
        let list = |all: &mut dyn Iterator<Item = &str>| all.collect::<Vec<_>>().join(", ");
        match to {
            Target::Table(table) | Target::Column(table, _) if !self.columns.contains_key(table.as_str()) => {
                let help = format!("the tables are {}", list(&mut self.columns.keys().copied()));
                Some((format!("there is no table `{table}`"), help))
            }
            Target::Column(table, column) => {
                let columns = self.columns.get(table.as_str())?;
                let help = format!("it has {}", list(&mut columns.keys().map(String::as_str)));
                (!columns.contains_key(column)).then(|| (format!("table `{table}` has no column `{column}`"), help))
            }
            Target::Measure(name) => {
                let near = self.measures.iter().filter(|it| strsim::jaro(it, name) > 0.7);
                let near = near.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
                let help = near.map_or_else(
                    || "measures are the titles of tiles and measures in the file of the figures".to_owned(),
                    |it| format!("did you mean `{it}`?"),
                );
                (!self.measures.contains(name.as_str())).then(|| (format!("there is no measure `{name}`"), help))
            }
            Target::Table(_) => None,
        }
    }
}

/// Names the visuals that show a measure, or one that needs it.
fn shown_by(layout: &Layout, all: &BTreeMap<&str, Vec<Reference>>, measure: &str) -> String {
    let mut needing = BTreeSet::from([measure]);
    loop {
        let needs = |them: &[Reference]| {
            them.iter().any(|it| matches!(&it.to, Target::Measure(name) if needing.contains(name.as_str())))
        };
        let more: Vec<&str> = all.iter().filter(|it| !needing.contains(it.0) && needs(it.1)).map(|it| *it.0).collect();
        if more.is_empty() {
            break;
        }
        needing.extend(more);
    }
    let visuals = layout.pages.iter().flat_map(|page| page.visuals.iter().map(move |it| (page, it)));
    let shows = |it: &crate::figures::layout::Visual| {
        it.fields.values().flatten().any(|it| needing.contains(it.as_ref().as_str()))
    };
    let names =
        visuals.filter(|it| shows(it.1)).map(|(page, it)| format!("{}/{}", page.name.as_ref(), it.name.as_ref()));
    let names: Vec<String> = names.collect();
    if names.is_empty() { String::new() } else { format!("; it breaks the visuals {}", names.join(", ")) }
}

/// Whether it can be the name of a table, a column or a measure.
fn is_name(it: &str) -> bool {
    !it.trim().is_empty() && it.trim() == it && !it.contains(['[', ']', '\'']) && !it.contains(char::is_control)
}

/// Whether a file can be called so wherever Power BI Desktop runs.
fn is_file_name(it: &str) -> bool {
    !it.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|']) && !it.starts_with('.') && !it.ends_with('.')
}

/// The mistakes found so far.
pub(super) struct Check<'a> {
    files: &'a Files,
    names: &'a Names<'a>,
    found: Vec<Mistake>,
}

impl<'a> Check<'a> {
    /// Notes a mistake in the layout.
    fn layout(&mut self, at: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        self.found.push(self.files.layout_text.mistake(message.into(), Some(at), help));
    }

    /// Notes a mistake in the figures.
    fn figures(&mut self, at: Range<usize>, message: impl Into<String>, help: Option<&str>) {
        self.found.push(self.files.figures_text.mistake(message.into(), Some(at), help));
    }

    fn tables(&mut self, lake: &BTreeMap<String, LakeTable>) {
        let layout = &self.files.layout;
        let tables = layout.tables.iter().map(|it| &it.name);
        let all: Vec<_> = tables.chain(layout.calculated.iter().map(|it| &it.name)).chain([&layout.home]).collect();
        self.unique(all.iter().copied(), "table");
        for it in all.into_iter().filter(|it| !is_file_name(it.as_ref())) {
            let help = "a table is a file of the model: leave out \\ / : * ? \" < > |, and spaces and dots at its ends";
            self.layout(it.span(), format!("`{}` cannot be the name of a file", it.as_ref()), Some(help));
        }
        let mut first: Option<&LakeTable> = None;
        for it in &layout.tables {
            let Some(there) = lake.get(it.of.as_ref()) else {
                let names: Vec<&str> = lake.keys().map(String::as_str).collect();
                let help = format!("the stack gives the model these tables: {}", names.join(", "));
                self.layout(it.of.span(), format!("there is no table `{}`", it.of.as_ref()), Some(&help));
                continue;
            };
            let one = first.get_or_insert(there);
            if one.database != there.database {
                let message = format!("table `{}` lies in database `{}`", it.of.as_ref(), there.database);
                let help = format!("all tables of a model lie in one: those above in `{}`", one.database);
                self.layout(it.of.span(), message, Some(&help));
            }
            for column in there.columns.iter().filter(|it| typed(&it.kind).is_none()) {
                let message = format!("Power BI has no type for `{}` of column `{}`", column.kind, column.name);
                self.layout(it.of.span(), message, None);
            }
            self.unique(it.columns.iter().map(|it| &it.name), "column");
            for format in it.columns.iter().filter_map(|it| it.format.as_ref()) {
                if format.as_ref().is_empty() || format.as_ref().contains(char::is_control) {
                    self.layout(format.span(), "a format is one line, such as `#,##0.00` or `yyyy-mm`", None);
                }
            }
            for column in &it.columns {
                if !there.columns.iter().any(|it| it.name == *column.name.as_ref()) {
                    let names: Vec<&str> = there.columns.iter().map(|it| it.name.as_str()).collect();
                    let message = format!("table `{}` has no column `{}`", it.of.as_ref(), column.name.as_ref());
                    self.layout(column.name.span(), message, Some(&format!("it has {}", names.join(", "))));
                }
            }
        }
    }

    /// Notes which of these names are taken; Power BI does not tell letters' cases apart.
    fn unique<'b>(&mut self, names: impl IntoIterator<Item = &'b Spanned<String>>, what: &str) {
        let mut seen = BTreeSet::new();
        for it in names {
            if !is_name(it.as_ref()) {
                self.layout(it.span(), format!("`{}` is no name of a {what}", it.as_ref()), None);
            } else if !seen.insert(it.as_ref().to_lowercase()) {
                self.layout(it.span(), format!("there are two {what}s `{}`", it.as_ref()), None);
            }
        }
    }

    fn calculated(&mut self) {
        let files = self.files;
        for it in &files.layout.calculated {
            let text: &String = it.dax.as_ref();
            let found = dax::references(text);
            for (message, help, part) in self.of_formula(found) {
                self.layout(files.layout_text.within(&it.dax, &part), message, help.as_deref());
            }
            if it.columns.is_empty() {
                self.layout(it.name.span(), "a table needs a column", None);
            }
            self.unique(it.columns.iter().map(|it| &it.name), "column");
            if it.dates && !it.columns.iter().any(|it| it.key && it.sort == Sort::Date) {
                self.layout(it.name.span(), "the table of dates needs a date as its key", None);
            }
        }
    }

    fn measures(&mut self, formulas: &[Formula<'a>]) {
        let files = self.files;
        let (mut seen, mut all, mut broken) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
        for it in formulas {
            let title: &String = it.title.as_ref();
            if !seen.insert(title.to_lowercase()) || title.eq_ignore_ascii_case(HOME_COLUMN) {
                self.figures(it.title.span(), format!("the title `{title}` is taken"), None);
            } else if !is_name(title) {
                self.figures(it.title.span(), format!("`{title}` is no name of a measure"), None);
            }
            let found = dax::references(&it.text);
            if let Ok(them) = &found {
                all.insert(title.as_str(), them.clone());
            }
            broken.extend(self.of_formula(found).into_iter().map(|it_is| (it, it_is)));
        }
        for (it, (message, help, part)) in broken {
            let shown = shown_by(&files.layout, &all, it.title.as_ref());
            let message = format!("`{}`: {message}{shown}", it.title.as_ref());
            self.figures(it.place(&files.figures_text, &part), message, help.as_deref());
        }
        let of = |name: &str| all.get(name).map(Vec::as_slice);
        let mut told = BTreeSet::new();
        for it in formulas {
            if let Some(circle) = dax::circle(of, it.title.as_ref())
                && told.insert(circle.iter().cloned().collect::<BTreeSet<_>>())
            {
                let message = format!("measures need each other in a circle: {}", circle.join(" → "));
                self.figures(it.dax.span(), message, None);
            }
        }
    }

    /// What is wrong with a formula, with the places in it.
    fn of_formula(&self, found: Result<Vec<Reference>, dax::Fault>) -> Vec<(String, Option<String>, Range<usize>)> {
        match found {
            Err(fault) => vec![(fault.message, None, fault.span)],
            Ok(all) => {
                let unknown = |it: Reference| {
                    let (message, help) = self.names.unknown(&it.to)?;
                    Some((message, Some(help), it.span))
                };
                all.into_iter().filter_map(unknown).collect()
            }
        }
    }

    /// Reads a field as a column that there is; notes what it is instead.
    fn column(&mut self, it: &Spanned<String>) -> Option<(String, String)> {
        let Some(Target::Column(table, column)) = dax::field(it.as_ref()) else {
            self.layout(it.span(), format!("`{}` is not of the form `Table[Column]`", it.as_ref()), None);
            return None;
        };
        let to = Target::Column(table, column);
        if let Some((message, help)) = self.names.unknown(&to) {
            self.layout(it.span(), message, Some(&help));
            return None;
        }
        let Target::Column(table, column) = to else { return None };
        Some((table, column))
    }

    fn joins(&mut self) {
        let files = self.files;
        let mut seen = BTreeSet::new();
        for it in &files.layout.joins {
            let (from, to) = (self.column(&it.from), self.column(&it.to));
            let (Some(from), Some(to)) = (from, to) else { continue };
            let kind = |(table, column): &(String, String)| self.names.columns[table.as_str()][column];
            let (one, other) = (kind(&from), kind(&to));
            if one != other {
                let message =
                    format!("{} is {one} and {} is {other}: they never match", it.from.as_ref(), it.to.as_ref());
                self.layout(it.from.span(), message, None);
            }
            if from.0 == to.0 {
                self.layout(it.to.span(), format!("`{}` is joined to itself", to.0), None);
            } else if !self.names.keys.contains(&(to.0.as_str(), to.1.clone())) {
                let help = "one row for many: say `key = true` at the column whose values are unique";
                self.layout(it.to.span(), format!("values of {} are not unique", it.to.as_ref()), Some(help));
            }
            if !seen.insert((from.0.clone(), to.0.clone())) {
                let message = format!("`{}` and `{}` are joined already", from.0, to.0);
                self.layout(it.from.span(), message, Some("Power BI uses one join between two tables"));
            }
        }
    }

    /// Notes tables between which filters have two ways: Power BI refuses such a model.
    fn paths(&mut self) {
        let files = self.files;
        let tables =
            |it: &crate::figures::layout::Join| match (dax::field(it.from.as_ref()), dax::field(it.to.as_ref())) {
                (Some(Target::Column(many, _)), Some(Target::Column(one, _))) if many != one => Some((many, one)),
                _ => None,
            };
        let mut reached: BTreeMap<(String, String), usize> = BTreeMap::new();
        // Direct joins between the same tables are told above.
        let mut direct = BTreeSet::new();
        for it in &files.layout.joins {
            let Some((many, one)) = tables(it) else { continue };
            if !direct.insert((many.clone(), one.clone())) {
                continue;
            }
            let below: Vec<String> =
                reached.keys().filter(|it| it.0 == many).map(|it| it.1.clone()).chain([many.clone()]).collect();
            let above: Vec<String> =
                reached.keys().filter(|it| it.1 == one).map(|it| it.0.clone()).chain([one.clone()]).collect();
            for (top, bottom) in above.iter().flat_map(|top| below.iter().map(move |bottom| (top, bottom))) {
                let ways = reached.entry((top.clone(), bottom.clone())).or_default();
                *ways += 1;
                if *ways == 2 {
                    let help = "leave one of the joins out; Power BI takes a model with one way only";
                    let message = format!("filters have two ways from `{top}` to `{bottom}`");
                    self.found.push(files.layout_text.mistake(message, Some(it.from.span()), Some(help)));
                }
            }
        }
    }
}
