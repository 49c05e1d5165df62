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
    let mut command = bound(&command);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (programs, output) = tokio::join!(messages(stdout, total, call), diagnostics(stderr, call.progress));
    let status = child.wait().await.map_err(start)?;
    drop(stdin);
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

/// Waits for the program, and meanwhile for the end of standard input: then the whole group of processes is ended.
const WATCHED: &str = "exec 3<&0; \"$@\" 3<&- </dev/null & program=$!; \
                       (cat <&3; kill -s TERM 0) >/dev/null 2>&1 & exec 3<&- </dev/null; wait \"$program\"";

/// A command that ends with this process, however that ends, and takes all with it that it started: compilers outlive a
/// cargo that is killed. Its standard input is to be held for as long as it may run.
fn bound(command: &Command) -> Command {
    let inner = command.as_std();
    let mut outer = Command::new("sh");
    outer.args(["-c", WATCHED, "sh"]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(it) => outer.env(name, it),
            None => outer.env_remove(name),
        };
    }
    if let Some(dir) = inner.get_current_dir() {
        outer.current_dir(dir);
    }
    outer.stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
    outer
}

fn start(cause: std::io::Error) -> Error {
    Error::Start { program: "cargo".into(), cause, help: GET_RUST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_started_ends_with_who_started_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]);
        let mut child = bound(&command).stdout(Stdio::piped()).spawn().expect("started");
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
        let sleeper = lines.next_line().await.expect("read").expect("a number");
        let lives = || {
            let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
            // One that nobody has taken note of yet is over, too.
            stat.rsplit(") ").next().is_some_and(|it| !it.is_empty() && !it.starts_with('Z'))
        };
        assert!(lives());
        // As when this process is killed: the kernel closes what it held, and nothing of it runs any more.
        drop(stdin);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while lives() {
            assert!(std::time::Instant::now() < deadline, "{sleeper} goes on");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn how_a_command_ends_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; exit 7"]).env("A", "b");
        let mut command = bound(&command);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
        let _stdin = child.stdin.take();
        let output = child.wait_with_output().await.expect("ended");
        assert_eq!((output.status.code(), output.stdout), (Some(7), b"out\n".to_vec()));
    }

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
