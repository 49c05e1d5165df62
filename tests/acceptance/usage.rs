//! Command lines that make no sense, and projects that are not there.

use crate::harness::Ecomctl;

/// A stack of nothing.
const EMPTY: &str = "stack: { target: local }\n";

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
    stack::not_found

      × neither this directory nor one above it holds `stacks/`
      help: go to the project, or name its directory with `--project`
    ");
}

#[test]
fn a_project_that_does_not_exist() {
    let ended = Ecomctl::nowhere().run(["-C", "/nowhere/at/all", "diff", "local"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    ecomctl::usage

      × /nowhere/at/all does not exist
      help: `--project` names the directory of a project, which holds `stacks/`
    ");
}

#[test]
fn values_are_refused_in_words() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY)]);
    for (args, said) in [
        (&["run", "local", "medallion", "--as-of", "yesterday"] as &[_], "such as `2026-01-31T00:00:00Z`"),
        (&["produce", "local", "--until", "yesterday"], "such as `2026-01-31T00:00:00Z`"),
        (&["produce", "local", "--orders", "abc"], "not a whole number"),
        (&["logs", "local", "ingest"], "such as `function.ingest`"),
        (&["query", "local", " "], "the SQL is empty"),
    ] {
        let ended = project.run(args.iter().copied()).exits(2).without_result();
        assert!(ended.err.contains(said), "{args:?}: {ended:#?}");
    }
}

#[test]
fn stopping_what_does_not_run_is_a_result() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY)]);
    let ended = project.run(["local", "stop", "--json"]).exits(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("{\"running\":false,\"was_running\":false}\n", ""));
}

#[test]
fn a_stack_that_does_not_exist() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY), ("stacks/staging.yaml", EMPTY)]);
    let ended = project.run(["up", "stagign"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    stack::not_found

      × there is no stack `stagign`: no file stacks/stagign.yaml
      help: did you mean `staging`?
    ");
}

#[test]
fn what_stacks_extend_is_no_stack() {
    let extends = format!("extends: base.yaml\n{EMPTY}");
    let project = Ecomctl::in_project([("stacks/base.yaml", EMPTY), ("stacks/local.yaml", extends.as_str())]);
    let ended = project.run(["up", "base"]).exits(2).without_result();
    insta::assert_snapshot!(ended.err, @r"
    ecomctl::usage

      × `base` is no stack, but what stacks extend
      help: the stacks are: local
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
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY)]);
    let elsewhere = project.root().display().to_string();
    let ended = Ecomctl::nowhere().run(["-C", &elsewhere, "state", "show", "local"]).exits(0);
    assert_eq!(ended.out, "Nothing is recorded of `local`: it was never applied from here.\n");
    let ended = Ecomctl::nowhere().run(["-C", &elsewhere, "state", "show", "local", "--json"]).exits(0);
    assert_eq!(ended.out, "null\n");
    assert!(!project.root().join(".ecomctl").exists(), "looking writes nothing");
}

#[test]
fn mistakes_of_a_stack_end_with_their_own_code() {
    let project = Ecomctl::in_project([("stacks/bad.yaml", "stack: { target: moon }\n")]);
    for verb in ["diff", "up", "validate"] {
        let ended = project.run([verb, "bad"]).exits(4).without_result();
        assert!(ended.err.contains("stacks/bad.yaml:1:"), "{}", ended.err);
    }
    let ended = project.run(["diff", "bad", "--json"]).exits(4).without_result();
    let error: serde_json::Value = serde_json::from_str(&ended.err).expect("one JSON object");
    let label = &error["error"]["related"][0]["labels"][0];
    assert_eq!((&label["file"], &label["line"]), (&"stacks/bad.yaml".into(), &1.into()), "{error}");
}

#[test]
fn verbs_that_read_files_need_no_cloud() {
    let project = Ecomctl::in_project([("stacks/empty.yaml", "stack: { target: local }\n")]);
    for args in [&["validate"] as &[_], &["graph", "empty"], &["schema"], &["explain", "empty", "stack"]] {
        let ended = project.run(args.iter().copied()).exits(0);
        assert!(!ended.out.is_empty() && ended.err.is_empty(), "{args:?}: {ended:#?}");
    }
}

#[test]
fn a_stack_that_is_neither_defined_nor_recorded_does_not_exist() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY)]);
    for args in [["state", "show", "nope"], ["state", "show", "Nope"], ["state", "show", "../../x"]] {
        project.run(args).exits(2).without_result();
    }
    project.run(["unprotect", "../../x", "topic.a"]).exits(2).without_result();
}

#[test]
fn a_state_that_cannot_be_read_is_no_internal_error() {
    for state in ["{\"schema\":1,", "{\"schema\":99}"] {
        let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY), (".ecomctl/state/local.json", state)]);
        let ended = project.run(["state", "show", "local"]).exits(5).without_result();
        assert!(ended.err.contains("help:"), "{ended:#?}");
    }
}

#[test]
fn what_the_environment_asks_for_in_vain_is_refused() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY)]).env("ECOMCTL_PORTS", "fre");
    let ended = project.run(["diff", "local"]).exits(2).without_result();
    assert!(ended.err.contains("ECOMCTL_PORTS"), "{ended:#?}");
}

#[test]
fn a_time_that_no_shop_can_have_had() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY)]);
    for time in ["0001-01-01T00:00:00Z", "-009999-01-01T00:00:00Z"] {
        let ended = project.run(["produce", "local", "--until", time]).exits(2).without_result();
        assert!(ended.err.contains("it must lie between 2000 and 2100"), "{ended:#?}");
    }
}

/// A device that takes nothing, as a full disk does.
#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY)]);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let ended = project.run_into(["validate"], full).exits(5);
    assert!(ended.err.contains("the result could not be written"), "{ended:#?}");
}
