//! The invariants of the repository, read from its sources. Every rule here is in `ARCHITECTURE.md`.

#![expect(clippy::expect_used, reason = "a source that cannot be read breaks the rules")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Which rooms a room may use. Anything else is a layer that leaks.
const LAYERS: &[(&str, &[&str])] = &[
    ("address", &[]),
    ("durable", &[]),
    ("figures", &["template"]),
    ("git", &[]),
    ("process", &[]),
    ("quantity", &[]),
    ("quartz", &[]),
    ("template", &[]),
    ("turn", &[]),
    ("client", &["address"]),
    ("artifact", &["address", "client", "template", "turn"]),
    ("local", &["address", "client", "durable", "process", "quartz", "template", "turn"]),
    ("resource", &["address", "quantity", "quartz", "client", "figures", "template", "artifact"]),
    ("state", &["address", "client", "durable", "process"]),
    ("stack", &["address", "resource", "quantity"]),
    ("engine", &["address", "quantity", "resource", "stack", "state"]),
    ("report", &["address", "engine", "stack", "state", "resource"]),
    (
        "command",
        &[
            "address", "artifact", "client", "engine", "figures", "git", "local", "process", "quantity", "report",
            "resource", "stack", "state", "template",
        ],
    ),
    ("cli", &["command"]),
];

/// The longest a source file may be, in lines.
const CAP: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lists the tracked and new files that end like this, below the repository.
fn files(ends: &str) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "not a git checkout: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("paths are text");
    let found: Vec<PathBuf> = listed.lines().filter(|it| it.ends_with(ends)).map(PathBuf::from).collect();
    let found: Vec<PathBuf> = found.into_iter().filter(|it| root().join(it).is_file()).collect();
    assert!(!found.is_empty(), "no file ends with {ends}");
    found
}

fn text(file: &Path) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|err| panic!("{}: {err}", file.display()))
}

/// The lines of a source file that are code and not its unit tests, numbered from 1.
fn code(file: &Path) -> Vec<(usize, String)> {
    code_of(&text(file))
}

fn code_of(text: &str) -> Vec<(usize, String)> {
    let mut lines = text.lines().enumerate();
    let mut code = Vec::new();
    while let Some((i, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // What Rustfmt laid out ends on its own first line, or with a brace alone below its first letter.
            let depth = line.len() - line.trim_start().len();
            let item = lines.by_ref().find(|it| !it.1.trim_start().starts_with("#["));
            if item.is_some_and(|it| !it.1.ends_with([';', ',', '}'])) {
                lines.by_ref().find(|it| it.1.strip_prefix(&" ".repeat(depth)) == Some("}"));
            }
        } else if !line.trim_start().starts_with("//") {
            code.push((i + 1, line.to_owned()));
        }
    }
    code
}

#[test]
fn what_comes_after_a_test_item_is_code_again() {
    let text = "a\n#[cfg(test)]\nmod inner;\nb\n#[cfg(test)]\n#[derive(Debug)]\nfn x() {\n    y;\n}\nc\n\
                impl A {\n    #[cfg(test)]\n    fn z() {\n        y;\n    }\n    d\n}\n// e\n";
    let lines: Vec<_> = code_of(text).into_iter().map(|it| it.1.trim().to_owned()).collect();
    assert_eq!(lines, ["a", "b", "c", "impl A {", "d", "}"]);
}

/// Sources of the product (not of tests), with the room that each belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    let is_test = |it: &Path| {
        it.file_stem().is_some_and(|it| it == "tests" || it == "testing")
            || it.components().any(|it| it.as_os_str() == "tests")
    };
    let room = |it: &Path| {
        it.components().nth(1).map(|it| it.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned())
    };
    files(".rs")
        .into_iter()
        .filter(|it| it.starts_with("src") && !is_test(it))
        .filter_map(|it| room(&it).map(|room| (room, it)))
        .collect()
}

/// Fails with every offence at once, each with its place.
fn expect_none(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

/// Lists where code outside the given rooms holds one of the words.
fn only(rooms: &[&str], words: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for (room, file) in sources() {
        if rooms.contains(&room.as_str()) {
            continue;
        }
        for (line, text) in code(&file) {
            offences.extend(
                words.iter().filter(|it| text.contains(**it)).map(|it| format!("{}:{line}: {it}", file.display())),
            );
        }
    }
    offences
}

#[test]
fn layers_hold() {
    let mut offences = Vec::new();
    for (room, file) in sources() {
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|it| it.0 == room) else {
            offences.push(format!("{}: the room `{room}` is not in the table of layers", file.display()));
            continue;
        };
        let mut within_use = false;
        for (line, text) in code(&file) {
            within_use |= text.starts_with("use crate::{");
            let used = text
                .split("crate::")
                .skip(1)
                .filter_map(|it| it.split(|it: char| !it.is_alphanumeric() && it != '_').next());
            // Rustfmt puts the members of `use crate::{…}` on lines of their own, four columns in.
            let member = within_use && text.starts_with("    ") && !text.starts_with("     ");
            let member =
                member.then(|| text.trim().split(|it: char| !it.is_alphanumeric() && it != '_').next()).flatten();
            let inline =
                text.strip_prefix("use crate::{").map(|it| it.trim_end_matches(['}', ';'])).unwrap_or_default();
            let inline = inline
                .split(", ")
                .filter_map(|it| it.split("::").next())
                .filter(|it| LAYERS.iter().any(|known| known.0 == *it));
            for used in used.chain(member).chain(inline) {
                let known = LAYERS.iter().any(|it| it.0 == used);
                if known && used != room && !allowed.contains(&used) {
                    offences.push(format!("{}:{line}: {room} may not use {used}", file.display()));
                }
            }
            within_use &= !text.contains('}') || text.starts_with("    ");
        }
    }
    expect_none(offences);
}

#[test]
fn only_commands_and_reports_write_to_the_terminal() {
    expect_none(only(
        &["command", "report", "main", "cli"],
        &["println!", "eprintln!", "print!(", "stdout()", "stderr()"],
    ));
}

#[test]
fn only_clients_and_the_local_cloud_open_sockets() {
    expect_none(only(
        &["client", "local"],
        &[
            "TcpListener",
            "TcpStream",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
            "hyper::",
            "hyper_util::",
            "reqwest::",
            "krafka::",
        ],
    ));
}

#[test]
fn one_file_names_the_kafka_library() {
    let users: BTreeSet<PathBuf> = sources()
        .into_iter()
        .filter(|(_, file)| code(file).iter().any(|it| it.1.contains("krafka::")))
        .map(|it| it.1)
        .collect();
    let allowed = |it: &PathBuf| it.starts_with("src/client/kafka") || it == Path::new("src/client/kafka.rs");
    assert!(!users.is_empty() && users.iter().all(allowed), "{users:?}");
}

#[test]
fn only_the_clients_of_rest_name_the_http_client() {
    let users: BTreeSet<PathBuf> = sources()
        .into_iter()
        .filter(|(_, file)| code(file).iter().any(|it| it.1.contains("reqwest")))
        .map(|it| it.1)
        .collect();
    let clients = ["databricks", "databricks.rs", "fabric", "fabric.rs", "http", "http.rs"];
    let allowed = |it: &PathBuf| clients.iter().any(|name| it.starts_with(Path::new("src/client").join(name)));
    assert!(!users.is_empty() && users.iter().all(allowed), "{users:?}");
}

#[test]
fn only_the_local_cloud_and_builds_start_processes() {
    expect_none(only(&["local", "artifact", "git"], &["process::Command", "Command::new(\""]));
}

#[test]
fn kinds_never_sleep_retry_print_or_keep_state() {
    let offences = sources().into_iter().filter(|it| it.0 == "resource").flat_map(|(_, file)| {
        let words = ["sleep(", "crate::state", "crate::engine", "retry(", "std::fs::write", "File::create"];
        let lines = code(&file).into_iter();
        lines
            .flat_map(move |(line, text)| {
                let file = file.clone();
                let held: Vec<_> = words.into_iter().filter(|it| text.contains(*it)).collect();
                held.into_iter().map(move |it| format!("{}:{line}: {it}", file.display()))
            })
            .collect::<Vec<_>>()
    });
    expect_none(offences.collect());
}

#[test]
fn the_engine_names_no_kind() {
    let kinds: Vec<&str> = ecomctl::resource::KINDS.iter().map(|it| it.name()).collect();
    assert!(kinds.is_sorted() && kinds.len() >= 10, "{kinds:?}");
    let mut offences = Vec::new();
    for (_, file) in sources().into_iter().filter(|it| it.0 == "engine") {
        for (line, text) in code(&file) {
            let words: BTreeSet<&str> = text.split(|it: char| !it.is_alphanumeric() && it != '_').collect();
            // What a map has is a key, too: the word alone means nothing.
            let alone = |it: &str| it != "key" && words.contains(it);
            let named = kinds.iter().filter(|it| alone(it) || text.contains(&format!("\"{it}")));
            offences.extend(named.map(|it| format!("{}:{line}: {it}", file.display())));
        }
    }
    expect_none(offences);
}

#[test]
fn no_kind_template_or_lambda_knows_the_word_local() {
    let mut offences = Vec::new();
    let kinds = sources().into_iter().filter(|it| it.0 == "resource").map(|it| it.1);
    let lambdas = files(".rs").into_iter().filter(|it| {
        it.starts_with("lambdas")
            && !it.starts_with("lambdas/testing")
            && it.components().nth(2).is_some_and(|it| it.as_os_str() == "src")
    });
    for file in kinds.chain(lambdas) {
        for (line, text) in code(&file) {
            let lower = text.to_lowercase();
            let words = lower.split(|it: char| !it.is_alphanumeric());
            if words.into_iter().any(|it| it == "local")
                && !lower.contains("set local")
                && !lower.contains("task::local")
            {
                offences.push(format!("{}:{line}: {}", file.display(), text.trim()));
            }
        }
    }
    expect_none(offences);
}

#[test]
fn nothing_panics_on_purpose() {
    let mut offences =
        only(&[], &["todo!(", "unimplemented!(", "dbg!(", ".unwrap()", ".expect(\"", "panic!(", "unreachable!("]);
    for file in files(".rs") {
        let ignored = format!("#[{}", "ignore");
        offences.extend(text(&file).contains(&ignored).then(|| format!("{}: an ignored test", file.display())));
    }
    expect_none(offences);
}

#[test]
fn no_file_is_too_long() {
    let long = files(".rs").into_iter().map(|it| (text(&it).lines().count(), it)).filter(|it| it.0 > CAP);
    expect_none(long.map(|(lines, file)| format!("{}: {lines} lines; the cap is {CAP}", file.display())).collect());
}

#[test]
fn sources_are_formatted() {
    // `cargo fmt` does not visit modules that are declared through a macro, as the kinds are.
    let checked = Command::new("rustfmt")
        .args(["--edition", "2024", "--check", "-l"])
        .args(files(".rs"))
        .current_dir(root())
        .output();
    let checked = checked.expect("rustfmt runs");
    assert!(
        checked.status.success(),
        "run `just fmt`:\n{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn the_schema_of_stack_files_is_fresh() {
    let stored = text(Path::new("stacks/stack.schema.json"));
    assert!(stored == ecomctl::stack::schema::text(ecomctl::resource::KINDS), "run `just schema`");
}

#[test]
fn every_stack_file_points_editors_at_the_schema() {
    let offences = files(".yaml")
        .into_iter()
        .filter(|it| it.starts_with("stacks"))
        .filter(|it| text(it).lines().next() != Some("# yaml-language-server: $schema=stack.schema.json"));
    expect_none(offences.map(|it| format!("{}: the first line does not name the schema", it.display())).collect());
}

#[test]
fn every_kind_has_a_fixture_and_a_place_in_the_law() {
    let law = text(Path::new("src/resource/README.md"));
    let mut offences = Vec::new();
    for kind in ecomctl::resource::KINDS.iter().map(|it| it.name()) {
        let fixture = root().join(format!("tests/fixtures/{kind}.yaml"));
        offences.extend((!fixture.is_file()).then(|| format!("tests/fixtures/{kind}.yaml is missing")));
        offences.extend(
            (!law.contains(&format!("`{kind}`"))).then(|| format!("src/resource/README.md does not tell of `{kind}`")),
        );
    }
    expect_none(offences);
}

#[test]
fn no_registry_host_and_no_path_of_one_machine() {
    // Put together here, so that this file does not hold them either.
    let hosts = [("crates", "io/"), ("pypi", "org"), ("repo1", "maven"), ("repo", "maven"), ("registry", "npmjs")];
    let hosts = hosts.map(|(name, domain)| format!("{name}.{domain}"));
    let places = ["/root".to_owned() + "/", "/work".to_owned() + "/"];
    let mut offences = Vec::new();
    for end in [".rs", ".md", ".toml", ".yaml", ".yml", ".txt", ".xml", ".py", ".json", ".sql", "Justfile", ".ci/run"] {
        for file in files_if_any(end) {
            for (i, line) in text(&file).lines().enumerate() {
                let bad = hosts.iter().chain(&places).find(|it| line.contains(it.as_str()));
                offences.extend(bad.map(|it| format!("{}:{}: {it}", file.display(), i + 1)));
            }
        }
    }
    expect_none(offences);
}

fn files_if_any(ends: &str) -> Vec<PathBuf> {
    files("").into_iter().filter(|it| it.to_string_lossy().ends_with(ends)).collect()
}
