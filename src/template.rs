//! Templates of the project, rendered by tera, strictly: a variable that is not defined is an error.
//!
//! Knows no kind; reads files below `templates/` and nothing else.

use std::path::{Path, PathBuf};

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde_json::Value;

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
    #[error("cannot render the template {path}: {message}")]
    #[diagnostic(code(template::render))]
    Render {
        /// The path, as the stack names it.
        path: String,
        /// What is wrong.
        message: String,
        /// The template's text.
        #[source_code]
        text: std::sync::Arc<NamedSource<String>>,
        /// Where in it.
        #[label("here")]
        span: Option<SourceSpan>,
        /// What to do.
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

    /// Renders a template with these variables.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or [`Error::Render`] with the place.
    pub fn render(&self, path: &Path, variables: &Value) -> Result<String, Error> {
        let text = self.read(path)?;
        let name = path.display().to_string();
        let fail = |err: tera::Error| Error::Render {
            path: name.clone(),
            message: causes(&err),
            text: std::sync::Arc::new(NamedSource::new(format!("templates/{name}"), text.clone())),
            span: None,
            help: None,
        };
        let mut tera = tera::Tera::default();
        tera.add_raw_template(&name, &text).map_err(&fail)?;
        let context = tera::Context::from_serialize(variables).map_err(&fail)?;
        tera.render(&name, &context).map_err(&fail)
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
