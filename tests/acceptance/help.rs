//! Help and completions.

use crate::harness::Ecomctl;

/// A stack of nothing.
const EMPTY: &str = "stack: { target: local }\n";

#[test]
fn help_is_a_result_and_no_error() {
    let nowhere = Ecomctl::nowhere();
    let long = nowhere.run(["--help"]).exits(0);
    assert_eq!(long.err, "");
    assert!(long.out.contains("Exit codes:"), "{}", long.out);
    for verb in ["up", "diff", "teardown", "status", "state", "completions", "validate", "explain", "graph", "schema"] {
        let help = nowhere.run([verb, "--help"]).exits(0).out;
        assert!(help.contains("Examples:") && help.contains(&format!("Usage: ecomctl {verb}")), "{help}");
    }
}

#[test]
fn the_version_is_one_line() {
    let out = Ecomctl::nowhere().run(["--version"]).exits(0).out;
    assert_eq!(out, concat!("ecomctl ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for (shell, sign) in [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete ")] {
        let script = Ecomctl::nowhere().run(["completions", shell]).exits(0).out;
        assert!(script.contains("ecomctl") && script.contains(sign), "{script}");
    }
}

#[test]
fn a_shell_that_asks_gets_the_stacks_of_the_project() {
    let project = Ecomctl::in_project([("stacks/local.yaml", EMPTY), ("stacks/staging.yaml", EMPTY)]);
    let ask = project.env("COMPLETE", "fish");
    let offered = ask.run(["--", "ecomctl", "up", ""]).exits(0).out;
    assert!(offered.lines().any(|it| it == "local") && offered.lines().any(|it| it == "staging"), "{offered}");
    let offered = ask.run(["--", "ecomctl", "up", "st"]).exits(0).out;
    assert!(offered.lines().any(|it| it == "staging") && !offered.lines().any(|it| it == "local"), "{offered}");
    let offered = ask.run(["--", "ecomctl", "tear"]).exits(0).out;
    assert!(offered.starts_with("teardown"), "{offered}");
}
