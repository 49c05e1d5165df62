//! What Power BI's model and report are made of, as a file says: tables of the lake, how they are joined, pages. The figures
//! are defined elsewhere. Whether all of it fits together is checked where the model is made.

use indexmap::IndexMap;
use serde::Deserialize;
use toml::Spanned;

/// A page's size: what Power BI takes where nothing is chosen, 16 by 9.
pub(crate) const CANVAS: [i32; 2] = [1280, 720];

/// A model, and the pages that show it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// The file of the figures, below `templates/`.
    pub(crate) figures: String,
    /// The table that holds the figures.
    pub(crate) home: Spanned<String>,
    #[serde(rename = "table", default)]
    pub(crate) tables: Vec<Table>,
    #[serde(rename = "calculated", default)]
    pub(crate) calculated: Vec<Calculated>,
    #[serde(rename = "join", default)]
    pub(crate) joins: Vec<Join>,
    #[serde(rename = "page", default)]
    pub(crate) pages: Vec<Page>,
}

/// A table of the lake, under the name that readers see.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) name: Spanned<String>,
    /// The table in the lake.
    pub(crate) of: Spanned<String>,
    /// The columns that are more than plain ones.
    #[serde(default)]
    pub(crate) columns: Vec<Column>,
}

/// What is special about a column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    /// As the lake calls it.
    pub(crate) name: Spanned<String>,
    /// Whether readers do not see it.
    #[serde(default)]
    pub(crate) hidden: bool,
    /// Whether its values are unique.
    #[serde(default)]
    pub(crate) key: bool,
    /// How values are written, as Power BI says it.
    #[serde(default)]
    pub(crate) format: Option<Spanned<String>>,
    /// What values are, such as `Country`.
    #[serde(default)]
    pub(crate) category: Option<Category>,
}

/// What values of a column are, as Power BI calls it: so it draws places on maps and follows addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Category {
    Address,
    Barcode,
    City,
    Continent,
    Country,
    County,
    ImageUrl,
    Latitude,
    Longitude,
    Place,
    PostalCode,
    StateOrProvince,
    WebUrl,
}

impl Category {
    /// As Power BI writes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Address => "Address",
            Self::Barcode => "Barcode",
            Self::City => "City",
            Self::Continent => "Continent",
            Self::Country => "Country",
            Self::County => "County",
            Self::ImageUrl => "ImageUrl",
            Self::Latitude => "Latitude",
            Self::Longitude => "Longitude",
            Self::Place => "Place",
            Self::PostalCode => "PostalCode",
            Self::StateOrProvince => "StateOrProvince",
            Self::WebUrl => "WebUrl",
        }
    }
}

/// A table that Power BI computes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calculated {
    pub(crate) name: Spanned<String>,
    pub(crate) description: String,
    /// Whether it is the table of dates.
    #[serde(default)]
    pub(crate) dates: bool,
    pub(crate) dax: Spanned<String>,
    pub(crate) columns: Vec<Computed>,
}

/// A column of a table that Power BI computes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Computed {
    pub(crate) name: Spanned<String>,
    #[serde(rename = "type")]
    pub(crate) sort: Sort,
    #[serde(default)]
    pub(crate) key: bool,
}

/// What the values of a computed column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    Text,
    Date,
    Whole,
}

/// Many rows of one table for one of another; both as `Table[Column]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    pub(crate) from: Spanned<String>,
    pub(crate) to: Spanned<String>,
}

/// A page of the report.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    pub(crate) name: Spanned<String>,
    pub(crate) title: Spanned<String>,
    #[serde(rename = "visual", default)]
    pub(crate) visuals: Vec<Visual>,
}

/// A visual of a page.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visual {
    pub(crate) name: Spanned<String>,
    pub(crate) kind: Spanned<Form>,
    pub(crate) title: Spanned<String>,
    /// Its upper left corner.
    pub(crate) at: Spanned<[i32; 2]>,
    pub(crate) size: Spanned<[i32; 2]>,
    /// Measures by title and columns as `Table[Column]`, by role.
    #[serde(default)]
    pub(crate) fields: IndexMap<String, Vec<Spanned<String>>>,
    #[serde(default)]
    pub(crate) sort: Option<Order>,
    /// Of a slicer: whether exactly one value is chosen at any time.
    #[serde(default)]
    pub(crate) single: bool,
}

/// By what a visual is sorted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) by: Spanned<String>,
    pub(crate) descending: bool,
}

/// How a visual shows its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    Card,
    Line,
    Bar,
    StackedBar,
    Table,
    Matrix,
    Slicer,
    /// A text that says what the events cannot tell.
    Absent,
}

/// What a role takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Measures,
    Columns,
    Both,
}

impl Form {
    /// As Power BI calls it.
    pub(crate) const fn visual_type(self) -> &'static str {
        match self {
            Self::Card => "cardVisual",
            Self::Line => "lineChart",
            Self::Bar => "clusteredBarChart",
            Self::StackedBar => "barChart",
            Self::Table => "tableEx",
            Self::Matrix => "pivotTable",
            Self::Slicer => "slicer",
            Self::Absent => "textbox",
        }
    }

    /// The roles that it has: what each takes, and whether it must be filled. As Microsoft's report authoring tool lists
    /// them.
    pub(crate) const fn roles(self) -> &'static [(&'static str, Takes, bool)] {
        match self {
            Self::Card => &[("Data", Takes::Measures, true)],
            Self::Line | Self::Bar | Self::StackedBar => {
                &[("Category", Takes::Columns, true), ("Y", Takes::Measures, true), ("Series", Takes::Columns, false)]
            }
            Self::Table => &[("Values", Takes::Both, true)],
            Self::Matrix => {
                &[("Rows", Takes::Columns, true), ("Columns", Takes::Columns, false), ("Values", Takes::Measures, true)]
            }
            Self::Slicer => &[("Values", Takes::Columns, true)],
            Self::Absent => &[],
        }
    }
}
