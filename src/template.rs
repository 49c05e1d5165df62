//! Templates of the project, rendered by tera, strictly: a variable that is not defined is an error.
//!
//! Knows no kind; reads files below `templates/` and nothing else.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde_json::Value;
use tera::{ErrorKind, Kwargs, State};

/// The templates below one folder.
#[derive(Clone, Debug)]
pub struct Templates {
    root: PathBuf,
}

/// A template that could not be read or rendered.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the template {path}: {cause}")]
    #[diagnostic(code(template::unreadable), help("paths are relative to `templates/`"))]
    Unreadable {
        /// The path, as the stack names it.
        path: String,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The template is wrong, or names something it is not given.
    #[error("cannot render the template {at}: {message}")]
    #[diagnostic(code(template::render))]
    Render {
        /// The path, as the stack names it, with line and column from 1 where they are known.
        at: String,
        /// What is wrong.
        message: String,
        /// The template's text.
        #[source_code]
        text: Arc<NamedSource<String>>,
        /// Where in it.
        #[label("here")]
        span: Option<SourceSpan>,
        /// What to do, such as the names that are defined.
        #[help]
        help: Option<String>,
    },
}

impl Templates {
    /// Uses the templates below this folder. Reads nothing yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads a file as it is.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn read(&self, path: &Path) -> Result<String, Error> {
        let unreadable = |cause| Error::Unreadable { path: path.display().to_string(), cause };
        std::fs::read_to_string(self.root.join(path)).map_err(unreadable)
    }

    /// Lists the files directly below a folder, by name.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let unreadable = |cause| Error::Unreadable { path: folder.display().to_string(), cause };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.root.join(folder)).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.path().is_file() {
                files.push(folder.join(entry.file_name()));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Renders a template with these variables. Beside tera's own filters it may use `json` (any value as JSON, quotes
    /// included), `literal` (a text as an SQL literal) and `ident` (a text as an SQL identifier).
    ///
    /// # Errors
    /// [`Error::Unreadable`], or [`Error::Render`] with the place.
    pub fn render(&self, path: &Path, variables: &Value) -> Result<String, Error> {
        let text = self.read(path)?;
        let name = path.display().to_string();
        let fail = |err: tera::Error| located(&name, &text, &err);
        let mut tera = tera::Tera::default();
        tera.register_filter("json", json);
        tera.register_filter("literal", |it: &str, _: Kwargs, _: &State| quoted(it, '\''));
        tera.register_filter("ident", |it: &str, _: Kwargs, _: &State| quoted(it, '"'));
        tera.add_raw_template(&name, &text).map_err(&fail)?;
        let context = tera::Context::from_serialize(variables).map_err(&fail)?;
        tera.render(&name, &context).map_err(&fail)
    }
}

fn json(value: &tera::Value, _: Kwargs, _: &State) -> tera::TeraResult<String> {
    serde_json::to_string(value).map_err(tera::Error::message)
}

/// Doubles the quotes within a text and puts it between quotes, as SQL does for literals (') and identifiers (").
fn quoted(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}

/// Finds the place that tera complains of, and parts what is wrong from what there would be.
fn located(path: &str, text: &str, err: &tera::Error) -> Error {
    let source = || Arc::new(NamedSource::new(format!("templates/{path}"), text.to_owned()));
    let (ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report)) = err.kind() else {
        return Error::Render { at: path.into(), message: causes(err), text: source(), span: None, help: None };
    };
    let (message, help) = match report.message().split_once(" Available ") {
        Some((message, names)) => (message.trim_end_matches('.').to_owned(), Some(format!("there are {names}"))),
        None => (report.message().trim_end_matches('.').to_owned(), None),
    };
    let span = report.span();
    Error::Render {
        at: format!("{path}:{}:{}", span.start_line, span.start_col + 1),
        message,
        text: source(),
        span: Some(span.range.clone().into()),
        help,
    }
}

fn causes(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(err) = source {
        text = format!("{text}: {err}");
        source = err.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(text: &str, variables: &Value) -> Result<String, Error> {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("policy.json"), text).expect("a file");
        Templates::new(root.path()).render(Path::new("policy.json"), variables)
    }

    #[test]
    fn what_is_walked_through_comes_in_an_order() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let things: serde_json::Map<_, _> = names.iter().map(|it| ((*it).to_owned(), json!({}))).collect();
        let text = "{% for name, it in topic %}{{ name }}{{ loop.index }}{% endfor %}";
        assert_eq!(render(text, &json!({ "topic": things })).as_deref().ok(), Some("a1b2c3d4e5f6g7h8"));
    }

    #[test]
    fn undefined_variable_is_shown_where_it_stands() {
        let variables = json!({ "stack": "s", "bucket": { "lake": { "arn": "a", "name": "n" } } });
        let Err(Error::Render { at, message, span, help, .. }) =
            render("{\n  \"Resource\": \"{{ bucket.lake.url }}/*\"\n}", &variables)
        else {
            panic!("a variable that is not defined is an error")
        };
        assert_eq!(at, "policy.json:2:31");
        assert_eq!(message, "Field `url` is not defined");
        assert_eq!(span, Some((32, 3).into()));
        assert_eq!(help.as_deref(), Some("there are fields: arn, name"));

        let Err(Error::Render { at, message, help, .. }) = render("{{ topic }}", &variables) else {
            panic!("a variable that is not defined is an error")
        };
        assert_eq!((at.as_str(), message.as_str()), ("policy.json:1:4", "Variable `topic` is not defined"));
        assert_eq!(help.as_deref(), Some("there are variables: bucket, stack"));
    }

    #[test]
    fn mistakes_of_syntax_have_a_place() {
        let Err(Error::Render { at, span, .. }) = render("a\n{% if %}", &json!({})) else {
            panic!("a condition is missing")
        };
        assert!(at.starts_with("policy.json:2:"), "{at}");
        assert!(span.is_some());
    }

    #[test]
    fn filters_quote() {
        let variables = json!({ "name": "it's \"so\"", "list": ["a", 1] });
        let text = "{{ name | json }} {{ name | literal }} {{ name | ident }} {{ list | json }}";
        let expected = r#""it's \"so\"" 'it''s "so"' "it's ""so""" ["a",1]"#;
        assert_eq!(render(text, &variables).expect("filters work"), expected);
    }

    #[test]
    fn a_missing_file_is_named() {
        let err = Templates::new("nowhere").read(Path::new("policies/x.json")).expect_err("there is none");
        assert!(err.to_string().starts_with("cannot read the template policies/x.json: "), "{err}");
    }
}
