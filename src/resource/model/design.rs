//! What a model consists of, once all that it is made from was read and fits together. Asks nobody.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Ground, Model, Source, check, project::Wanting};
use crate::{
    client::glue::Column as Promised,
    figures::{
        Absent, Definitions, Mistake, Text, Written,
        layout::{Category, Layout, Page, Sort},
    },
    resource::{Catalog, Error, Resource as _, Result, table},
};

/// A model, with what its reports show.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    /// As the workspace lists it.
    pub(crate) name: String,
    /// The table that holds the measures.
    pub(crate) home: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) measures: Vec<Measure>,
    /// Columns by table and name: many, and one.
    pub(crate) joins: Vec<[(String, String); 2]>,
    /// What M calls it, its value, what it is.
    pub(crate) parameters: Vec<(&'static str, String, &'static str)>,
    pub(crate) pages: Vec<Page>,
    pub(crate) absent: Vec<Absent>,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Whether it is the table of dates.
    pub(crate) dates: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Rows,
}

/// Where a table's rows come from.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// A query of Power Query, in M; and whether each question asks the source anew.
    Query { m: String, direct: bool },
    /// A formula.
    Formula(String),
}

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// As Power BI calls its type.
    pub(crate) data_type: &'static str,
    pub(crate) source: String,
    pub(crate) format: Option<String>,
    pub(crate) category: Option<&'static str>,
    pub(crate) hidden: bool,
    pub(crate) key: bool,
}

/// A measure.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) dax: String,
    pub(crate) format: Option<&'static str>,
}

/// What the files say, with their texts.
pub(crate) struct Files {
    pub(crate) layout: Layout,
    pub(crate) layout_text: Text,
    pub(crate) figures: Definitions,
    pub(crate) figures_text: Text,
}

impl Files {
    /// Reads the files that a model is made from.
    ///
    /// # Errors
    /// That one cannot be read, or the first mistake in it.
    pub(crate) fn read(ground: &Ground<'_>, layout: &str) -> Result<Self, crate::figures::Error> {
        let layout_text = Text::read(ground.templates, layout)?;
        let layout: Layout = layout_text.parse()?;
        let figures_text = Text::read(ground.templates, &layout.figures)?;
        let figures = Definitions::parse(&figures_text)?;
        Ok(Self { layout, layout_text, figures, figures_text })
    }
}

/// Makes a model of what the files say.
///
/// # Errors
/// All mistakes of the files; or what of the stack is not as it must be.
pub(crate) fn design(ground: &Ground<'_>, model: &Model, name: &str) -> Result<Design> {
    try_design(ground, model, name).map_err(|it| match it {
        Wanting::Wrong(mistakes) => refused(&mistakes),
        Wanting::Page { err, .. } | Wanting::Other(err) => err,
    })
}

/// The same, with mistakes that can be shown under their lines.
pub(super) fn try_design(ground: &Ground<'_>, model: &Model, name: &str) -> Result<Design, Wanting> {
    let files = Files::read(ground, &model.layout)?;
    let lake = lake(ground, model)?;
    let mistakes = check::mistakes(&files, &lake);
    if mistakes.is_empty() { Ok(assemble(model, name, &files, &lake)) } else { Err(Wanting::Wrong(mistakes)) }
}

/// Puts mistakes into the one error that kinds have for them.
pub(crate) fn refused(mistakes: &[Mistake]) -> Error {
    let told = mistakes.iter().map(|it| match &it.help {
        Some(help) => format!("{it} ({help})"),
        None => it.to_string(),
    });
    let help = "correct them there; `ecomctl build <stack> --only <address>` shows the lines, and asks nobody";
    Error::Refused { message: told.collect::<Vec<_>>().join("\n"), help: help.to_owned() }
}

/// A table of the lake: where queries find it, and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct LakeTable {
    pub(crate) database: String,
    pub(crate) comment: Option<String>,
    pub(crate) columns: Vec<Promised>,
}

/// Looks up the tables that the stack gives a model, by the names that queries use.
pub(crate) fn lake(ground: &Ground<'_>, model: &Model) -> Result<BTreeMap<String, LakeTable>> {
    let mut found = BTreeMap::new();
    for it in &model.tables {
        let spec: table::Table = ground.spec(it)?;
        let catalog: Catalog = ground.spec(&spec.catalog)?;
        let database = catalog.physical_name(ground.scope, &spec.catalog.name);
        let (name, comment, columns) = spec.promised(ground.templates)?;
        if found.contains_key(&name) {
            return Err(Error::Refused {
                message: format!(
                    "`tables` of the model names two tables that queries call `{name}`; one is {}",
                    it.address()
                ),
                help: "give it those of one catalog".to_owned(),
            });
        }
        found.insert(name, LakeTable { database, comment, columns });
    }
    Ok(found)
}

fn assemble(model: &Model, name: &str, files: &Files, lake: &BTreeMap<String, LakeTable>) -> Design {
    let Files { layout, figures, .. } = files;
    let direct = model.mode == super::Mode::DirectQuery;
    let mut tables = Vec::new();
    let mut database = String::new();
    for it in &layout.tables {
        let Some(there) = lake.get(it.of.as_ref()) else { continue };
        there.database.clone_into(&mut database);
        let special = |name: &str| it.columns.iter().find(|column| column.name.as_ref() == name);
        let column = |promised: &Promised| {
            let special = special(&promised.name);
            let (data_type, format) = typed(&promised.kind).unwrap_or(("string", None));
            Column {
                name: titled(&promised.name),
                description: promised.comment.clone(),
                data_type,
                source: promised.name.clone(),
                format: special
                    .and_then(|it| it.format.as_ref().map(|it| it.as_ref().clone()))
                    .or(format.map(str::to_owned)),
                category: special.and_then(|it| it.category).map(Category::name),
                hidden: special.is_some_and(|it| it.hidden),
                key: special.is_some_and(|it| it.key),
            }
        };
        tables.push(Table {
            name: it.name.as_ref().clone(),
            description: there.comment.clone().unwrap_or_default(),
            dates: false,
            columns: there.columns.iter().map(column).collect(),
            rows: Rows::Query { m: model.source.query(it.of.as_ref()), direct },
        });
    }
    tables.extend(layout.calculated.iter().map(computed));
    tables.push(home(layout.home.as_ref()));
    let measures = figures.formulas().into_iter().map(|it| Measure {
        name: it.title.as_ref().clone(),
        description: it.description,
        dax: it.text,
        format: written(it.written),
    });
    let column = |it: &str| match crate::figures::dax::field(it) {
        Some(crate::figures::dax::Target::Column(table, column)) => Some((table, column)),
        _ => None,
    };
    let joins = layout.joins.iter().filter_map(|it| Some([column(it.from.as_ref())?, column(it.to.as_ref())?]));
    Design {
        name: name.to_owned(),
        home: layout.home.as_ref().clone(),
        tables,
        measures: measures.collect(),
        joins: joins.collect(),
        parameters: model.source.parameters(&database),
        pages: layout.pages.clone(),
        absent: figures.absent.clone(),
    }
}

fn computed(it: &crate::figures::layout::Calculated) -> Table {
    let column = |it: &crate::figures::layout::Computed| {
        let name = it.name.as_ref().clone();
        let (data_type, format) = match it.sort {
            Sort::Text => ("string", None),
            Sort::Date => ("dateTime", Some("yyyy-mm-dd")),
            Sort::Whole => ("int64", Some("0")),
        };
        let (format, source) = (format.map(str::to_owned), format!("[{name}]"));
        Column { name, description: None, data_type, source, format, category: None, hidden: false, key: it.key }
    };
    Table {
        name: it.name.as_ref().clone(),
        description: it.description.clone(),
        dates: it.dates,
        columns: it.columns.iter().map(column).collect(),
        rows: Rows::Formula(it.dax.as_ref().trim().to_owned()),
    }
}

/// The table that holds the measures: Power BI wants a column and a source even of one without rows.
fn home(name: &str) -> Table {
    let column = Column {
        name: HOME_COLUMN.to_owned(),
        description: None,
        data_type: "string",
        source: format!("[{HOME_COLUMN}]"),
        format: None,
        category: None,
        hidden: true,
        key: false,
    };
    Table {
        name: name.to_owned(),
        description: "The figures, as the dashboard defines them".to_owned(),
        dates: false,
        columns: vec![column],
        rows: Rows::Formula(format!("FILTER(ROW(\"{HOME_COLUMN}\", \"\"), FALSE())")),
    }
}

/// The one column of the table that holds the measures.
pub(super) const HOME_COLUMN: &str = "None";

/// What Power BI calls a type of the lake, and how its values are written; `None` where it has no such type.
pub(super) fn typed(kind: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match kind {
        "string" => ("string", None),
        "date" => ("dateTime", Some("yyyy-mm-dd")),
        "timestamp" => ("dateTime", Some("yyyy-mm-dd hh:nn:ss")),
        "tinyint" | "smallint" | "int" | "bigint" => ("int64", Some("#,##0")),
        "float" | "double" => ("double", Some("#,##0.00")),
        "boolean" => ("boolean", None),
        "binary" => ("binary", None),
        it if it.starts_with("decimal(") => ("decimal", Some("#,##0.00")),
        _ => return None,
    })
}

const fn written(it: Written) -> Option<&'static str> {
    match it {
        Written::Money | Written::Number => Some("#,##0.00"),
        Written::Count => Some("#,##0"),
        Written::Percent => Some("0.0%"),
        Written::Days => Some("#,##0.0"),
        Written::Moment => Some("yyyy-mm-dd hh:nn"),
        Written::Text => None,
    }
}

/// What readers see of a name in the lake: `order_date` as `Order date`.
pub(super) fn titled(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut signs = words.chars();
    signs.next().map(|it| it.to_uppercase().collect::<String>() + signs.as_str()).unwrap_or_default()
}

impl Source {
    /// The parameters of queries: what differs from stack to stack.
    fn parameters(&self, database: &str) -> Vec<(&'static str, String, &'static str)> {
        match self {
            Self::Athena(it) => vec![
                ("AthenaDsn", it.dsn.clone(), "System DSN on the gateway's machine, and on that of whoever opens this"),
                ("AthenaCatalog", it.catalog.clone(), "Athena's data catalog"),
                ("AthenaDatabase", database.to_owned(), "The database in it that holds the gold tables"),
            ],
            Self::Redshift(it) => vec![
                ("RedshiftServer", it.server.clone(), "Host and port of Redshift"),
                ("RedshiftDatabase", it.database.clone(), "Database in Redshift"),
                ("RedshiftSchema", it.schema.clone(), "The external schema over the gold tables"),
            ],
        }
    }

    /// The query of one table, in M.
    fn query(&self, table: &str) -> String {
        let lines = match self {
            Self::Athena(_) => vec![
                "let".to_owned(),
                "    Source = AmazonAthena.Databases(AthenaDsn, null, []),".to_owned(),
                "    Catalog = Source{[Name = AthenaCatalog, Kind = \"Database\"]}[Data],".to_owned(),
                "    Database = Catalog{[Name = AthenaDatabase, Kind = \"Schema\"]}[Data],".to_owned(),
                format!("    Table = Database{{[Name = \"{table}\", Kind = \"Table\"]}}[Data]"),
                "in".to_owned(),
                "    Table".to_owned(),
            ],
            Self::Redshift(_) => vec![
                "let".to_owned(),
                "    Source = AmazonRedshift.Database(RedshiftServer, RedshiftDatabase),".to_owned(),
                "    Schema = Source{[Name = RedshiftSchema]}[Data],".to_owned(),
                format!("    Table = Schema{{[Name = \"{table}\"]}}[Data]"),
                "in".to_owned(),
                "    Table".to_owned(),
            ],
        };
        lines.join("\n")
    }
}

impl Design {
    /// Finds a page.
    pub(crate) fn page(&self, name: &str) -> Option<&Page> {
        self.pages.iter().find(|it| it.name.as_ref() == name)
    }
}

/// What a spec says, wherever it came from.
pub(crate) fn read_spec<T: serde::de::DeserializeOwned>(spec: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(spec)
}
