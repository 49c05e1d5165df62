//! Command lines that make no sense, and projects that are not there.

use crate::harness::Ecomctl;

#[test]
fn a_verb_that_does_not_exist() {
    let ended = Ecomctl::nowhere().run(["destroy", "local"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    error: unrecognized subcommand 'destroy'

    Usage: ecomctl [OPTIONS] <VERB>

    For more information, try '--help'.
    ");
}

#[test]
fn a_word_that_is_no_address() {
    let ended = Ecomctl::nowhere().run(["teardown", "local", "--allow-data-loss", "orders"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    error: invalid value 'orders' for '--allow-data-loss <ADDRESS>': `orders` is not an address of the form `kind.name`, such as `topic.orders`

    For more information, try '--help'.
    ");
}

#[test]
fn no_project_here() {
    let ended = Ecomctl::nowhere().run(["diff", "local"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    ecomctl::usage

      × neither this directory nor one above it holds `stacks/`
      help: go to the project, or name it: --project <DIR>
    ");
}

#[test]
fn a_stack_that_does_not_exist() {
    let project = Ecomctl::in_project([("stacks/local.yaml", ""), ("stacks/staging.yaml", "")]);
    let ended = project.run(["up", "stagign"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    ecomctl::usage

      × there is no stack `stagign`
      help: the stacks of this project: local, staging
    ");
}

#[test]
fn errors_are_json_where_that_was_asked_for() {
    let nowhere = Ecomctl::nowhere();
    for args in [["--json", "diff", "local"], ["diff", "--json", "local"], ["destroy", "--json", "local"]] {
        let ended = nowhere.run(args).exits(2).without_result();
        let error: serde_json::Value = serde_json::from_str(&ended.err).expect("one JSON object");
        assert_eq!(error["error"]["exit"], 2, "{error}");
        assert!(error["error"]["message"].as_str().is_some_and(|it| !it.is_empty()), "{error}");
    }
}

#[test]
fn nothing_is_coloured_away_from_a_terminal() {
    let ended = Ecomctl::nowhere().env("CLICOLOR_FORCE", "1").run(["destroy"]).exits(2);
    assert!(!ended.err.contains('\u{1b}'), "{}", ended.err);
}

#[test]
fn a_project_elsewhere_is_named_by_a_flag() {
    let project = Ecomctl::in_project([]);
    let elsewhere = project.root().display().to_string();
    let ended = Ecomctl::nowhere().run(["-C", &elsewhere, "state", "show", "local"]).exits(0);
    assert_eq!(ended.out, "Nothing is recorded of `local`: it was never applied from here.\n");
    let ended = Ecomctl::nowhere().run(["-C", &elsewhere, "state", "show", "local", "--json"]).exits(0);
    assert_eq!(ended.out, "null\n");
    assert!(!project.root().join(".ecomctl").exists(), "looking writes nothing");
}
