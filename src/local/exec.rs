//! The last step before another program: makes sure that it ends with the supervisor, and that `PostgreSQL` is not root.
//!
//! Runs in a process of its own (`ecomctl local exec-part`), because what it sets holds for a whole process, and must be
//! set before a program is executed but after its process was made.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
    str::FromStr,
    time::Duration,
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{Gid, Uid, User, setgid, setgroups, setuid},
};
use rustix::{
    fs::Mode,
    process::{Signal, getppid, set_parent_process_death_signal, umask},
};
use serde::{Deserialize, Serialize};

use super::{
    error::{Error, Result},
    run::Run,
};

/// As whom a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// As whoever runs `ecomctl`.
    Same,
    /// As root, who appears to be another user to the program: in a user namespace, see `user_namespaces(7)`.
    Appears {
        /// The user it appears to be.
        uid: u32,
        /// And the group.
        gid: u32,
    },
    /// As another user.
    User {
        /// That user.
        uid: u32,
        /// And the group.
        gid: u32,
    },
}

impl Identity {
    /// Finds out how a program that refuses root can be run here with data in a directory.
    pub async fn choose(ecomctl: &Path, data: &Path) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Same);
        }
        let user = ["postgres", "nobody", "daemon"].into_iter().find_map(|it| User::from_name(it).ok().flatten());
        let Some(user) = user else {
            return Err(Error::Root { reason: "there is no user postgres, nobody or daemon to run it as".to_owned() });
        };
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        let namespace = Self::Appears { uid, gid };
        if namespace.works(ecomctl).await {
            return Ok(namespace);
        }
        if let Some(closed) = data.ancestors().filter(|it| it.exists()).find(|it| !may_enter(it)) {
            let reason = format!(
                "this machine allows no user namespaces, and the user {} may not enter {}",
                user.name,
                closed.display()
            );
            return Err(Error::Root { reason });
        }
        Ok(Self::User { uid, gid })
    }

    async fn works(self, ecomctl: &Path) -> bool {
        let run = Run { what: "try a user namespace", help: "", patience: Duration::from_secs(10) };
        run.run(&mut self.command(ecomctl, Signal::KILL, Path::new("/bin/true"))).await.is_ok()
    }

    /// A command that runs a program as this, and ends it with a signal when this process ends.
    pub(crate) fn command(self, ecomctl: &Path, end: Signal, program: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(ecomctl);
        command.args(["local", "exec-part", "--parent", &std::process::id().to_string()]);
        command.args(["--signal", &end.as_raw().to_string(), "--as", &self.to_string(), "--"]).arg(program);
        command
    }

    /// Gives a directory that the program will own to whom it runs as.
    pub(crate) fn give(self, path: &Path) -> Result<()> {
        let Self::User { uid, gid } = self else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).map_err(|err| Error::io("give away", path.display(), err))
    }

    /// Says it in words.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Same => "not root".to_owned(),
            Self::Appears { uid, .. } => format!("allowed; root appears as user {uid}"),
            Self::User { uid, .. } => format!("not allowed; user {uid} is used instead"),
        }
    }

    fn assume(self) -> io::Result<()> {
        match self {
            Self::Same => {}
            Self::Appears { uid, gid } => {
                let (own, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
                unshare(CloneFlags::CLONE_NEWUSER)?;
                // The kernel wants groups to be fixed before it lets a process map its own.
                fs::write("/proc/self/setgroups", "deny")?;
                fs::write("/proc/self/uid_map", format!("{uid} {own} 1"))?;
                fs::write("/proc/self/gid_map", format!("{gid} {group} 1"))?;
            }
            Self::User { uid, gid } => {
                setgroups(&[])?;
                setgid(Gid::from_raw(gid))?;
                setuid(Uid::from_raw(uid))?;
            }
        }
        Ok(())
    }
}

/// As on the command line: `same`, `appears:<uid>:<gid>`, `user:<uid>:<gid>`.
impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same => f.write_str("same"),
            Self::Appears { uid, gid } => write!(f, "appears:{uid}:{gid}"),
            Self::User { uid, gid } => write!(f, "user:{uid}:{gid}"),
        }
    }
}

impl FromStr for Identity {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let ids = |rest: &str| {
            let (uid, gid) = rest.split_once(':')?;
            Some((uid.parse().ok()?, gid.parse().ok()?))
        };
        let parsed = match text.split_once(':') {
            None if text == "same" => Some(Self::Same),
            Some(("appears", rest)) => ids(rest).map(|(uid, gid)| Self::Appears { uid, gid }),
            Some(("user", rest)) => ids(rest).map(|(uid, gid)| Self::User { uid, gid }),
            _ => None,
        };
        parsed.ok_or_else(|| format!("`{text}` is not same, appears:<uid>:<gid> or user:<uid>:<gid>"))
    }
}

/// What a process is to become.
#[derive(Clone, Debug)]
pub struct Exec {
    /// The process whose end is to end this one.
    pub parent: u32,
    /// The number of the signal that tells of that end.
    pub signal: i32,
    /// As whom to run.
    pub identity: Identity,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Becomes another program. Returns only when that failed. Must run before this process has a second thread.
pub fn exec_part(exec: &Exec) -> io::Error {
    let become_it = || -> io::Result<io::Error> {
        // Some parts keep passwords in what they write.
        umask(Mode::RWXG | Mode::RWXO);
        exec.identity.assume()?;
        // A change of identity clears the signal, so it comes second.
        let signal = Signal::from_named_raw(exec.signal).ok_or(io::ErrorKind::InvalidInput)?;
        set_parent_process_death_signal(Some(signal))?;
        // The parent may have ended before the signal was set.
        if getppid().is_none_or(|it| u32::try_from(it.as_raw_nonzero().get()) != Ok(exec.parent)) {
            return Err(io::Error::other("the supervisor is gone"));
        }
        let (program, rest) = exec.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Command::new(program).args(rest).exec())
    };
    become_it().unwrap_or_else(|err| err)
}

fn may_enter(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|it| it.permissions().mode() & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_the_command_line() {
        for it in [Identity::Same, Identity::Appears { uid: 1, gid: 2 }, Identity::User { uid: 3, gid: 4 }] {
            assert_eq!(it.to_string().parse(), Ok(it));
        }
        assert!("user:1".parse::<Identity>().is_err());
        assert!("root".parse::<Identity>().is_err());
    }

    #[test]
    fn nothing_runs_for_a_parent_that_is_gone() {
        let exec = Exec { parent: 1 << 30, signal: 9, identity: Identity::Same, command: vec!["true".into()] };
        // The test's own process would become `true` if the check were not made.
        assert_eq!(exec_part(&exec).to_string(), "the supervisor is gone");
        set_parent_process_death_signal(None).expect("clear");
    }
}
