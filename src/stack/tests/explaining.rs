//! Where values come from.

use super::*;
use crate::stack::{Explanation, explain};

const FILES: &[(&str, &str)] = &[
    (
        "base.yaml",
        "stack: { region: eu-central-1 }\nresources:\n  function:\n    ingest:\n      code: ingest\n      memory: 128MiB\n      environment: { A.B: 1x, C: c }\n",
    ),
    ("mid.yaml", "extends: base.yaml\nresources:\n  function:\n    ingest:\n      memory: 256MiB\n"),
    (
        "local.yaml",
        "extends: mid.yaml\nresources:\n  function:\n    ingest:\n      memory: 512MiB\n      environment: { C: null }\n      after: []\n",
    ),
];

fn told(target: &str) -> Result<String, String> {
    let root = project(FILES);
    let said = |it: Explanation| {
        let lines: Vec<String> = it
            .fields
            .iter()
            .map(|it| {
                let origin = it.origin.as_ref().map_or("default".to_owned(), ToString::to_string);
                let over: Vec<_> =
                    it.overrode.iter().map(|it| format!(", over {} of {}", it.value, it.origin)).collect();
                format!("{} = {} ({origin}{})\n", it.field, it.value, over.concat())
            })
            .collect();
        lines.concat()
    };
    explain(root.path(), "local", target, kinds::KINDS).map(said).map_err(|it| render(&it))
}

#[test]
fn a_field() {
    insta::assert_snapshot!(told("function.ingest.memory").expect("there"), @r#"
    memory = "512MiB" (stacks/local.yaml:5:15, over "256MiB" of stacks/mid.yaml:5:15, over "128MiB" of stacks/base.yaml:6:15)
    "#);
    insta::assert_snapshot!(told("function.ingest.environment").expect("there"), @r#"
    environment.A.B = "1x" (stacks/base.yaml:7:27)
    environment.C = null (stacks/local.yaml:6:25, over "c" of stacks/base.yaml:7:34)
    "#);
    insta::assert_snapshot!(told("function.ingest.environment.A.B").expect("there"), @r#"
    environment.A.B = "1x" (stacks/base.yaml:7:27)
    "#);
    insta::assert_snapshot!(told("stack.region").expect("there"), @r#"
    region = "eu-central-1" (stacks/base.yaml:1:18)
    "#);
}

#[test]
fn a_resource() {
    insta::assert_snapshot!(told("function.ingest").expect("there"), @r#"
    code = "ingest" (stacks/base.yaml:5:13)
    memory = "512MiB" (stacks/local.yaml:5:15, over "256MiB" of stacks/mid.yaml:5:15, over "128MiB" of stacks/base.yaml:6:15)
    tracing = false (default)
    architecture = "x86_64" (default)
    environment.A.B = "1x" (stacks/base.yaml:7:27)
    environment.C = null (stacks/local.yaml:6:25, over "c" of stacks/base.yaml:7:34)
    role = null (default)
    writes = [] (default)
    calls = [] (default)
    protect = false (default)
    renamed_from = null (default)
    after = [] (stacks/local.yaml:7:14)
    "#);
}

#[test]
fn what_is_not_there() {
    insta::assert_snapshot!(told("function.ingset").expect_err("no"), @r#"
    stack::not_found

      × stack `local` has no `function.ingset`
      help: did you mean `function.ingest`?
    "#);
    insta::assert_snapshot!(told("function.ingest.memroy").expect_err("no"), @r#"
    stack::not_found

      × function.ingest has no field `memroy`
      help: did you mean `memory`?
    "#);
    insta::assert_snapshot!(told("stack.regoin").expect_err("no"), @r#"
    stack::not_found

      × `stack` has no field `regoin`
      help: did you mean `region`?
    "#);
    assert!(told("").is_err() && told("..").is_err() && told("function").is_err());
}

#[test]
fn descriptions_come_from_the_kind() {
    let it = explain(project(FILES).path(), "local", "function.ingest.memory", kinds::KINDS).expect("there");
    assert_eq!(it.about.as_deref(), Some("A Lambda function."));
    assert_eq!(it.fields[0].about.as_deref(), Some("The memory that it gets. Default: 128MiB."));
    assert_eq!(it.origin.expect("defined").to_string(), "stacks/base.yaml:4:5");
}
