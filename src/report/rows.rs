//! Rows of a query: as a table for people, as CSV, as JSON.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use crate::report::{Style, Tone, terminal::harmless};

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as Athena calls it.
    pub kind: String,
}

/// A row: values as text, `None` for NULL.
pub type Row = Vec<Option<String>>;

impl Column {
    /// Says whether its values are numbers.
    fn is_number(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "tinyint" | "smallint" | "integer" | "int" | "bigint" | "float" | "real" | "double" | "decimal"
        )
    }
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text(Style),
    /// As RFC 4180 has CSV.
    Csv,
    /// As one list of objects.
    Json,
}

/// Writes rows as they come, some at a time, so that none of them need be kept.
#[derive(Debug)]
pub struct Writer {
    form: Form,
    /// How wide the columns of the text are so far.
    widths: Vec<u16>,
    /// Whether there were rows, or at least the names of columns.
    begun: bool,
    /// What is complete but for what comes after it.
    held: Option<String>,
}

impl Writer {
    /// Begins a result.
    pub fn new(form: Form) -> Self {
        Self { form, widths: Vec::new(), begun: false, held: None }
    }

    /// Returns the lines of some rows; the first of them are below the names of the columns.
    pub fn page(&mut self, columns: &[Column], rows: &[Row]) -> Option<String> {
        let first = !std::mem::replace(&mut self.begun, true);
        let text = match self.form {
            Form::Text(style) => table(columns, rows, style, first, &mut self.widths),
            Form::Csv => csv_part(columns, rows, first),
            Form::Json => {
                // Whether a comma follows is known once there is another row.
                let mut lines = Vec::new();
                for object in objects(columns, rows) {
                    let before = self.held.replace(object);
                    lines.push(before.map_or_else(|| "[".to_owned(), |it| it + ",\n"));
                }
                let text = lines.concat();
                // The line ends with what is printed.
                match text.strip_suffix('\n') {
                    Some(whole) => whole.to_owned(),
                    None => {
                        self.held = self.held.take().map(|it| text + &it);
                        String::new()
                    }
                }
            }
        };
        Some(text).filter(|it| !it.is_empty())
    }

    /// Returns what comes after the last row.
    pub fn end(self) -> Option<String> {
        let last = self.held.map_or_else(|| "[]".to_owned(), |it| it + "]");
        (self.form == Form::Json).then_some(last)
    }
}

/// Lays rows out below the names of their columns, unless that was done before; numbers stand to the right. Columns only
/// grow.
fn table(columns: &[Column], rows: &[Row], style: Style, first: bool, widths: &mut Vec<u16>) -> String {
    if columns.is_empty() {
        return lines(rows);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let side = |it: &Column| if it.is_number() { CellAlignment::Right } else { CellAlignment::Left };
    if first {
        table.set_header(columns.iter().map(|it| Cell::new(safe(&it.name, style)).set_alignment(side(it))));
    }
    for row in rows {
        let cell = |(it, column): (&Option<String>, &Column)| {
            Cell::new(safe(it.as_deref().unwrap_or("NULL"), style)).set_alignment(side(column))
        };
        table.add_row(row.iter().zip(columns).map(cell));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if let Some(least) = widths.get(at) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*least)));
        }
    }
    if let Some(width) = style.width.and_then(|it| u16::try_from(it).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let grown = table.column_max_content_widths().into_iter().zip(widths.iter().chain(std::iter::repeat(&0)));
    *widths = grown.map(|(now, before)| (now + 2).max(*before)).collect();
    let text = table.trim_fmt();
    if !first {
        return text;
    }
    match text.split_once('\n') {
        Some((head, rest)) => format!("{}\n{rest}", style.paint(Tone::Faint, head)),
        None => style.paint(Tone::Faint, &text),
    }
}

/// Writes rows of one value each as lines.
fn lines(rows: &[Row]) -> String {
    let line = |it: &Row| it.iter().flatten().cloned().collect::<Vec<_>>().join("\t");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a cell shows: on a screen, nothing that steers it.
fn safe(text: &str, style: Style) -> String {
    if style.width.is_some() { harmless(text).into_owned() } else { text.to_owned() }
}

/// Writes rows as RFC 4180 has CSV; a NULL is nothing, an empty text is `""`.
fn csv_part(columns: &[Column], rows: &[Row], first: bool) -> String {
    let names: Row = columns.iter().map(|it| Some(it.name.clone())).collect();
    let line = |row: &Row| row.iter().map(|it| field(it.as_deref())).collect::<Vec<_>>().join(",");
    let head = std::iter::once(&names).filter(|it| first && !it.is_empty());
    head.chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

fn field(value: Option<&str>) -> String {
    match value {
        None => String::new(),
        Some(it) if it.is_empty() || it.contains(['"', ',', '\n', '\r']) => format!("\"{}\"", it.replace('"', "\"\"")),
        Some(it) => it.to_owned(),
    }
}

/// Writes rows as a list of JSON objects, one per line.
pub fn json(columns: &[Column], rows: &[Row]) -> String {
    format!("[{}]", objects(columns, rows).join(",\n"))
}

/// Writes rows as JSON objects. Numbers keep all their digits.
fn objects(columns: &[Column], rows: &[Row]) -> Vec<String> {
    let quoted = |it: &str| serde_json::Value::from(it).to_string();
    let value = |column: &Column, it: &Option<String>| match it.as_deref() {
        None => "null".to_owned(),
        Some(it @ ("true" | "false")) if column.kind == "boolean" => it.to_owned(),
        // What is not finite is no number to JSON.
        Some(it) if column.is_number() && serde_json::from_str::<serde_json::Number>(it).is_ok() => it.to_owned(),
        Some(it) => quoted(it),
    };
    let other = Column { name: "value".to_owned(), kind: "string".to_owned() };
    let object = |row: &Row| {
        let columns = columns.iter().chain(std::iter::repeat(&other));
        let pairs = columns.zip(row).map(|(column, it)| format!("{}:{}", quoted(&column.name), value(column, it)));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
    };
    rows.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows at once.
    fn whole(form: Form, columns: &[Column], rows: &[Row]) -> String {
        let mut writer = Writer::new(form);
        let page = writer.page(columns, rows);
        page.into_iter().chain(writer.end()).collect::<Vec<_>>().join("\n")
    }

    fn text(columns: &[Column], rows: &[Row], style: Style) -> String {
        whole(Form::Text(style), columns, rows)
    }

    fn csv(columns: &[Column], rows: &[Row]) -> String {
        whole(Form::Csv, columns, rows)
    }

    #[test]
    fn rows_that_come_in_parts_are_written_as_those_that_come_at_once() {
        let (columns, rows) = result();
        for form in [Form::Csv, Form::Json] {
            for size in 1..4 {
                let mut writer = Writer::new(form);
                let mut lines: Vec<String> = rows.chunks(size).filter_map(|it| writer.page(&columns, it)).collect();
                lines.extend(writer.end());
                assert_eq!(lines.join("\n"), whole(form, &columns, &rows), "{form:?} {size}");
            }
            assert_eq!(whole(Form::Json, &columns, &rows), json(&columns, &rows));
        }
        assert_eq!(whole(Form::Json, &columns, &[]), "[]");
        assert_eq!(whole(Form::Csv, &columns, &[]), "name,net,open");
    }

    #[test]
    fn columns_of_later_parts_stand_below_those_of_earlier_ones() {
        let (columns, rows) = result();
        let mut writer = Writer::new(Form::Text(Style::PLAIN));
        let lines: Vec<String> = rows.chunks(1).filter_map(|it| writer.page(&columns, it)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        name                          net  open
        a "b", c  12345678901234567890.50  true
                                     1.00  NULL
        NULL                         NULL  false
        "#);
    }

    #[test]
    fn nothing_steers_a_screen() {
        let columns = [Column { name: "x\u{9b}".into(), kind: "varchar".into() }];
        let rows = [vec![Some("\u{1b}]0;owned\u{7}\u{1b}[2J".into())]];
        let screen = text(&columns, &rows, Style { color: false, width: Some(80) });
        assert_eq!(screen, "x\\u009b\n\\u001b]0;owned\\u0007\\u001b[2J");
        assert!(text(&columns, &rows, Style::PLAIN).contains('\u{1b}'), "what is read by programs stays as it is");
    }

    fn result() -> (Vec<Column>, Vec<Row>) {
        let column = |name: &str, kind: &str| Column { name: name.into(), kind: kind.into() };
        let columns = vec![column("name", "varchar"), column("net", "decimal"), column("open", "boolean")];
        let row = |values: [Option<&str>; 3]| values.map(|it| it.map(str::to_owned)).to_vec();
        let rows = vec![
            row([Some("a \"b\", c"), Some("12345678901234567890.50"), Some("true")]),
            row([Some(""), Some("1.00"), None]),
            row([None, None, Some("false")]),
        ];
        (columns, rows)
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let (columns, rows) = result();
        insta::assert_snapshot!(text(&columns, &rows, Style::PLAIN), @r#"
        name                          net  open
        a "b", c  12345678901234567890.50  true
                                     1.00  NULL
        NULL                         NULL  false
        "#);
    }

    #[test]
    fn json_keeps_every_digit() {
        let (columns, rows) = result();
        insta::assert_snapshot!(json(&columns, &rows), @r#"
        [{"name":"a \"b\", c","net":12345678901234567890.50,"open":true},
        {"name":"","net":1.00,"open":null},
        {"name":null,"net":null,"open":false}]
        "#);
        let column = [Column { name: "x".into(), kind: "double".into() }];
        assert_eq!(
            json(&column, &[vec![Some("NaN".into())], vec![Some("1.0E7".into())]]),
            "[{\"x\":\"NaN\"},\n{\"x\":1.0E7}]"
        );
    }

    #[test]
    fn csv_tells_nothing_from_an_empty_text() {
        let (columns, rows) = result();
        insta::assert_snapshot!(csv(&columns, &rows), @r#"
        name,net,open
        "a ""b"", c",12345678901234567890.50,true
        "",1.00,
        ,,false
        "#);
    }

    #[test]
    fn statements_without_columns_are_lines() {
        assert_eq!(text(&[], &[vec![Some("a".into())], vec![Some("b".into())]], Style::PLAIN), "a\nb");
        assert_eq!((text(&[], &[], Style::PLAIN), csv(&[], &[])), (String::new(), String::new()));
    }
}
