//! Tests of the loader as a whole, against kinds of its own: they hold whatever the product's kinds become.

mod diagnostics;
mod explaining;
mod fields;
pub(crate) mod kinds;
mod loading;
mod properties;
mod references;
mod schema;
mod texts;
mod values;

use std::{fs, path::Path};

use miette::{GraphicalReportHandler, GraphicalTheme};
use tempfile::TempDir;

use super::{Rejected, Stack, load};

/// A stack without mistakes, to put mistakes into.
pub(crate) const BASE: &str = "\
resources:
  cluster:
    events: {}
  topic:
    orders: { cluster: events, partitions: 6, retention: 7d }
    payments: { cluster: events, partitions: 6 }
  function:
    ingest:
      code: ingest
  table:
    orders:
      columns: [{ name: id, type: bigint }]
";

/// Makes a project of these files.
pub(crate) fn project(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("stacks")).expect("stacks/");
    for (name, text) in files {
        fs::write(root.path().join("stacks").join(name), text).expect("a stack file");
    }
    root
}

/// Loads `local` from a project of these files.
fn local(files: &[(&str, &str)]) -> Result<Stack, Rejected> {
    load(project(files).path(), "local", kinds::KINDS)
}

/// Renders the mistakes of a project's stack `local`, as a terminal of 120 columns shows them.
fn shown(files: &[(&str, &str)]) -> String {
    render(&local(files).expect_err("the stack holds mistakes"))
}

/// Renders the mistakes of a single file.
fn mistakes(text: &str) -> String {
    shown(&[("local.yaml", text)])
}

/// Loads [`BASE`] with a file on top.
fn over(text: &str) -> String {
    shown(&[("base.yaml", BASE), ("local.yaml", &format!("extends: base.yaml\n{text}"))])
}

fn render(rejected: &Rejected) -> String {
    let mut text = String::new();
    let theme = GraphicalTheme::unicode_nocolor();
    let handler = GraphicalReportHandler::new_themed(theme).with_width(120).with_links(false);
    handler.render_report(&mut text, rejected).expect("it renders");
    text.lines().flat_map(|it| [it.trim_end(), "\n"]).collect()
}

/// Loads a stack that must be without mistakes.
#[track_caller]
fn sound(root: &Path, name: &str) -> Stack {
    load(root, name, kinds::KINDS).unwrap_or_else(|err| panic!("{}", render(&err)))
}
