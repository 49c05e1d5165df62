use std::path::Path;

use serde_json::json;

use super::{
    design::{Files, lake},
    *,
};
use crate::{
    figures::{Definitions, Mistake, Text},
    resource::{Report, testing},
};

mod defects;
mod life;

const LAYOUT: &str = include_str!("../../../templates/powerbi/sales.toml");
const FIGURES: &str = include_str!("../../../templates/dashboards/sales.toml");
const WORKSPACE: &str = "11111111-aaaa-4bbb-8ccc-000000000001";

fn templates() -> Templates {
    Templates::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"))
}

fn specs(model: Value) -> BTreeMap<Address, Value> {
    let contract = "notebooks/src/ecom_pipeline/contracts/gold.json";
    let tables =
        ["daily_sales", "product_sales", "payment_outcomes", "customer_segments", "cohort_retention", "order_facts"];
    let mut specs: BTreeMap<Address, Value> = tables
        .iter()
        .map(|it| {
            let spec =
                json!({ "catalog": "gold", "bucket": "lake", "prefix": format!("gold/{it}"), "contract": contract });
            (Address::new("table", *it), spec)
        })
        .collect();
    specs.insert(Address::new("catalog", "gold"), json!({ "name": "gold" }));
    let mut spec = json!({ "workspace": WORKSPACE, "tables": tables, "source": { "athena": {} } });
    spec.as_object_mut().expect("a map").extend(model.as_object().cloned().unwrap_or_default());
    specs.insert(Address::new("model", "sales"), spec);
    let report = json!({ "workspace": WORKSPACE, "model": "sales", "pages": ["sales", "customers", "pipeline"] });
    specs.insert(Address::new("report", "sales"), report);
    specs
}

fn scope() -> Scope {
    Scope { stack: "s".into(), account: String::new(), region: String::new() }
}

/// The project of a model that says this besides.
fn project(model: Value) -> Vec<Part> {
    let (specs, templates, scope) = (specs(model), templates(), scope());
    let ground = Ground { specs: &specs, templates: &templates, scope: &scope };
    project::files(&ground, &Address::new("model", "sales")).expect("no mistakes")
}

/// What is wrong when the two files say this, and the lake holds what its contract says, changed like this.
fn mistakes(
    layout: &str,
    figures: &str,
    change: impl FnOnce(&mut BTreeMap<String, design::LakeTable>),
) -> Vec<Mistake> {
    let (layout_text, figures_text) = (Text::new("layout.toml", layout), Text::new("figures.toml", figures));
    let layout = match layout_text.parse() {
        Ok(it) => it,
        Err(mistake) => return vec![mistake],
    };
    let figures = match Definitions::parse(&figures_text) {
        Ok(it) => it,
        Err(mistake) => return vec![mistake],
    };
    let (specs, templates, scope) = (specs(json!({})), templates(), scope());
    let ground = Ground { specs: &specs, templates: &templates, scope: &scope };
    let model = ground.read(&Address::new("model", "sales")).expect("a spec");
    let mut lake = lake(&ground, &model).expect("contracts");
    change(&mut lake);
    check::mistakes(&Files { layout, layout_text, figures, figures_text }, &lake)
}

#[test]
fn the_files_of_the_project_fit_together_and_give_the_same_bytes() {
    let found = mistakes(LAYOUT, FIGURES, |_| ());
    assert!(found.is_empty(), "{found:?}");
    let once = project(json!({}));
    assert_eq!(once, project(json!({})));
    for it in &once {
        assert!(!it.text.contains('\r') && it.text.ends_with('\n'), "{}", it.path);
        if it.is("json") || it.path.ends_with(".platform") {
            serde_json::from_str::<Value>(&it.text).expect("JSON");
        }
        if it.is("tmdl") {
            assert!(it.text.lines().all(|it| !it.starts_with(' ')), "{}: tabs indent", it.path);
        }
    }
    let mut paths: Vec<&str> = once.iter().map(|it| it.path.as_str()).collect();
    assert!(paths.is_sorted());
    paths.dedup();
    assert_eq!(paths.len(), once.len());
}

#[test]
fn what_cannot_be_told_is_said_on_the_page() {
    let files = project(json!({}));
    let absent = files.iter().find(|it| it.path.ends_with("visuals/absent/visual.json")).expect("a visual");
    for word in ["Conversion rate", "Cart abandonment", "no visits or sessions"] {
        assert!(absent.text.contains(word), "{word}");
    }
}

#[test]
fn source_and_mode_are_all_that_differs_between_stacks() {
    let files = project(
        json!({ "mode": "direct_query", "source": { "redshift": { "server": "h:5439", "database": "d", "schema": "g" } } }),
    );
    let text = |end: &str| files.iter().find(|it| it.path.ends_with(end)).expect(end).text.clone();
    let sales = text("tables/Sales.tmdl");
    assert!(sales.contains("mode: directQuery") && sales.contains("Schema{[Name = \"daily_sales\"]}[Data]"), "{sales}");
    assert!(text("expressions.tmdl").contains("expression RedshiftServer = \"h:5439\" meta"));
    assert!(text("tables/Date.tmdl").contains("mode: import"), "what Power BI computes is kept");
    let other: Vec<Part> = project(json!({}));
    let same = |it: &&Part| other.contains(it);
    let different = files.iter().filter(|it| !same(it)).count();
    assert_eq!(different, 7, "the parameters and six tables");
}

/// As the service writes it: other identifiers, its own annotations, another order, expressions in several lines.
#[test]
fn a_definition_that_comes_back_is_the_one_that_went() {
    let (specs, templates, scope) = (specs(json!({})), templates(), scope());
    let ground = Ground { specs: &specs, templates: &templates, scope: &scope };
    let design = design(&ground, &ground.read(&Address::new("model", "sales")).expect("a spec"), "s").expect("sound");
    let parts = tmdl::parts(&design);
    let rewrite = |it: &Part| {
        let text = it.text.replace("\t\tisHidden\n", "\t\tisHidden: true\n").replace("Date.Date", "'Date'.'Date'");
        let text: String = text.lines().filter(|it| !it.contains("lineageTag")).map(|it| format!("{it}\n")).collect();
        let one_line = "measure 'Net sales' = IF(HASONEVALUE(Currency[Currency]), SUM(Sales[Net sales]))";
        let several = "measure 'Net sales' =\n\t\t\tIF(HASONEVALUE(Currency[Currency]), SUM(Sales[Net sales]))";
        let text = text.replace(one_line, several);
        Part::new(&it.path, text + "\n\tannotation PBI_ResultType = Table\n\n\tchangedProperty = IsHidden\n")
    };
    let back: Vec<Part> = parts.iter().rev().map(rewrite).collect();
    let shown = read::shown(&parts);
    assert_eq!(read::shown(&back), shown);
    assert_eq!(shown["joins"].as_object().expect("joins").len(), 8);
    assert_eq!(shown["parameters"]["AthenaDsn"], "ecomctl");
    let sales = shown["measures"]["Net sales"].as_str().expect("a measure");
    assert!(sales.starts_with("IF(HASONEVALUE(Currency[Currency]), SUM(Sales[Net sales])) · #,##0.00"), "{sales}");
    assert_eq!(shown["columns"]["Orders[Order id]"], "string · order_id · isKey · Id of the order");

    let mut edited = parts.clone();
    let figures = edited.iter_mut().find(|it| it.path.ends_with("Figures.tmdl")).expect("there");
    figures.text = figures.text.replace("[Payments succeeded] + [Payments failed]", "[Payments succeeded]");
    let changed = read::shown(&edited);
    let (before, after) =
        (shown["measures"].as_object().expect("a map"), changed["measures"].as_object().expect("a map"));
    let differs: Vec<&String> = before.keys().filter(|it| before[*it] != after[*it]).collect();
    assert_eq!(differs, ["Payment failure rate"], "one measure, and nothing else");
    assert_eq!(read::data(&back), read::data(&parts));
    assert_eq!(read::data(&edited), read::data(&parts), "a measure loads no data anew");
    let same = |from: &str, to: &str| {
        let mut edited = parts.clone();
        assert!(edited.iter().any(|it| it.text.contains(from)), "{from}");
        edited.iter_mut().for_each(|it| it.text = it.text.replace(from, to));
        read::data(&edited) == read::data(&parts)
    };
    assert!(same("\t\tisHidden\n", "") && same("/// Id of the order", "/// The order's id"), "readers alone see these");
    assert!(!same("\"ecomctl\" meta", "\"other\" meta") && !same("mode: import", "mode: directQuery"));
    assert!(!same("Name = \"daily_sales\"", "Name = \"weekly_sales\""));
    assert!(!same("toColumn: Customers.'Customer id'", "toColumn: Customers.Country"));
}

/// What a stack publishes is what `ecomctl build` writes, byte for byte, but for the report's word of its model.
#[tokio::test]
async fn what_is_published_is_what_is_built() {
    let life::World { there, cx, .. } = &life::World::new(json!({})).await;
    let owner = |kind: &str| crate::address::Owner {
        stack: "s".into(),
        address: Address::new(kind, "sales"),
        nonce: "n".into(),
    };
    let physical = format!("{WORKSPACE}/s-sales");
    let name = |kind: &str| Name { physical: physical.clone(), owner: owner(kind), id: None };
    let model: Model = Ground::of(cx).read(&Address::new("model", "sales")).expect("a spec");
    model.create(cx, &name("model")).await.expect("made");
    let live = Model::read(cx, &[name("model")]).await.expect("read").remove(0).expect("there");
    assert!(matches!(Model::identity(&live).ownership, super::super::Ownership::Tagged(it) if it == owner("model")));
    let wanted = model.desired(cx).expect("known").spec;
    let mut observed = Model::observed(&live);
    for it in ["data", "loaded"] {
        observed["definition"][it] = wanted["definition"][it].clone();
    }
    assert_eq!(observed["definition"], wanted["definition"], "only the data are still to be loaded");

    // Whoever asks again is told, and finds it; there is no second one, in this workspace or another.
    let again = model.create(cx, &name("model")).await.expect_err("there already");
    assert!(matches!(again, KindError::Client(it) if it.reason == crate::client::Reason::Exists));
    let elsewhere = Name { physical: format!("{}2/s-sales", &WORKSPACE[..35]), ..name("model") };
    assert!(Model::read(cx, &[elsewhere]).await.expect("read").remove(0).is_none());

    let report: Report = Ground::of(cx).read(&Address::new("report", "sales")).expect("a spec");
    let id = live.id().to_owned();
    let observation = crate::resource::Observation {
        observed: Value::Null,
        identity: Model::identity(&live),
        phase: crate::resource::Phase::Ready,
        outputs: Outputs::new(),
        live: std::sync::Arc::new(live),
    };
    cx.lives.set(&Address::new("model", "sales"), Some(observation));
    report.create(cx, &name("report")).await.expect("made");
    let live = Report::read(cx, &[name("report")]).await.expect("read").remove(0).expect("there");
    let (observed, desired) = (Report::observed(&live), report.desired(cx).expect("known"));
    assert_eq!(observed["definition"], desired.spec["definition"]);
    assert_eq!(observed["model"], id);

    let built: BTreeMap<String, String> = project(json!({})).into_iter().map(|it| (it.path, it.text)).collect();
    for (section, folder, apart) in
        [("semanticModels", "s-sales.SemanticModel", None), ("reports", "s-sales.Report", Some("definition.pbir"))]
    {
        let asked = there.asked().await;
        let body =
            asked.iter().find(|it| it.0 == "POST" && it.1.ends_with(section)).map(|it| it.2.clone()).expect(section);
        let sent = body["definition"]["parts"].as_array().cloned().expect("parts");
        let own = built.keys().filter(|it| it.starts_with(folder) && !it.ends_with("/.platform")).count();
        assert_eq!(sent.len(), own, "{section}: as many parts as files");
        for it in sent.iter().filter(|it| it["path"].as_str() != apart) {
            use base64::Engine as _;
            let content =
                base64::prelude::BASE64_STANDARD.decode(it["payload"].as_str().expect("text")).expect("base64");
            let path = format!("{folder}/{}", it["path"].as_str().expect("a path"));
            assert_eq!(String::from_utf8(content).expect("text"), built[&path], "{path}");
        }
    }
}
