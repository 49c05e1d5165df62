//! `ecomctl build STACK --only model.NAME`: a model and its reports as a project that Power BI Desktop opens. Asks nobody.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::json;

use crate::{
    address::Address,
    command::{Error, Exit, Result, error, project::Project},
    figures::Mistake,
    report::{Terminal, human},
    resource::{
        self, KINDS, Report, Scope,
        model::{
            Ground,
            project::{self, Wanting},
            read_spec,
        },
    },
    stack::{self, Stack},
    template::Templates,
};

/// Everything that is wrong in the files that a model is made from.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{address} of stack `{stack}` has {} mistake{}", .mistakes.len(), if .mistakes.len() == 1 { "" } else { "s" })]
#[diagnostic(code(model::rejected))]
struct Wrong {
    address: Address,
    stack: String,
    #[related]
    mistakes: Vec<Mistake>,
}

/// A report whose `pages` do not fit its model.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{at}{err}")]
#[diagnostic(code(report::pages))]
struct Pages {
    /// Where the stack's files say it, with a colon.
    at: String,
    err: resource::Error,
    #[help]
    help: Option<String>,
}

/// Says whether this is what is built here: a model, or a report that is part of a model's project.
pub(super) fn takes(only: &Address) -> bool {
    ["model", "report"].contains(&only.kind.as_str())
}

/// Checks a model, and writes its project.
///
/// # Errors
/// All mistakes of the files; that there is no such model; or that the project cannot be written.
pub(super) fn run(
    project: &Project,
    stack: &Stack,
    only: &Address,
    out: Option<&Path>,
    terminal: Terminal,
) -> Result<Exit> {
    let Some(definition) = stack.resources.get(only) else { return Err(missing(project, stack, only)) };
    let only = &match only.kind.as_str() {
        "report" => read_spec::<Report>(&definition.spec).map_err(error::internal)?.model.address(),
        _ => only.clone(),
    };
    let specs = stack.resources.iter().map(|(address, it)| (address.clone(), it.spec.clone())).collect();
    let templates = Templates::new(project.root.join("templates"));
    // No name in a project holds an account or a region.
    let scope = Scope { stack: stack.name.clone(), account: String::new(), region: String::new() };
    let ground = Ground { specs: &specs, templates: &templates, scope: &scope };
    let files = project::files(&ground, only).map_err(|it| match it {
        Wanting::Wrong(mistakes) => {
            Error::new(Exit::Rejected, Wrong { address: only.clone(), stack: stack.name.clone(), mistakes })
        }
        Wanting::Page { report, err } => {
            let explained = stack::explain(&project.root, &stack.name, &format!("{report}.pages"), KINDS).ok();
            let origin = explained.and_then(|it| it.fields.into_iter().find_map(|it| it.origin));
            let help = miette::Diagnostic::help(&err).map(|it| it.to_string());
            let at = origin.map(|it| format!("{it}: ")).unwrap_or_default();
            Error::new(Exit::Rejected, Pages { at, err, help })
        }
        Wanting::Other(err) => Error::new(Exit::Rejected, err),
    })?;
    let usual = || project.root.join("target/powerbi").join(&stack.name).join(&only.name);
    let folder = out.map_or_else(usual, Path::to_path_buf);
    let mut written: Vec<PathBuf> = Vec::new();
    for it in files.iter().filter_map(|it| it.path.split_once("/definition/")).map(|it| folder.join(it.0)) {
        if !written.contains(&it) {
            clear(&it.join("definition"))?;
            written.push(it);
        }
    }
    for it in &files {
        write(&folder.join(&it.path), &it.text)?;
    }
    if terminal.json {
        let paths: Vec<&str> = files.iter().map(|it| it.path.as_str()).collect();
        let told = json!({ "stack": stack.name, "model": only, "folder": folder, "files": paths });
        terminal.print(&format!("{told:#}"));
    } else {
        let opens = files.iter().find(|it| it.is("pbip")).map(|it| folder.join(&it.path));
        terminal.print(&opens.unwrap_or_else(|| folder.clone()).display().to_string());
        terminal.note(&format!("{} files; Power BI Desktop opens the one that ends with .pbip", files.len()));
    }
    Ok(Exit::Done)
}

/// Says that there is no such model, and which stacks have it: what a project holds asks nobody, wherever it is built.
fn missing(project: &Project, stack: &Stack, only: &Address) -> Error {
    let own: Vec<String> = stack.resources.keys().filter(|it| takes(it)).map(ToString::to_string).collect();
    let names = stack::names(&project.root).unwrap_or_default();
    let has = |name: &String| stack::load(&project.root, name, KINDS).is_ok_and(|it| it.resources.contains_key(only));
    let others: Vec<String> = names.into_iter().filter(has).collect();
    let message = format!("stack `{}` has no {only}", stack.name);
    let help = match (own.len(), others.as_slice()) {
        (0, []) => "no model is defined in its file".to_owned(),
        (0, [first, rest @ ..]) => format!(
            "{} {} it, and no cloud is needed to build it: ecomctl build {first} --only {only}",
            human::list(&others),
            if rest.is_empty() { "has" } else { "have" },
        ),
        _ => format!("it has {}", own.join(", ")),
    };
    error::Problem::Usage { message, help: Some(help) }.into()
}

/// Removes what an earlier build wrote, so that a visual that is gone does not stay.
fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(error::file("remove", folder)(err)),
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(error::file("create", folder))?;
    }
    std::fs::write(path, text).map_err(error::file("write", path))
}
