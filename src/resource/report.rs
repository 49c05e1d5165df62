//! A report of Power BI over a model: pages of visuals, published to the model's workspace or another one of Fabric.
//!
//! What the workspace has is compared page by page and visual by visual. Whose it is stands in its description.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Model, Objection, Outputs, Resource, Result, Scope,
    model::{self, Design, Part, mark, mark::Mark},
    touched,
};
use crate::{
    address::{Name, Ref},
    client::{
        Error,
        fabric::{Item, Sort},
    },
};

mod emit;
mod pbir;

pub(crate) use emit::{Bound, parts};

/// A report: pages that show a model's figures.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The workspace of Fabric that it is published to: a GUID. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The model that it shows.
    pub model: Ref<Model>,
    /// The pages, in order, as the model's layout calls them. The first one is shown first.
    pub pages: Vec<String>,
}

/// A report as the workspace has it.
#[derive(Debug)]
pub struct LiveReport {
    workspace: String,
    item: Item,
    /// As the workspace lists it, where that is not its name.
    misnamed: Option<String>,
    parts: Vec<Part>,
}

impl LiveReport {
    fn mark(&self) -> Option<Mark> {
        Mark::read(&self.item.description)
    }
}

impl Resource for Report {
    const FIELDS: &'static [(&'static str, Field)] = &[];
    const LISTED: bool = false;
    const OUTPUTS: &'static [&'static str] = &["id", "name", "url"];
    const RENAMES: bool = true;
    type Live = LiveReport;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        model::physical(self.workspace.as_deref(), scope, name)
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = model::workspace_flaws("report", self.workspace.as_deref());
        if self.pages.is_empty() {
            flaws.push(Flaw::new("/pages", "a report needs a page"));
        }
        for (i, it) in self.pages.iter().enumerate() {
            if self.pages[..i].contains(it) {
                flaws.push(Flaw::new(format!("/pages/{i}"), format!("page `{it}` stands there twice")));
            }
        }
        flaws
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let shown = shown(&self.parts(cx, Bound::Model(""))?);
        let workspace = self.workspace.clone().unwrap_or_default();
        let desired = Desired::default().with("workspace", workspace).with("definition", shown);
        desired.with_result("model", cx.live(&self.model).map(|it| it.id().to_lowercase()))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveReport>>> {
        let found = model::find(cx, Sort::Report, names).await?;
        let lives = found.into_iter().zip(names).map(|(it, name)| async move {
            let Some((workspace, item)) = it else { return Ok(None) };
            let parts = Error::missing_is_none(cx.fabric.definition(&workspace, Sort::Report, &item.id).await)?;
            let shall = model::place(&name.physical).1;
            let misnamed = (item.display_name != shall).then(|| item.display_name.clone());
            Ok(parts.map(|it| LiveReport { workspace, item, misnamed, parts: model::received(it) }))
        });
        try_join_all(lives).await
    }

    fn observed(live: &LiveReport) -> Value {
        json!({
            "workspace": live.workspace,
            "definition": shown(&live.parts),
            "model": bound(&live.parts),
            // Only there when something is wrong.
            "name": live.misnamed,
        })
    }

    fn identity(live: &LiveReport) -> Identity {
        Identity { id: Some(live.item.id.clone()), ownership: mark::ownership(live.mark()) }
    }

    fn outputs(live: &LiveReport) -> Outputs {
        let url = format!("https://app.powerbi.com/groups/{}/reports/{}", live.workspace, live.item.id);
        Outputs::from([("id", live.item.id.clone()), ("name", live.item.display_name.clone()), ("url", url)])
    }

    fn objections(&self, _cx: &Cx, _live: &LiveReport, changes: &[Change]) -> Vec<Objection> {
        model::moved(changes)
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let (workspace, display) = model::place(&name.physical);
        let model = cx.live(&self.model)?;
        let parts = model::sent(self.parts(cx, Bound::Model(model.id()))?);
        let about = Mark::of(&name.owner).to_string();
        Ok(cx.fabric.create(workspace, Sort::Report, display, &about, &parts).await?)
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveReport, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        if touched.contains("tags") || touched.contains("name") {
            let (shall, about) = (model::place(&name.physical).1, Mark::of(&name.owner).to_string());
            cx.fabric.describe(&live.workspace, Sort::Report, &live.item.id, shall, &about).await?;
        }
        if touched.contains("definition") || touched.contains("model") {
            let model = cx.live(&self.model)?;
            let parts = model::sent(self.parts(cx, Bound::Model(model.id()))?);
            cx.fabric.define(&live.workspace, Sort::Report, &live.item.id, &parts).await?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, _name: &Name, live: &LiveReport) -> Result<()> {
        Ok(Error::missing_is_done(cx.fabric.delete(&live.workspace, Sort::Report, &live.item.id).await)?)
    }
}

impl Report {
    fn parts(&self, cx: &Cx, bound: Bound<'_>) -> Result<Vec<Part>> {
        let model: Model = cx.spec(&self.model)?;
        let design = model.design(cx, "model")?;
        self.check_pages(&design, "the report")?;
        Ok(parts(&design, &self.pages, bound))
    }

    /// Makes sure that all pages are there.
    ///
    /// # Errors
    /// Says which is not, and which there are.
    pub(crate) fn check_pages(&self, design: &Design, who: &str) -> Result<()> {
        let Some(it) = self.pages.iter().find(|it| design.page(it).is_none()) else { return Ok(()) };
        let names: Vec<&str> = design.pages.iter().map(|it| it.name.as_ref().as_str()).collect();
        Err(KindError::Refused {
            message: format!("`pages` of {who} names `{it}`, which the model's layout does not have"),
            help: match names.len() {
                0 => "it has no page".to_owned(),
                _ => format!("its pages are: {}", names.join(", ")),
            },
        })
    }
}

/// A definition as plans show it: titles of pages in order, and what each visual shows.
fn shown(parts: &[Part]) -> Value {
    let (mut pages, mut visuals, mut order) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for part in parts {
        let Ok(mut file) = serde_json::from_str::<Value>(&part.text) else { continue };
        // The service may know newer ones, and says so.
        if let Some(map) = file.as_object_mut() {
            map.shift_remove("$schema");
        }
        match part.path.split('/').collect::<Vec<_>>()[..] {
            ["definition", "pages", "pages.json"] => {
                let names = file["pageOrder"].as_array().into_iter().flatten().filter_map(Value::as_str);
                order = names.map(str::to_owned).collect();
            }
            ["definition", "pages", page, "page.json"] => {
                let title = file["displayName"].as_str().unwrap_or_default();
                pages.insert(page.to_owned(), format!("{title} · {} × {}", file["width"], file["height"]));
            }
            ["definition", "pages", page, "visuals", visual, "visual.json"] => {
                visuals.insert(format!("{page}/{visual}"), summary(&file));
            }
            _ => (),
        }
    }
    json!({ "order": order.join(", "), "pages": pages, "visuals": visuals })
}

/// A visual in one line: its kind, its fields, and a digest of everything.
fn summary(visual: &Value) -> String {
    let roles = visual["visual"]["query"]["queryState"].as_object().into_iter().flatten();
    let fields = roles.flat_map(|it| it.1["projections"].as_array().into_iter().flatten());
    let fields: Vec<&str> = fields.filter_map(|it| it["queryRef"].as_str()).collect();
    let digest = Sha256::digest(sorted(visual).to_string());
    let digest: String = digest.iter().take(4).map(|it| format!("{it:02x}")).collect();
    let kind = visual["visual"]["visualType"].as_str().unwrap_or_default();
    format!("{kind} · {} · {digest}", fields.join(", "))
}

/// The same JSON with its keys in one order.
fn sorted(it: &Value) -> Value {
    match it {
        Value::Object(map) => json!(map.iter().map(|(key, it)| (key, sorted(it))).collect::<BTreeMap<_, _>>()),
        Value::Array(items) => items.iter().map(sorted).collect(),
        it => it.clone(),
    }
}

/// The identifier of the model that a definition names.
fn bound(parts: &[Part]) -> Option<String> {
    let file = parts.iter().find(|it| it.path == "definition.pbir")?;
    let file: Value = serde_json::from_str(&file.text).ok()?;
    let connection = file["datasetReference"]["byConnection"]["connectionString"].as_str()?;
    let pairs = connection.split(';').filter_map(|it| it.split_once('='));
    let mut ids = pairs.filter(|it| it.0.trim().eq_ignore_ascii_case("semanticmodelid"));
    ids.next().map(|it| it.1.trim().trim_matches('"').to_lowercase())
}

#[cfg(test)]
mod tests;
