//! The project at hand: where it is, what its stacks are, where the tool keeps its own files, and how a stack's cloud is
//! reached.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    client::{
        self, Reason,
        aws::Aws,
        databricks::{self, Databricks},
        fabric::{self, Fabric},
        patience,
    },
    command::{Global, Result, access::Access, error, local},
    local::ACCOUNT,
    resource::{Cx, KINDS, Lives, Scope},
    stack::{self, Settings, Stack, Target},
    template::Templates,
};

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The directory that holds `stacks/`.
    pub root: PathBuf,
    /// Where everything that the tool writes lies.
    pub home: PathBuf,
    /// As whom AWS is asked.
    pub access: Access,
}

/// The argument that names a stack, with the prefix that makes it a preview.
#[derive(Clone, Debug)]
pub struct StackArg {
    /// The stack's name: `staging`, or `pr-7-staging` for a preview of it.
    pub stack: String,
}

/// How it is written.
#[derive(clap::Args)]
struct Written {
    /// The stack: the name of a file in `stacks/`, without `.yaml`
    #[arg(value_name = "STACK", add = clap_complete::ArgValueCompleter::new(super::completions::stacks))]
    stack: String,
    /// Mean a preview of it, `<PREFIX>-<STACK>`, which has names and a state of its own
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
}

impl clap::Args for StackArg {
    fn augment_args(command: clap::Command) -> clap::Command {
        Written::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Written::augment_args_for_update(command)
    }
}

impl clap::FromArgMatches for StackArg {
    fn from_arg_matches(found: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let Written { stack, prefix } = Written::from_arg_matches(found)?;
        Ok(Self { stack: prefix.map_or(stack.clone(), |it| format!("{it}-{stack}")) })
    }

    fn update_from_arg_matches(&mut self, found: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(found)?;
        Ok(())
    }
}

impl Project {
    /// Finds the project around the working directory, or around the one named by `--project`.
    ///
    /// # Errors
    /// Says that there is none.
    pub fn open(global: &Global) -> Result<Self> {
        check_ports(std::env::var_os("ECOMCTL_PORTS").as_deref())?;
        patience::check().map_err(no_timeout)?;
        global.project.as_deref().map_or(Ok(()), check_folder)?;
        let from = global.project.as_deref().unwrap_or(Path::new("."));
        let from = std::path::absolute(from).map_err(error::file("find", from))?;
        let root = stack::root(&from)?;
        let home = std::env::var_os("ECOMCTL_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
        let home = home.unwrap_or_else(|| root.join(".ecomctl"));
        Ok(Self {
            home: std::path::absolute(&home).map_err(error::file("find", &home))?,
            root,
            access: global.access.clone(),
        })
    }

    /// Loads a stack.
    ///
    /// # Errors
    /// All its mistakes; that it is none, but what stacks extend.
    pub fn load(&self, stack: &str) -> Result<Stack> {
        let names = stack::names(&self.root)?;
        let stem = stack::stem_of(&self.root, stack).unwrap_or(stack);
        if !names.iter().any(|it| it == stem) && stack::is_file(&self.root, stack) {
            let message = format!("`{stem}` is no stack, but what stacks extend");
            let help = Some(format!("the stacks are: {}", names.join(", ")));
            return Err(error::Problem::Usage { message, help }.into());
        }
        Ok(stack::load(&self.root, stack, KINDS)?)
    }

    /// Connects to the cloud that a stack lives in, and makes sure that it is the right account. Starts the local cloud
    /// where `start` says so. The result holds no artifacts yet.
    ///
    /// # Errors
    /// Says why it cannot be reached.
    pub async fn connect(&self, stack: &Stack, start: bool, tell: &(dyn Fn(String) + Sync)) -> Result<Cx> {
        let (gateway, workspace) = match stack.settings.target {
            Target::Aws => (None, ambient(stack)),
            Target::Local => {
                let at = local::endpoints(&self.home, start, tell).await?;
                (Some(at.gateway), databricks::Target::ambient().host(Some(at.databricks)).token("local"))
            }
        };
        let aws = self.reach(&stack.name, &stack.settings, gateway).await?;
        let region = aws.region().to_owned();
        let account = self.check_account(&stack.name, &stack.settings, &aws).await?;
        Ok(Cx {
            aws: Arc::new(aws),
            databricks: Arc::new(Databricks::new(workspace)),
            fabric: Arc::new(Fabric::new(fabric::Target::ambient())),
            scope: Scope { stack: stack.name.clone(), account, region },
            templates: Arc::new(Templates::new(self.root.join("templates"))),
            artifacts: Arc::new(BTreeMap::new()),
            tags: stack.settings.tags.clone(),
            lives: Lives::default(),
            specs: Arc::new(stack.resources.iter().map(|(address, it)| (address.clone(), it.spec.clone())).collect()),
        })
    }

    /// Returns the account that the credentials belong to, and makes sure that it is the stack's.
    ///
    /// # Errors
    /// Says that it is another, or that it cannot be asked.
    pub async fn check_account(&self, stack: &str, settings: &Settings, aws: &Aws) -> Result<String> {
        if settings.target == Target::Local {
            return Ok(ACCOUNT.to_owned());
        }
        let found = account(aws).await?;
        match &settings.account {
            Some(wanted) if *wanted != found => {
                let (stack, wanted) = (stack.to_owned(), wanted.clone());
                Err(error::Problem::WrongAccount { stack, wanted, found }.into())
            }
            _ => Ok(found),
        }
    }
}

/// Says which Databricks workspace a stack is deployed to. Nothing is asked of it before a kind does.
fn ambient(stack: &Stack) -> databricks::Target {
    let named = stack.settings.databricks.clone().unwrap_or_default();
    databricks::Target::ambient().host(named.host).profile(named.profile)
}

/// Says that the folder is not there which is to hold the project.
fn check_folder(folder: &Path) -> Result<()> {
    let wrong = match (folder.is_dir(), folder.exists()) {
        (true, _) => return Ok(()),
        (false, true) => "is no directory",
        (false, false) => "does not exist",
    };
    let message = format!("{} {wrong}", folder.display());
    let help = Some("`--project` names the directory of a project, which holds `stacks/`".to_owned());
    Err(error::Problem::Usage { message, help }.into())
}

/// Says that the environment asks for ports that there are not.
fn check_ports(wanted: Option<&OsStr>) -> Result<()> {
    match wanted.filter(|it| !it.is_empty() && *it != "free") {
        None => Ok(()),
        Some(it) => Err(error::Problem::Usage {
            message: format!("the environment variable ECOMCTL_PORTS is `{}`, which means nothing", it.display()),
            help: Some("set it to `free`, for free ports that are chosen once, or leave it out".to_owned()),
        }
        .into()),
    }
}

/// Says that the environment names no time to wait for answers.
fn no_timeout(found: String) -> error::Error {
    let message = format!("the environment variable {} is `{found}`, which is no time to wait", patience::VARIABLE);
    let help = Some("set it to the longest wait for one answer, such as `5s`, or leave it out".to_owned());
    error::Problem::Usage { message, help }.into()
}

/// Asks whose the credentials are. Every other request would fail too where this one does.
async fn account(aws: &Aws) -> Result<String> {
    let failed = client::Error::aws("sts", "GetCallerIdentity");
    let answer = aws.sts().get_caller_identity().send().await.map_err(failed)?;
    let none = || client::Error::new("sts", "GetCallerIdentity", Reason::Other, "the answer names no account");
    Ok(answer.account().map(str::to_owned).ok_or_else(none)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_says_of_ports_is_understood_or_refused() {
        assert!([None, Some(""), Some("free")].into_iter().all(|it| check_ports(it.map(OsStr::new)).is_ok()));
        let err = check_ports(Some(OsStr::new("fre"))).expect_err("no such ports");
        assert_eq!(err.exit(), crate::command::Exit::Usage);
        assert!(err.diagnostic().to_string().contains("`fre`"), "{err:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        for (path, wrong) in [(file, "is no directory"), (folder.path().join("gone"), "does not exist")] {
            let global = Global { project: Some(path.clone()), ..Global::default() };
            let err = Project::open(&global).expect_err("no project");
            assert_eq!(err.exit(), crate::command::Exit::Usage);
            assert_eq!(err.diagnostic().to_string(), format!("{} {wrong}", path.display()));
        }
    }

    #[test]
    fn the_project_is_found_from_below() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("lambdas/ingest");
        std::fs::create_dir_all(&inner).expect("created");
        std::fs::create_dir(folder.path().join("stacks")).expect("created");
        let project = Project::open(&Global { project: Some(inner), ..Global::default() }).expect("a project");
        assert_eq!(project.root, folder.path());
    }
}
