//! What of a stack a run is about: the flags that confine a plan, or leave something as it is; and plans in files.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use miette::Diagnostic;

use crate::{
    address::Address,
    command::{Error, Exit, Result, consent::Consent, error, error::Problem},
    engine::{Aim, Damaged, Goal, Saved},
    stack::Stack,
    state::Document,
};

/// The largest file that is read as a plan.
const LARGEST: u64 = 64 << 20;

/// The flags that confine a plan, or leave something as it is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Choice {
    /// Only this resource and what it needs, such as `function.ingest`; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub only: Vec<Address>,
    /// Leave what others changed of this resource as it is, this once; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub keep_drift: Vec<Address>,
    /// Delete what the file no longer names even when the file is older than what was applied
    #[arg(long)]
    pub allow_older: bool,
}

impl Choice {
    /// Returns what is aimed at.
    pub fn aim(&self) -> Aim {
        let set = |it: &[Address]| it.iter().cloned().collect();
        Aim {
            only: set(&self.only),
            keep_drift: set(&self.keep_drift),
            allow_older: self.allow_older,
            ..Goal::Up.into()
        }
    }
}

/// Makes sure that all that is named is known.
///
/// # Errors
/// Names what is not.
pub fn check(aim: &Aim, stack: &Stack, document: &Document) -> Result<()> {
    let known = |it: &&Address| stack.resources.contains_key(*it) || document.resources.contains_key(*it);
    match aim.only.iter().chain(&aim.keep_drift).find(|it| !known(it)) {
        None => Ok(()),
        Some(it) => {
            let message = format!("`{}` has no {it}; nothing was changed", stack.name);
            let help = Some(format!("see what it has: ecomctl graph {}", stack.name));
            Err(Problem::Usage { message, help }.into())
        }
    }
}

/// What a run is told to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is aimed at.
    pub aim: Aim,
    /// The plan that is to be applied, and the file that it is from; else a plan is made.
    pub saved: Option<(PathBuf, Box<Saved>)>,
    /// What the user agrees to beforehand.
    pub consent: Consent,
}

impl Order {
    /// Returns the verb that gives this order.
    pub const fn verb(&self) -> &'static str {
        match (&self.aim.adopt, self.aim.goal) {
            (Some(_), _) => "adopt",
            (None, Goal::Up) => "up",
            (None, Goal::Teardown) => "teardown",
        }
    }

    /// Returns the command that gives this order to a stack, without consent.
    pub fn command(&self, stack: &str) -> String {
        match &self.saved {
            Some((path, _)) => format!("ecomctl up {stack} --plan {}{}", quoted(path), self.older()),
            None => self.again(stack),
        }
    }

    /// Returns the command that continues: a saved plan is no longer what is left to do.
    pub fn again(&self, stack: &str) -> String {
        let verb = self.verb();
        if let Some(it) = &self.aim.adopt {
            return format!("ecomctl {verb} {stack} {it}");
        }
        let flags = |flag: &str, all: &std::collections::BTreeSet<Address>| -> String {
            all.iter().map(|it| format!(" {flag} {it}")).collect()
        };
        let (only, kept) = (flags("--only", &self.aim.only), flags("--keep-drift", &self.aim.keep_drift));
        format!("ecomctl {verb} {stack}{only}{kept}{}", self.older())
    }

    /// The consent to an older definition, which holds for one command alone.
    const fn older(&self) -> &'static str {
        if self.aim.allow_older { " --allow-older" } else { "" }
    }

    /// Says what is so once all is done, as the end of a sentence that begins with the stack.
    pub fn achieved(&self) -> String {
        match (&self.aim.adopt, self.aim.goal) {
            (Some(it), _) => format!("has {it} now"),
            (None, Goal::Teardown) => "is gone".to_owned(),
            (None, Goal::Up) if self.aim.only.is_empty() => "is up to date".to_owned(),
            (None, Goal::Up) => {
                let names: Vec<_> = self.aim.only.iter().map(ToString::to_string).collect();
                format!("is up to date as to {}", names.join(", "))
            }
        }
    }
}

/// Says that a plan is not what would be done now.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the plan in {path} is stale; nothing was changed. What moved since it was made:\n{}", self.list())]
#[diagnostic(
    code(plan::stale),
    help(
        "make it anew, and read it: {anew}; where a run of this very plan was cut short, the same without saving goes on: {goes_on}"
    )
)]
pub struct Stale {
    /// The file.
    pub path: String,
    /// What moved.
    pub moved: Vec<String>,
    /// The command that goes on with what is half done.
    pub goes_on: String,
    /// The command that makes the plan anew.
    pub anew: String,
}

impl Stale {
    fn list(&self) -> String {
        self.moved.iter().map(|it| format!("- {it}")).collect::<Vec<_>>().join("\n")
    }
}

/// Says that a file is no plan of this stack.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum NoPlan {
    /// It does not read as one.
    #[error("{path} is no plan that can be applied: {cause}")]
    #[diagnostic(code(plan::damaged), help("make it anew: ecomctl diff {stack} --out {path}"))]
    Damaged {
        /// The file.
        path: String,
        /// The stack.
        stack: String,
        /// What is wrong with it, and where.
        cause: Damaged,
    },
    /// It is another stack's.
    #[error("{path} is a plan for `{theirs}`, not for `{stack}`; nothing was changed")]
    #[diagnostic(code(plan::other_stack), help("apply it to its own stack: ecomctl up {theirs} --plan {path}"))]
    OtherStack {
        /// The file.
        path: String,
        /// The stack.
        stack: String,
        /// The plan's.
        theirs: String,
    },
}

/// Reads a saved plan of a stack.
///
/// # Errors
/// Says why it cannot be read, and where it is damaged.
pub fn read(path: &Path, stack: &str) -> Result<Saved> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(error::file("read", path))?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(error::file("read", path))?;
    let (shown, stack) = (path.display().to_string(), stack.to_owned());
    let damaged =
        |cause| Error::new(Exit::Unreachable, NoPlan::Damaged { path: shown.clone(), stack: stack.clone(), cause });
    let place = |at: usize, message: &str| {
        let before = &bytes[..at];
        let line = before.split(|it| *it == b'\n').count();
        let column = before.iter().rev().take_while(|it| **it != b'\n').count() + 1;
        damaged(Damaged::At { line, column, message: message.to_owned() })
    };
    if bytes.len() as u64 > LARGEST {
        return Err(place(bytes.len(), "it is larger than any plan"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|err| place(err.valid_up_to(), "this is no text"))?;
    let saved = Saved::read(text).map_err(damaged)?;
    if saved.stack != stack {
        let theirs = saved.stack;
        return Err(Error::new(Exit::Refused, NoPlan::OtherStack { path: shown, stack, theirs }));
    }
    Ok(saved)
}

/// Writes a plan to a file: all of it, or nothing. What a link points at is written; what is there and is no file, such as
/// `/dev/stdout`, is written to.
///
/// # Errors
/// Says why it cannot be written.
pub fn write(path: &Path, saved: &Saved) -> Result<()> {
    if path == Path::new("-") {
        let (message, help) = ("`-` is no file to save a plan to", "to print it: --format json");
        return Err(Problem::Usage { message: message.to_owned(), help: Some(help.to_owned()) }.into());
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = real.as_path();
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let text = saved.text().map_err(error::internal)?;
    let put = || {
        if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
            return fs::write(path, &text);
        }
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(|_| ()).map_err(|err| err.error)
    };
    put().map_err(error::file("write", path))
}

/// Writes a path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-+=:@%".contains(it);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_be_copied_as_it_stands() {
        assert_eq!(quoted(Path::new("out/plan-1.json")), "out/plan-1.json");
        assert_eq!(quoted(Path::new("my plan's.json")), r"'my plan'\''s.json'");
    }

    #[test]
    fn a_plan_is_written_where_a_link_points_and_replaces_nothing_but_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let (link, real) = (folder.path().join("link.json"), folder.path().join("real.json"));
        fs::write(&real, "old").expect("written");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let saved = Saved::read(include_str!("../../tests/fixtures/plan.json")).expect("a plan");
        write(&link, &saved).expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(Saved::read(&fs::read_to_string(&real).expect("readable")), Ok(saved.clone()));
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).expect("a link");
        write(&null, &saved).expect("written to");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
        assert_eq!(write(Path::new("-"), &saved).expect_err("no file").exit(), Exit::Usage);
    }

    #[test]
    fn a_damaged_plan_says_where() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.json");
        let told = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("written");
            let err = read(&path, "s").expect_err("no plan");
            (err.exit(), err.diagnostic().to_string().replace(&path.display().to_string(), "p.json"))
        };
        let at = |place: &str| (Exit::Unreachable, format!("p.json is no plan that can be applied: {place}"));
        assert_eq!(told(b""), at("line 1, column 0: EOF while parsing a value"));
        assert_eq!(told(b"{\n  \"format\": 1,\n  \xff"), at("line 3, column 3: this is no text"));
        assert_eq!(told(b"{\"format\": 9}"), at("it has format 9, and this ecomctl reads format 1 only"));
        assert!(told(b"{\n\"format\": 1, \"x\": 2 }").1.contains("line 2, column"));
        assert_eq!(told(&b"[".repeat(10_000)).0, Exit::Unreachable);
    }
}
