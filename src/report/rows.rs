//! Rows of a query: as a table for people, as CSV, as JSON.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::report::{Style, Tone};

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

/// Lays rows out below the names of their columns; numbers stand to the right.
pub fn text(columns: &[Column], rows: &[Row], style: Style) -> String {
    if columns.is_empty() {
        return lines(rows);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let side = |it: &Column| if it.is_number() { CellAlignment::Right } else { CellAlignment::Left };
    table.set_header(columns.iter().map(|it| Cell::new(&it.name).set_alignment(side(it))));
    for row in rows {
        let cell = |(it, column): (&Option<String>, &Column)| {
            Cell::new(it.as_deref().unwrap_or("NULL")).set_alignment(side(column))
        };
        table.add_row(row.iter().zip(columns).map(cell));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if let Some(width) = style.width.and_then(|it| u16::try_from(it).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let text = table.trim_fmt();
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

/// Writes rows as RFC 4180 has CSV; a NULL is nothing, an empty text is `""`.
pub fn csv(columns: &[Column], rows: &[Row]) -> String {
    let names: Row = columns.iter().map(|it| Some(it.name.clone())).collect();
    let line = |row: &Row| row.iter().map(field).collect::<Vec<_>>().join(",");
    std::iter::once(&names).filter(|it| !it.is_empty()).chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

fn field(value: &Option<String>) -> String {
    match value {
        None => String::new(),
        Some(it) if it.is_empty() || it.contains(['"', ',', '\n', '\r']) => format!("\"{}\"", it.replace('"', "\"\"")),
        Some(it) => it.clone(),
    }
}

/// Writes rows as a list of JSON objects, one per line. Numbers keep all their digits.
pub fn json(columns: &[Column], rows: &[Row]) -> String {
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
    format!("[{}]", rows.iter().map(object).collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
