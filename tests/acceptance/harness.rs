//! Runs the real binary in a project of its own, and holds what it printed.
//!
//! The environment is emptied first, so that neither credentials nor settings of the machine reach the tests.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// The program, in a project.
pub(crate) struct Ecomctl {
    project: TempDir,
    environment: BTreeMap<String, String>,
}

/// A run that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ecomctl {
    /// Makes a project of these files; a directory `stacks/` is always there.
    pub(crate) fn in_project<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let it = Self::nowhere();
        fs::create_dir(it.root().join("stacks")).expect("created");
        for (path, text) in files {
            let path = it.root().join(path);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("created");
            fs::write(path, text).expect("written");
        }
        it
    }

    /// Makes an empty directory, which is no project.
    pub(crate) fn nowhere() -> Self {
        let project = tempfile::Builder::new().prefix("ecomctl-").tempdir().expect("a folder");
        Self { project, environment: BTreeMap::new() }
    }

    /// Sets a variable for the runs to come.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn root(&self) -> &Path {
        self.project.path()
    }

    /// Runs the program to its end, without a terminal.
    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ended {
        self.run_into(args, Stdio::piped())
    }

    /// The same, with the result going elsewhere.
    pub(crate) fn run_into<'a>(&self, args: impl IntoIterator<Item = &'a str>, out: impl Into<Stdio>) -> Ended {
        let kept = ["PATH", "LD_LIBRARY_PATH"].into_iter().filter_map(|it| Some((it, std::env::var_os(it)?)));
        let output = Command::new(env!("CARGO_BIN_EXE_ecomctl"))
            .args(args)
            .env_clear()
            .envs(kept)
            .envs(&self.environment)
            .current_dir(self.root())
            .stdin(Stdio::null())
            .stdout(out)
            .output()
            .expect("the program starts");
        let text = |it: Vec<u8>| {
            let text = String::from_utf8(it).expect("what it prints is UTF-8");
            text.replace(&self.root().display().to_string(), "<project>")
        };
        Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// Checks the exit code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Checks that nothing was printed to standard output, which belongs to results.
    pub(crate) fn without_result(self) -> Self {
        assert_eq!(self.out, "", "{self:#?}");
        self
    }
}
