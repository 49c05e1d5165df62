//! Where values come from.

use super::*;
use crate::stack::{Explanation, explain};

const FILES: &[(&str, &str)] = &[
    ("base.yaml", "stack: { region: eu-central-1 }\nresources:\n  function:\n    ingest:\n      code: ingest\n      memory: 128MiB\n      environment: { A.B: 1x, C: c }\n"),
    ("mid.yaml", "extends: base.yaml\nresources:\n  function:\n    ingest:\n      memory: 256MiB\n"),
    ("local.yaml", "extends: mid.yaml\nresources:\n  function:\n    ingest:\n      memory: 512MiB\n      environment: { C: null }\n      after: []\n"),
];

fn told(target: &str) -> Result<String, String> {
    let root = project(FILES);
    let said = |it: Explanation| {
        let lines = it.fields.iter().map(|it| {
            let origin = it.origin.as_ref().map_or("default".to_owned(), ToString::to_string);
            let over: String = it.overrode.iter().map(|it| format!(", over {} of {}", it.value, it.origin)).collect();
            format!("{} = {} ({origin}{over})\n", it.field, it.value)
        });
        lines.collect()
    };
    explain(root.path(), "local", target, kinds::KINDS).map(said).map_err(|it| render(&it))
}

#[test]
fn a_field() {
    insta::assert_snapshot!(told("function.ingest.memory").expect("there"), @"");
    insta::assert_snapshot!(told("function.ingest.environment").expect("there"), @"");
    insta::assert_snapshot!(told("function.ingest.environment.A.B").expect("there"), @"");
    insta::assert_snapshot!(told("stack.region").expect("there"), @"");
}

#[test]
fn a_resource() {
    insta::assert_snapshot!(told("function.ingest").expect("there"), @"");
}

#[test]
fn what_is_not_there() {
    insta::assert_snapshot!(told("function.ingset").expect_err("no"), @"");
    insta::assert_snapshot!(told("function.ingest.memroy").expect_err("no"), @"");
    insta::assert_snapshot!(told("stack.regoin").expect_err("no"), @"");
    assert!(told("").is_err() && told("..").is_err() && told("function").is_err());
}

#[test]
fn descriptions_come_from_the_kind() {
    let it = explain(project(FILES).path(), "local", "function.ingest.memory", kinds::KINDS).expect("there");
    assert_eq!(it.about.as_deref(), Some("A Lambda function."));
    assert_eq!(it.fields[0].about.as_deref(), Some("The memory that it gets. Default: 128MiB."));
    assert_eq!(it.origin.expect("defined").to_string(), "stacks/base.yaml:4:5");
}
