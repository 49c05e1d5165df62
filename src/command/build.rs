//! `ecomctl build`: builds what a stack deploys, and shows what came out.

mod pbip;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytesize::ByteSize;
use serde_json::{Value, json};

use crate::{
    address::Address,
    artifact::{self, Architecture, Artifact, Build, Progress},
    command::{
        Error, Exit, Global, Result, error,
        project::{Project, StackArg},
        run::tell,
    },
    report::{human, preparing::Preparing, terminal::table},
    resource::{self, KINDS},
    stack::Stack,
};

/// Build the code that a stack deploys; `up` and `diff` do so by themselves
///
/// What has not changed since the last time is not built again. The zips are the same wherever the same binary is
/// packed; the digests of Lambdas are what Lambda calls `CodeSha256`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl build local
  ecomctl build staging --only function.ingest
  ecomctl build staging --only model.sales            the project that Power BI Desktop opens
  ecomctl build staging --json | jq -r '.artifacts[].sha256'
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// Build only what this resource deploys; of a model or a report, the project that Power BI opens
    #[arg(long, value_name = "ADDRESS")]
    only: Option<Address>,
    /// Write the project of a model into this folder [default: target/powerbi/STACK/NAME]
    #[arg(long, value_name = "DIR", requires = "only", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
}

/// Builds, and shows what came out.
///
/// # Errors
/// All mistakes of the stack, or what the compiler says.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let terminal = global.terminal();
    let project = Project::open(global)?;
    let stack = project.load(&args.stack.stack)?;
    if let Some(only) = args.only.as_ref().filter(|it| pbip::takes(it)) {
        return pbip::run(&project, &stack, only, args.out.as_deref(), terminal);
    }
    let mut users = requests(&stack)?;
    if let Some(only) = &args.only {
        users.retain(|_, it| it.contains(only));
        if users.is_empty() {
            return Err(nothing(only, &stack)?);
        }
    }
    let done = Mutex::new(BTreeMap::new());
    let preparing = Preparing::new(terminal);
    let progress = |it: Progress| {
        if let Progress::Done { build, binary, elapsed } = &it {
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(build.clone(), (*binary, *elapsed));
        }
        tell(&preparing, it);
    };
    let wanted = users.keys().cloned().collect();
    let artifacts = artifact::build(&project.root, &project.home, &wanted, &progress).await;
    let artifacts = artifacts.map_err(|err| Error::new(Exit::Build, err))?;
    drop(preparing);
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<Line<'_>> = artifacts
        .iter()
        .map(|(build, artifact)| {
            let (binary, elapsed) = done.get(build).copied().unwrap_or_default();
            // Those of one build share its time, to the nanosecond.
            let together = done.iter().any(|(other, it)| other != build && it.1.is_some() && it.1 == elapsed);
            let users = users.get(build).map(Vec::as_slice).unwrap_or_default();
            Line { build, artifact, binary, elapsed, together, users }
        })
        .collect();
    if terminal.json {
        let artifacts: Vec<Value> = lines.iter().map(Line::json).collect();
        terminal.print(&format!("{:#}", json!({ "stack": stack.name, "artifacts": artifacts })));
    } else if lines.is_empty() {
        terminal.print(&format!("{} deploys nothing that is built", stack.name));
    } else {
        let headings = ["package", "architecture", "packed", "binary", "sha-256", ""];
        terminal.print(&table(&headings, lines.iter().map(Line::text), terminal.out));
    }
    Ok(Exit::Done)
}

/// Collects what a stack needs built, and by whom it is needed.
///
/// # Errors
/// Says that a spec cannot be read.
pub fn requests(stack: &Stack) -> Result<BTreeMap<Build, Vec<Address>>> {
    let mut requests: BTreeMap<Build, Vec<Address>> = BTreeMap::new();
    for (address, definition) in &stack.resources {
        if let Some(kind) = resource::kind(KINDS, &address.kind)
            && let Some(build) = kind.build(&definition.spec).map_err(error::internal)?
        {
            requests.entry(build).or_default().push(address.clone());
        }
    }
    Ok(requests)
}

fn nothing(only: &Address, stack: &Stack) -> Result<Error> {
    let can: BTreeSet<String> = requests(stack)?.into_values().flatten().map(|it| it.to_string()).collect();
    let message = format!("{only} of stack `{}` deploys nothing that is built", stack.name);
    let help = match can.len() {
        0 => "nothing of this stack does".to_owned(),
        _ => format!("these do: {}", can.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Ok(error::Problem::Usage { message, help: Some(help) }.into())
}

/// What is shown of one artifact.
struct Line<'a> {
    build: &'a Build,
    artifact: &'a Artifact,
    binary: u64,
    elapsed: Option<Duration>,
    /// Whether others were built with it, in the same time.
    together: bool,
    users: &'a [Address],
}

impl Line<'_> {
    fn text(&self) -> Vec<String> {
        let (package, architecture) = named(self.build);
        let size = |bytes| ByteSize::b(bytes).display().iec().to_string();
        let what = match self.elapsed.map(human::duration) {
            None => "unchanged".to_owned(),
            Some(it) if self.together => format!("built with others in {it}"),
            Some(it) => format!("built in {it}"),
        };
        vec![
            match self.build {
                Build::Lambda { .. } => format!("lambdas/{package}"),
                Build::Wheel { .. } | Build::File { .. } => package,
            },
            architecture.map(|it| it.to_string()).unwrap_or_default(),
            size(self.artifact.size),
            size(self.binary),
            self.artifact.sha256.clone(),
            what,
        ]
    }

    fn json(&self) -> Value {
        let (package, architecture) = named(self.build);
        json!({
            "package": package,
            "architecture": architecture,
            "path": self.artifact.path,
            "sha256": self.artifact.sha256,
            "zip_bytes": self.artifact.size,
            "binary_bytes": self.binary,
            "built_seconds": self.elapsed.map(|it| it.as_secs_f64()),
            "new": self.artifact.fresh,
            "used_by": self.users,
        })
    }
}

/// What a build is called, and what it is for where that matters.
fn named(build: &Build) -> (String, Option<Architecture>) {
    match build {
        Build::Lambda { package, architecture } => (package.clone(), Some(*architecture)),
        Build::Wheel { project: path } | Build::File { path } => (path.display().to_string(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_are_shown_with_size_digest_and_what_happened() {
        let build = Build::Lambda { package: "ingest".into(), architecture: Architecture::Arm64 };
        let artifact = Artifact { path: "a.zip".into(), sha256: "q83v".into(), size: 2_202_010, fresh: true };
        let users = [Address::new("function", "ingest")];
        let elapsed = Some(Duration::from_secs(12));
        let line =
            Line { build: &build, artifact: &artifact, binary: 5_242_880, elapsed, together: false, users: &users };
        assert_eq!(line.text(), ["lambdas/ingest", "arm64", "2.1 MiB", "5.0 MiB", "q83v", "built in 12 s"]);
        assert_eq!(line.json()["used_by"], json!(["function.ingest"]));
        let shared = Line { together: true, ..line };
        assert_eq!(shared.text()[5], "built with others in 12 s");
        let unchanged = Line { elapsed: None, ..shared };
        assert_eq!(unchanged.text()[5], "unchanged");
        assert_eq!(unchanged.json()["built_seconds"], Value::Null);
    }
}
