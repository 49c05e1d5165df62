//! A project that `ecomctl init` makes can be used as it is.

use std::fs;

use crate::harness::Ecomctl;

#[test]
fn a_new_project_is_whole() {
    let it = Ecomctl::nowhere();
    it.run(["init", "shop"]).exits(0);
    let checked = it.run(["-C", "shop", "validate"]).exits(0).out;
    assert!(checked.contains("local: "), "{checked}");
    for file in [
        "Cargo.toml",
        ".gitignore",
        ".github/workflows/deploy.yml",
        "notebooks/pyproject.toml",
        "lambdas/ingest/Cargo.toml",
    ] {
        assert!(it.root().join("shop").join(file).is_file(), "{file}");
    }
    // Cargo takes it for a workspace of its own, and finds all that the Lambdas name.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let found =
        std::process::Command::new(cargo).args(args).current_dir(it.root().join("shop")).output().expect("runs");
    let metadata: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap_or_else(|_| panic!("{found:?}"));
    let names = metadata["packages"].as_array().into_iter().flatten().filter_map(|it| it["name"].as_str());
    let names: Vec<_> = names.collect();
    assert!(names.contains(&"ingest") && names.contains(&"migrate") && !names.contains(&"ecomctl"), "{names:?}");
}

#[test]
fn nothing_is_overwritten() {
    let it = Ecomctl::nowhere();
    fs::create_dir(it.root().join("stacks")).expect("created");
    fs::write(it.root().join("stacks/local.yaml"), "mine").expect("written");
    let refused = it.run(["init"]).exits(9).without_result();
    assert!(refused.err.contains("stacks/local.yaml"), "{}", refused.err);
    assert!(!it.root().join("lambdas").exists() && !it.root().join("Cargo.toml").exists(), "nothing was written");
    assert_eq!(fs::read_to_string(it.root().join("stacks/local.yaml")).expect("readable"), "mine");

    fs::remove_file(it.root().join("stacks/local.yaml")).expect("removed");
    it.run(["init"]).exits(0);
    fs::remove_file(it.root().join("stacks/base.yaml")).expect("removed");
    let again = it.run(["init", "--json"]).exits(0).out;
    let told: serde_json::Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(told["written"], 1, "what is missing is made up for: {again}");
}
