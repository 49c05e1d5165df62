//! Every metric that an alarm or a dashboard of this project names is emitted by something.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    address::Address,
    resource::{
        Cx, Identity, KINDS, Observation, Outputs, Ownership, Phase, kind,
        metric::{METRICS, OWN},
        testing,
    },
    stack::{self, Stack},
    template::Templates,
};

/// Templates of alarms that no stack of this project uses, each with the reason. This list may only shrink.
const UNUSED: &[(&str, &str)] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stacks() -> Vec<Stack> {
    ["local"].iter().map(|it| stack::load(root(), it, KINDS).unwrap_or_else(|err| panic!("{it}: {err:?}"))).collect()
}

/// A context as if everything that the stack defines were there.
fn cx(stack: &Stack) -> Cx {
    let mut cx = testing::cx();
    cx.templates = Arc::new(Templates::new(root().join("templates")));
    cx.specs = Arc::new(stack.resources.iter().map(|(address, it)| (address.clone(), it.spec.clone())).collect());
    for address in stack.resources.keys() {
        let outputs = Outputs::from([("id", format!("id-of-{}", address.name))]);
        let identity = Identity { id: None, ownership: Ownership::Foreign };
        let (observed, phase) = (json!({}), Phase::Ready);
        cx.lives.set(address, Some(Observation { observed, identity, phase, outputs, live: Arc::new(()) }));
    }
    cx
}

/// What each alarm and dashboard of a stack shall be.
fn wanted(stack: &Stack, of: &str) -> BTreeMap<Address, Value> {
    let (cx, kind) = (cx(stack), kind(KINDS, of).expect("a kind"));
    let them = stack.resources.iter().filter(|it| it.0.kind == of);
    them.map(|(address, it)| {
        let desired = kind.desired(&it.spec, &cx).unwrap_or_else(|err| panic!("{address}: {err}"));
        assert!(desired.unknown.is_empty(), "{address}: {:?}", desired.unknown);
        (address.clone(), desired.spec)
    })
    .collect()
}

/// Rendering refuses metrics that the list does not hold, so it is enough that everything renders.
#[test]
fn alarms_and_dashboards_name_metrics_that_are_listed() {
    for stack in stacks() {
        let alarms = wanted(&stack, "alarm");
        let dashboards = wanted(&stack, "dashboard");
        assert!(alarms.values().any(|it| it["type"] == "metric" && it["value"].is_string()), "{}", stack.name);
        assert!(alarms.values().any(|it| it["type"] == "composite"), "{}", stack.name);
        assert!(!dashboards.is_empty(), "{}", stack.name);
    }
}

/// The other half: what is listed as the project's own stands, by name, in the sources of the function that is to emit it.
#[test]
fn functions_emit_what_is_listed_as_theirs() {
    let own: BTreeSet<(&str, &str)> =
        METRICS.iter().filter(|it| it.namespace == OWN).map(|it| (it.by, it.name)).collect();
    let mut missing = Vec::new();
    for (by, name) in own {
        let sources = sources(&root().join("lambdas").join(by).join("src"));
        let emitted = sources.iter().any(|it| it.contains(&format!("\"{name}\"")));
        missing.extend((!emitted).then(|| format!("lambdas/{by} does not emit {name}")));
    }
    assert_eq!(missing, Vec::<String>::new());
    let aws = METRICS.iter().filter(|it| it.namespace.starts_with("AWS/"));
    assert!(aws.clone().all(|it| it.by == "aws") && aws.count() > 0);
}

/// What the local cloud does not emit, no alarm could go off on here.
#[test]
fn the_local_cloud_emits_what_is_listed_as_of_aws() {
    let gateway = sources(&root().join("src/local"));
    let named = |name: &str| gateway.iter().any(|it| it.contains(&format!("\"{name}\"")));
    let missing: Vec<_> = METRICS.iter().filter(|it| it.by == "aws" && !named(it.name)).map(|it| it.name).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_template_of_an_alarm_is_used() {
    let folder = root().join("templates/alarms");
    let there = std::fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry").file_name());
    let there: BTreeSet<String> = there.map(|it| format!("alarms/{}", it.to_string_lossy())).collect();
    let mut used = BTreeSet::new();
    for stack in stacks() {
        let alarms = stack.resources.iter().filter(|it| it.0.kind == "alarm");
        used.extend(alarms.filter_map(|it| it.1.spec["template"].as_str().map(str::to_owned)));
    }
    let unused: Vec<_> = there.difference(&used).filter(|it| !UNUSED.iter().any(|known| known.0 == **it)).collect();
    assert_eq!(unused, Vec::<&String>::new());
    assert!(UNUSED.iter().all(|it| there.contains(it.0) && !used.contains(it.0)), "the list shrinks");
}

/// What people are told to run can be run, on a resource that is there.
#[test]
fn commands_that_alarms_name_exist() {
    for stack in stacks() {
        for (address, alarm) in wanted(&stack, "alarm") {
            let text = alarm["description"].as_str().expect("a text");
            let command = text.lines().last().and_then(|it| it.strip_prefix("Run: ")).expect("a command");
            let parsed = crate::cli::definition().try_get_matches_from(command.split(' '));
            assert!(parsed.is_ok(), "{address}: `{command}`: {:?}", parsed.err());
            let named = command.split(' ').filter_map(|it| it.parse::<Address>().ok());
            for it in named.filter(|it| kind(KINDS, &it.kind).is_some() && !it.name.contains('.')) {
                assert!(stack.resources.contains_key(&it), "{address}: there is no {it}");
            }
        }
    }
}

/// Who is told of an alarm, or of one that stands for it: nothing goes off unheard.
#[test]
fn somebody_is_told_of_every_alarm() {
    for stack in stacks() {
        let alarms = wanted(&stack, "alarm");
        let told = |it: &Value| it["notify"].as_array().is_some_and(|it| !it.is_empty());
        let rules: String = alarms.values().filter(|it| told(it)).filter_map(|it| it["rule"].as_str()).collect();
        let unheard: Vec<_> = alarms
            .iter()
            .filter(|(address, it)| {
                !told(it) && !rules.contains(&format!("\"{}\"", testing::cx().scope.physical(&address.name)))
            })
            .map(|it| it.0.to_string())
            .collect();
        assert_eq!(unheard, Vec::<String>::new());
    }
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|err| panic!("{}: {err}", folder.display())) {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => texts.push(std::fs::read_to_string(&path).unwrap_or_default()),
            }
        }
    }
    texts
}
