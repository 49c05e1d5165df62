//! Results, page by page, read from the file that a query left in S3. A page begins where the last one ended: the token of
//! the next page is its place in the file. Pure.

use serde_json::{Value, json};

/// Records of a result file that has only partly been read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Records {
    /// The records that are whole; `None` for NULL.
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// How many bytes they take.
    pub(super) length: usize,
}

/// Reads up to `most` records of CSV as Athena writes it: values in quotes, NULL as nothing. What follows the last
/// complete record is left for the next page.
pub(super) fn csv(bytes: &[u8], most: usize) -> Records {
    let mut found = Records { rows: Vec::new(), length: 0 };
    let (mut row, mut value, mut at) = (Vec::new(), None::<Vec<u8>>, 0);
    while at < bytes.len() && found.rows.len() < most {
        match bytes[at] {
            b'"' => {
                let text = value.get_or_insert_default();
                at += 1;
                loop {
                    match (bytes.get(at), bytes.get(at + 1)) {
                        (Some(b'"'), Some(b'"')) => {
                            text.push(b'"');
                            at += 2;
                        }
                        (Some(b'"'), Some(_)) => break,
                        (Some(it), _) if *it != b'"' => {
                            text.push(*it);
                            at += 1;
                        }
                        // The rest of the value has not been read.
                        _ => return found,
                    }
                }
                at += 1;
            }
            it @ (b',' | b'\n') => {
                row.push(value.take().map(|it| String::from_utf8_lossy(&it).into_owned()));
                at += 1;
                if it == b'\n' {
                    found.rows.push(std::mem::take(&mut row));
                    found.length = at;
                }
            }
            _ => at += 1,
        }
    }
    found
}

/// Reads up to `most` lines of text, each one value.
pub(super) fn lines(bytes: &[u8], most: usize) -> Records {
    let mut found = Records { rows: Vec::new(), length: 0 };
    for line in bytes.split_inclusive(|it| *it == b'\n').take(most) {
        let Some(text) = line.strip_suffix(b"\n") else { break };
        found.rows.push(vec![Some(String::from_utf8_lossy(text).into_owned())]);
        found.length += line.len();
    }
    found
}

impl Records {
    /// Shows them as `GetQueryResults` does: NULL is an object without a value.
    pub(super) fn json(self) -> Value {
        let datum = |it: Option<String>| it.map_or_else(|| json!({}), |it| json!({ "VarCharValue": it }));
        self.rows.into_iter().map(|row| json!({ "Data": row.into_iter().map(datum).collect::<Vec<_>>() })).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(rows: &[Vec<Option<String>>]) -> String {
        let value =
            |it: &Option<String>| it.as_ref().map_or(String::new(), |it| format!("\"{}\"", it.replace('"', "\"\"")));
        rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>().join(",") + "\n").collect()
    }

    #[test]
    fn nothing_and_an_empty_text_differ() {
        let found = csv(b"\"a\",\"b\",\"c\"\n,\"\",\"x\"\"\n,y\"\n", 10);
        assert_eq!(found.rows[1], [None, Some(String::new()), Some("x\"\n,y".into())]);
        assert_eq!(found.json()[1]["Data"], json!([{}, { "VarCharValue": "" }, { "VarCharValue": "x\"\n,y" }]));
    }

    #[test]
    fn a_value_that_was_cut_waits_for_the_rest() {
        for cut in 5..13 {
            let found = csv(&b"\"a\"\n\"b\"\"c\"\n"[..cut.min(11)], 10);
            assert_eq!(found.length, if cut >= 11 { 11 } else { 4 }, "{cut}");
        }
        assert_eq!(lines(b"a\nb", 10), Records { rows: vec![vec![Some("a".into())]], length: 2 });
    }

    proptest! {
        #[test]
        fn pages_of_any_size_put_together_are_the_result(
            rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[a\",\n é]{0,6}"), 3), 0..20),
            most in 1_usize..7,
            chunk in 60_usize..200,
        ) {
            let text = written(&rows);
            let (mut at, mut all) = (0, Vec::new());
            while at < text.len() {
                let end = text.len().min(at + chunk);
                let page = csv(&text.as_bytes()[at..end], most);
                prop_assert!(page.rows.len() <= most && page.length > 0);
                at += page.length;
                all.extend(page.rows);
            }
            prop_assert_eq!(all, rows);
        }
    }
}
