//! A model with its reports as a project that Power BI Desktop opens (PBIP): a folder of text files. Writes nothing itself.

use serde_json::json;

use super::{Ground, Model, Part, tmdl};
use crate::{
    address::Address,
    figures::{self, Mistake},
    resource::{
        Error, Report, Resource as _,
        report::{self, Bound},
    },
};

/// Why there is no project.
#[derive(Debug)]
pub(crate) enum Wanting {
    /// What the files say does not fit together: all of it.
    Wrong(Vec<Mistake>),
    /// A report names a page that there is not.
    Page { report: Address, err: Error },
    /// They cannot be read.
    Other(Error),
}

impl From<figures::Error> for Wanting {
    fn from(it: figures::Error) -> Self {
        match it {
            figures::Error::Unread(err) => Self::Other(Error::Template(err)),
            figures::Error::Wrong(it) => Self::Wrong(vec![it]),
        }
    }
}

impl From<Error> for Wanting {
    fn from(it: Error) -> Self {
        Self::Other(it)
    }
}

/// Lists the files of a model's project, the reports of the stack that show it included, by path.
///
/// # Errors
/// All mistakes of the files that it is made from.
pub(crate) fn files(ground: &Ground<'_>, address: &Address) -> Result<Vec<Part>, Wanting> {
    let model: Model = ground.read(address)?;
    let name = display_name(&model.physical_name(ground.scope, &address.name));
    let design = super::design::try_design(ground, &model, &name)?;
    let folder = format!("{name}.SemanticModel");
    let mut files = vec![platform(&folder, "SemanticModel", &name), Part::new(".gitignore", IGNORED.to_owned())];
    files.extend(tmdl::parts(&design).into_iter().map(|it| it.below(&folder)));
    for (other, spec) in ground.specs.iter().filter(|it| it.0.kind == "report") {
        let Ok(report) = super::read_spec::<Report>(spec) else { continue };
        if report.model.name != address.name {
            continue;
        }
        let checked = report.check_pages(&design, &other.to_string());
        checked.map_err(|err| Wanting::Page { report: other.clone(), err })?;
        let name = display_name(&report.physical_name(ground.scope, &other.name));
        let own = format!("{name}.Report");
        files.push(Part::json(
            format!("{name}.pbip"),
            &json!({
                "$schema": "https://developer.microsoft.com/json-schemas/fabric/pbip/pbipProperties/1.0.0/schema.json",
                "version": "1.0",
                "artifacts": [{ "report": { "path": own } }],
                "settings": { "enableAutoRecovery": true },
            }),
        ));
        files.push(platform(&own, "Report", &name));
        let parts = report::parts(&design, &report.pages, Bound::Path(&folder));
        files.extend(parts.into_iter().map(|it| it.below(&own)));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What Power BI Desktop keeps beside a project, and is nobody else's.
const IGNORED: &str = "**/.pbi/localSettings.json\n**/.pbi/cache.abf\n";

/// `<workspace>/<name>` without the workspace.
pub(crate) fn display_name(physical: &str) -> String {
    physical.rsplit_once('/').map_or(physical, |it| it.1).to_owned()
}

fn platform(folder: &str, kind: &str, name: &str) -> Part {
    Part::json(
        format!("{folder}/.platform"),
        &json!({
            "$schema": "https://developer.microsoft.com/json-schemas/fabric/gitIntegration/platformProperties/2.0.0/schema.json",
            "metadata": { "type": kind, "displayName": name },
            "config": { "version": "2.0", "logicalId": tmdl::lineage(&["item", kind, name]) },
        }),
    )
}
