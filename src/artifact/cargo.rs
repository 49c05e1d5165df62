//! Calls of cargo: one for all packages of an architecture, its messages turned into progress.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Command,
};

use super::{
    Architecture, Error, GLIBC, Progress,
    lambda::{PROFILE, inputs},
    toolchain::GET_RUST,
    zig::Zig,
};

/// What cargo is called for.
pub(super) struct Call<'a> {
    /// The project.
    pub(super) root: &'a Path,
    /// Where compiled code goes; `None` for where cargo puts it.
    pub(super) target: Option<&'a Path>,
    /// For what to compile.
    pub(super) architecture: Architecture,
    /// What to compile.
    pub(super) packages: &'a BTreeSet<String>,
    /// The linker, if not the machine's own.
    pub(super) zig: Option<&'a Zig>,
    /// Whom to tell.
    pub(super) progress: &'a (dyn Fn(Progress) + Sync),
}

/// A program that was compiled.
pub(super) struct Program {
    /// The manifest of its package.
    pub(super) manifest: PathBuf,
    /// Its name.
    pub(super) name: String,
    /// Where it lies.
    pub(super) executable: PathBuf,
}

/// What is read of cargo's messages, as <https://doc.rust-lang.org/cargo/reference/external-tools.html> has them.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Compiles, and returns the programs.
pub(super) async fn build(call: &Call<'_>) -> Result<Vec<Program>, Error> {
    let total = count(call).await;
    let mut target = call.target.map(Path::to_path_buf);
    let mut command = match call.zig {
        None => {
            let mut it = command(call.root);
            it.args(["build", "--target", call.architecture.triple()]);
            it
        }
        Some(zig) => {
            let mut it = clean(Command::new(zig.program()), call.root);
            it.args(["zigbuild", "--target", &format!("{}.{GLIBC}", call.architecture.triple())]);
            it.envs(zig.environment());
            // Apart from what the machine's own linker made: cargo would take that for up to date.
            let usual = if let Some(it) = target { it } else { target_folder(call.root).await? };
            target = Some(usual.join("zig"));
            it
        }
    };
    if let Some(target) = target {
        command.arg("--target-dir").arg(target);
    }
    command.args(["--profile", PROFILE, "--message-format", "json-render-diagnostics", "--color", "never"]);
    if let Some(flags) = remap() {
        command.args(["--config", &flags]);
    }
    command.args(call.packages.iter().flat_map(|it| ["--package", it]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (programs, output) = tokio::join!(messages(stdout, total, call), diagnostics(stderr, call.progress));
    let status = child.wait().await.map_err(start)?;
    if status.success() {
        return Ok(programs);
    }
    let packages: Vec<String> = call.packages.iter().map(|it| format!("lambdas/{it}")).collect();
    Err(Error::Compile { packages: packages.join(", "), architecture: call.architecture, output })
}

async fn messages(stream: Option<impl AsyncRead + Unpin>, total: usize, call: &Call<'_>) -> Vec<Program> {
    let mut programs = Vec::new();
    let (mut done, mut others) = (BTreeSet::new(), 0);
    let own: BTreeSet<PathBuf> =
        call.packages.iter().map(|it| call.root.join("lambdas").join(it).join("Cargo.toml")).collect();
    let Some(stream) = stream else { return programs };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(Message { reason, package_id, manifest_path, target: Some(target), executable }) =
            serde_json::from_str(&line)
        else {
            continue;
        };
        if reason != "compiler-artifact" || target.kind.iter().any(|it| it == "custom-build") {
            continue;
        }
        let other = manifest_path.as_ref().is_none_or(|it| !own.contains(it));
        if let (Some(manifest), Some(executable)) = (manifest_path, executable)
            && target.kind.iter().any(|it| it == "bin")
        {
            programs.push(Program { manifest, name: target.name.clone(), executable });
        }
        if done.insert(package_id) {
            others += usize::from(other);
            let done = done.len();
            (call.progress)(Progress::Compiled { name: target.name, done, total: total.max(done) });
        }
        if let Some(text) = linking(call.packages, &programs, others, total) {
            (call.progress)(Progress::Status(text));
        }
    }
    programs
}

/// Says what is linked, once all that it needs is compiled: that takes minutes, and cargo is silent meanwhile.
fn linking(packages: &BTreeSet<String>, programs: &[Program], others: usize, total: usize) -> Option<String> {
    let there = |name: &&String| programs.iter().any(|it| it.name == **name);
    let rest: Vec<String> = packages.iter().filter(|it| !there(it)).map(|it| format!("lambdas/{it}")).collect();
    let compiled = total > 0 && others + packages.len() >= total;
    (compiled && !rest.is_empty()).then(|| format!("linking {}", rest.join(", ")))
}

/// Separates what the compiler has to say, which is returned, from cargo's words on what it is doing.
async fn diagnostics(stream: Option<impl AsyncRead + Unpin>, progress: &(dyn Fn(Progress) + Sync)) -> String {
    let mut text = String::new();
    let Some(stream) = stream else { return text };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match status(&line) {
            Some("Compiling" | "Fresh" | "Finished") => (),
            Some("Blocking") => progress(Progress::Status("waiting for another build".to_owned())),
            Some(_) => progress(Progress::Status(line.trim().to_owned())),
            None => {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    text.trim_end().to_owned()
}

/// Returns the verb of a line in which cargo says what it is doing: right-aligned in twelve columns.
fn status(line: &str) -> Option<&str> {
    let (head, _) = line.split_at_checked(13)?;
    let verb = head.strip_suffix(' ')?.trim_start();
    let word = verb.starts_with(|it: char| it.is_ascii_uppercase()) && verb.chars().all(|it| it.is_ascii_alphabetic());
    word.then_some(verb)
}

/// Counts the packages that are to be compiled; 0 when that cannot be found out, as it matters to nothing but progress.
async fn count(call: &Call<'_>) -> usize {
    let mut command = command(call.root);
    command.args(["tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--target"]);
    command.arg(call.architecture.triple()).args(call.packages.iter().flat_map(|it| ["--package", it]));
    let Ok(output) = command.output().await else { return 0 };
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|it| !it.is_empty()).map(|it| it.trim_end_matches(" (*)")).collect::<BTreeSet<_>>().len()
}

async fn target_folder(root: &Path) -> Result<PathBuf, Error> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let mut command = command(root);
    let output = command.args(["metadata", "--no-deps", "--format-version", "1"]).output().await.map_err(start)?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|_| start(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())))?;
    Ok(metadata.target_directory)
}

/// Keeps the folder of this machine that holds dependencies' sources out of the binary, where panics name it: what is
/// built elsewhere from the same sources is then the same. Set beneath any RUSTFLAGS of the user's, which win.
fn remap() -> Option<String> {
    let home = inputs::cargo_home()?;
    let flag = serde_json::to_string(&format!("--remap-path-prefix={}=/cargo", home.display())).ok()?;
    Some(format!("build.rustflags=[{flag}]"))
}

fn command(root: &Path) -> Command {
    clean(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())), root)
}

/// Takes away what an outer cargo sets for the program or test that it runs: build scripts would see it and run again.
fn clean(mut command: Command, root: &Path) -> Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let outer = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if outer.iter().any(|it| text.starts_with(it)) {
            command.env_remove(&name);
        }
    }
    command.current_dir(root).stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn start(cause: std::io::Error) -> Error {
    Error::Start { program: "cargo".into(), cause, help: GET_RUST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_and_linking_are_told() {
        let told = std::sync::Mutex::new(Vec::new());
        let progress = |it| {
            if let Progress::Status(text) = it {
                told.lock().expect("nobody panicked").push(text);
            }
        };
        let waits = b"    Blocking waiting for file lock on build directory\n".as_slice();
        assert_eq!(diagnostics(Some(waits), &progress).await, "");

        let compiled = |name: &str, kind: &str, executable: Option<&str>| {
            let text = serde_json::json!({
                "reason": "compiler-artifact", "package_id": name, "executable": executable,
                "manifest_path": format!("/project/lambdas/{name}/Cargo.toml"),
                "target": { "name": name, "kind": [kind] },
            });
            format!("{text}\n")
        };
        let lines = [
            compiled("words", "lib", None),
            compiled("greet", "lib", None),
            compiled("serde", "lib", None),
            compiled("greet", "bin", Some("/greet")),
            compiled("part", "bin", Some("/part")),
        ];
        let packages = ["greet", "part"].map(str::to_owned).into();
        let (root, architecture) = (Path::new("/project"), Architecture::Arm64);
        let call = Call { root, target: None, architecture, packages: &packages, zig: None, progress: &progress };
        let programs = messages(Some(lines.concat().as_bytes()), 4, &call).await;
        assert_eq!(programs.len(), 2);
        let expected = ["waiting for another build", "linking lambdas/greet, lambdas/part", "linking lambdas/part"];
        assert_eq!(told.into_inner().expect("nobody panicked"), expected);
    }

    #[test]
    fn words_on_progress_are_told_from_diagnostics() {
        for (line, verb) in [
            ("   Compiling ingest v0.1.0", Some("Compiling")),
            ("    Blocking waiting for file lock on build directory", Some("Blocking")),
            ("    Finished `lambda` profile", Some("Finished")),
            ("error[E0425]: cannot find value `x`", None),
            ("  --> lambdas/ingest/src/main.rs:1:13", None),
            ("1 | fn main() { x }", None),
            ("   = note: Some words", None),
            ("error: could not compile `ingest`", None),
            ("", None),
        ] {
            assert_eq!(status(line), verb, "{line}");
        }
    }
}
