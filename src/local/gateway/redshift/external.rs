//! What Redshift's SQL has beyond PostgreSQL's: external schemas over Glue's Data Catalog, and named parameters.

use serde_json::json;
use tokio_postgres::Client;

use super::words;

/// What Redshift's catalogs tell of external schemas, as tables and views: `PG_EXTERNAL_SCHEMA` and `SVV_EXTERNAL_SCHEMAS`.
pub(super) const CATALOGS: &str = "
    CREATE TABLE IF NOT EXISTS pg_external_schema (esoid oid PRIMARY KEY, eskind int NOT NULL, esdbname text, esoptions text);
    CREATE OR REPLACE VIEW svv_external_schemas AS
        SELECT e.esoid, e.eskind::smallint AS eskind, n.nspname AS schemaname, n.nspowner AS esowner,
               e.esdbname AS databasename, e.esoptions
        FROM pg_external_schema e JOIN pg_namespace n ON n.oid = e.esoid;";

/// A statement about an external schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum External {
    /// `CREATE EXTERNAL SCHEMA`.
    Create { schema: String, lenient: bool, database: String, options: Vec<(&'static str, String)> },
    /// `ALTER EXTERNAL SCHEMA … IAM_ROLE`.
    Alter { schema: String, role: String },
}

/// A word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word, or a name without quotes, in small letters.
    Word(String),
    /// A name in quotes.
    Name(String),
    /// A text in quotes.
    Text(String),
    /// A parameter: `:name`.
    Parameter(String),
    /// Anything else, as it stands: spaces, comments, signs.
    Other(String),
}

impl External {
    /// Reads a statement; `None` where it is about something else.
    ///
    /// # Errors
    /// Says what is wrong with it, as Redshift does.
    pub(super) fn read(sql: &str) -> Result<Option<Self>, String> {
        let blank =
            |it: &Token| matches!(it, Token::Other(it) if it.trim().is_empty() || it.starts_with("--") || it == ";");
        let tokens: Vec<Token> = tokens(sql)?.into_iter().filter(|it| !blank(it)).collect();
        let mut reader = Reader { tokens: &tokens };
        if reader.take(&["create", "external", "schema"]) {
            return reader.create().map(Some);
        }
        if reader.take(&["alter", "external", "schema"]) {
            return reader.alter().map(Some);
        }
        Ok(None)
    }

    /// Does what it says, at once or not at all.
    pub(super) async fn run(self, client: &mut Client) -> Result<(), String> {
        let transaction = client.transaction().await.map_err(|err| words(&err))?;
        let of = |it: &str| it.to_owned();
        let found = "SELECT oid FROM pg_namespace WHERE nspname = $1";
        match self {
            Self::Create { schema, lenient, database, options } => {
                let there = transaction.query_opt(found, &[&schema]).await.map_err(|err| words(&err))?;
                if lenient && there.is_some() {
                    return Ok(());
                }
                let quoted = schema.replace('"', "\"\"");
                let sql = format!("CREATE SCHEMA \"{quoted}\"");
                transaction.batch_execute(&sql).await.map_err(|err| words(&err))?;
                // What was dropped left its row: its number may have been given anew.
                let sql = "INSERT INTO pg_external_schema SELECT oid, 1, $2, $3 FROM pg_namespace WHERE nspname = $1
                           ON CONFLICT (esoid) DO UPDATE SET esdbname = $2, esoptions = $3";
                let options: serde_json::Map<_, _> =
                    options.into_iter().map(|(key, it)| (of(key), json!(it))).collect();
                let options = serde_json::Value::Object(options).to_string();
                transaction.execute(sql, &[&schema, &database, &options]).await.map_err(|err| words(&err))?;
            }
            Self::Alter { schema, role } => {
                let sql = "UPDATE pg_external_schema SET esoptions = (esoptions::jsonb || jsonb_build_object('IAM_ROLE', $2::text))::text
                           WHERE esoid = (SELECT oid FROM pg_namespace WHERE nspname = $1)";
                if transaction.execute(sql, &[&schema, &role]).await.map_err(|err| words(&err))? == 0 {
                    return Err(format!("external schema \"{schema}\" does not exist"));
                }
            }
        }
        transaction.commit().await.map_err(|err| words(&err))
    }
}

/// Puts texts in the places of parameters.
///
/// # Errors
/// Names a parameter that has no value.
pub(super) fn filled(sql: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    for token in tokens(sql)? {
        match token {
            Token::Parameter(name) => {
                let text = value(&name).ok_or_else(|| format!("there is no value of the parameter {name}"))?;
                out += &quoted(&text, '\'');
            }
            Token::Word(it) | Token::Other(it) => out += &it,
            Token::Name(it) => out += &quoted(&it, '"'),
            Token::Text(it) => out += &quoted(&it, '\''),
        }
    }
    Ok(out)
}

fn quoted(text: &str, quote: char) -> String {
    let twice = format!("{quote}{quote}");
    format!("{quote}{}{quote}", text.replace(quote, &twice))
}

struct Reader<'a> {
    tokens: &'a [Token],
}

impl Reader<'_> {
    /// Goes on past these words, if they come next.
    fn take(&mut self, words: &[&str]) -> bool {
        let fits = self.tokens.len() >= words.len()
            && words.iter().zip(self.tokens).all(|(word, it)| matches!(it, Token::Word(it) if it == word));
        if fits {
            self.tokens = &self.tokens[words.len()..];
        }
        fits
    }

    fn next(&mut self) -> Option<&Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn schema(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(it) | Token::Name(it)) => Ok(it.clone()),
            other => Err(near(other)),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(it)) => Ok(it.clone()),
            other => Err(near(other)),
        }
    }

    fn role(&mut self) -> Result<String, String> {
        if self.take(&["default"]) { Ok("default".to_owned()) } else { self.text() }
    }

    fn create(&mut self) -> Result<External, String> {
        let lenient = self.take(&["if", "not", "exists"]);
        let schema = self.schema()?;
        if !self.take(&["from", "data", "catalog"]) {
            return Err("here, external schemas are made FROM DATA CATALOG only".to_owned());
        }
        let (mut database, mut options) = (None, Vec::new());
        while !self.tokens.is_empty() {
            if self.take(&["database"]) {
                database = Some(self.text()?);
            } else if self.take(&["region"]) {
                options.push(("REGION", self.text()?));
            } else if self.take(&["catalog_id"]) {
                options.push(("CATALOG_ID", self.text()?));
            } else if self.take(&["iam_role"]) {
                options.push(("IAM_ROLE", self.role()?));
            } else {
                return Err(near(self.tokens.first()));
            }
        }
        if !options.iter().any(|it| it.0 == "IAM_ROLE") {
            return Err("IAM_ROLE is needed for an external schema of the data catalog".to_owned());
        }
        let database = database.ok_or("DATABASE is needed for an external schema of the data catalog")?;
        Ok(External::Create { schema, lenient, database, options })
    }

    fn alter(&mut self) -> Result<External, String> {
        let schema = self.schema()?;
        if !self.take(&["iam_role"]) {
            return Err(near(self.tokens.first()));
        }
        let role = self.role()?;
        if self.tokens.is_empty() { Ok(External::Alter { schema, role }) } else { Err(near(self.tokens.first())) }
    }
}

fn near(token: Option<&Token>) -> String {
    match token {
        Some(Token::Word(it) | Token::Name(it) | Token::Text(it) | Token::Parameter(it) | Token::Other(it)) => {
            format!("syntax error at or near \"{it}\"")
        }
        None => "syntax error at end of input".to_owned(),
    }
}

/// Takes a statement apart, so that what stands in quotes and comments is not taken for anything else.
fn tokens(sql: &str) -> Result<Vec<Token>, String> {
    let (mut found, mut rest) = (Vec::new(), sql);
    while let Some(first) = rest.chars().next() {
        let token = match first {
            '\'' | '"' => {
                let (text, length) = within(rest, first)?;
                rest = &rest[length..];
                if first == '"' { Token::Name(text) } else { Token::Text(text) }
            }
            _ => {
                let name =
                    |it: &str| it.len() - it.trim_start_matches(|it: char| it.is_alphanumeric() || it == '_').len();
                let parameter = rest.strip_prefix(':').map_or(0, name);
                let (length, made): (usize, fn(&str) -> Token) = if rest.starts_with("--") {
                    (rest.find('\n').unwrap_or(rest.len()), |it| Token::Other(it.to_owned()))
                } else if rest.starts_with("::") {
                    (2, |it| Token::Other(it.to_owned()))
                } else if parameter > 0 {
                    (parameter + 1, |it| Token::Parameter(it[1..].to_owned()))
                } else if name(rest) > 0 {
                    (name(rest), |it| Token::Word(it.to_lowercase()))
                } else {
                    (first.len_utf8(), |it| Token::Other(it.to_owned()))
                };
                let token = made(&rest[..length]);
                rest = &rest[length..];
                token
            }
        };
        found.push(token);
    }
    Ok(found)
}

/// Reads what stands in quotes at the beginning; returns it with its length in the text.
fn within(text: &str, quote: char) -> Result<(String, usize), String> {
    let (mut found, mut letters) = (String::new(), text.char_indices().skip(1).peekable());
    while let Some((at, it)) = letters.next() {
        if it != quote {
            found.push(it);
        } else if letters.peek().is_some_and(|it| it.1 == quote) {
            found.push(quote);
            letters.next();
        } else {
            return Ok((found, at + quote.len_utf8()));
        }
    }
    Err("unterminated quoted string".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_schemas_are_read_as_redshift_reads_them() {
        let sql = "create external schema \"Gold\" FROM DATA CATALOG\n DATABASE 'it''s' -- why\n iam_role 'arn:aws:iam::1:role/r' region 'eu-west-1';";
        let options = vec![("IAM_ROLE", "arn:aws:iam::1:role/r".to_owned()), ("REGION", "eu-west-1".to_owned())];
        let wanted = External::Create { schema: "Gold".into(), lenient: false, database: "it's".into(), options };
        assert_eq!(External::read(sql), Ok(Some(wanted)));
        let alter = External::Alter { schema: "gold".into(), role: "default".into() };
        assert_eq!(External::read("ALTER EXTERNAL SCHEMA Gold IAM_ROLE default"), Ok(Some(alter)));
        assert_eq!(External::read("COMMENT ON SCHEMA gold IS 'create external schema'"), Ok(None));
        let refused = |sql: &str| External::read(sql).expect_err("refused");
        assert!(refused("create external schema g from hive metastore").contains("DATA CATALOG only"));
        assert!(refused("create external schema g from data catalog database 'x'").contains("IAM_ROLE is needed"));
        assert_eq!(refused("alter external schema g owner to x"), "syntax error at or near \"owner\"");
        assert_eq!(refused("alter external schema 'g"), "unterminated quoted string");
    }

    #[test]
    fn parameters_are_put_where_they_are_meant() {
        let value = |name: &str| (name == "n").then(|| "a'b".to_owned());
        let sql = filled("SELECT ':n', x::text, \":n\" FROM t WHERE x = :n -- :n", value);
        assert_eq!(sql.as_deref(), Ok("select ':n', x::text, \":n\" from t where x = 'a''b' -- :n"));
        assert_eq!(filled(":m", value).expect_err("no value"), "there is no value of the parameter m");
    }
}
