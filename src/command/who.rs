//! Who runs the program, and from which commit: what a lease and the state say of a run.

use std::{env, fs, path::Path};

use uuid::Uuid;

use crate::{
    process::{self, Process},
    state::Holder,
};

/// Describes this run.
pub fn holder(root: &Path) -> Holder {
    Holder {
        user: first(&["USER", "LOGNAME"]).unwrap_or_else(account),
        host: nix::unistd::gethostname().map_or_else(|_| "unknown".to_owned(), |it| it.to_string_lossy().into_owned()),
        pid: std::process::id(),
        start: Process::find(std::process::id()).map(|it| it.start),
        boot: process::boot(),
        run: Uuid::new_v4(),
        ci: ci(),
        commit: first(&["GITHUB_SHA", "CI_COMMIT_SHA"]).or_else(|| commit(root)),
    }
}

/// Names the holder for people.
pub fn name(it: &Holder) -> String {
    if it.ci.is_some() { "ci".to_owned() } else { format!("{}@{}", it.user, it.host) }
}

/// Returns the name of the account that runs this process, or its number where it has no name.
fn account() -> String {
    let id = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(id).ok().flatten();
    user.map_or_else(|| id.to_string(), |it| it.name)
}

/// Returns the page of the CI run, on GitHub, GitLab and Jenkins.
fn ci() -> Option<String> {
    let github = || {
        let (server, repository) = (first(&["GITHUB_SERVER_URL"])?, first(&["GITHUB_REPOSITORY"])?);
        Some(format!("{server}/{repository}/actions/runs/{}", first(&["GITHUB_RUN_ID"])?))
    };
    github().or_else(|| first(&["CI_JOB_URL", "BUILD_URL"]))
}

fn first(names: &[&str]) -> Option<String> {
    names.iter().find_map(|it| env::var(it).ok().filter(|it| !it.is_empty()))
}

/// Reads the commit that is checked out, without git; `None` where there is no repository.
fn commit(root: &Path) -> Option<String> {
    let git = root.ancestors().map(|it| it.join(".git")).find(|it| it.exists())?;
    // In a worktree, `.git` is a file that points at a folder of its own, which points at the one that all share.
    let own = match fs::read_to_string(&git) {
        Ok(it) => git.parent()?.join(it.strip_prefix("gitdir: ")?.trim()),
        Err(_) => git,
    };
    let shared = fs::read_to_string(own.join("commondir")).map_or_else(|_| own.clone(), |it| own.join(it.trim()));
    let head = fs::read_to_string(own.join("HEAD")).ok()?;
    match head.trim().strip_prefix("ref: ") {
        None => Some(head.trim().to_owned()),
        Some(reference) => resolve(&shared, reference),
    }
    .filter(|it| it.len() >= 40 && it.bytes().all(|it| it.is_ascii_hexdigit()))
}

fn resolve(git: &Path, reference: &str) -> Option<String> {
    if let Ok(it) = fs::read_to_string(git.join(reference)) {
        return Some(it.trim().to_owned());
    }
    let packed = fs::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|it| it.strip_suffix(reference)?.strip_suffix(' ').map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_read_wherever_git_keeps_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("created");
            fs::write(path, text).expect("written");
        };
        assert_eq!(commit(&folder.path().join("none")), None);
        let (one, two) = ("a1".repeat(20), "b2".repeat(20));
        write("main/.git/HEAD", "ref: refs/heads/main\n");
        write("main/.git/packed-refs", &format!("# pack-refs\n{one} refs/heads/main\n"));
        assert_eq!(commit(&folder.path().join("main")), Some(one));
        write("main/.git/refs/heads/side", &format!("{two}\n"));
        write("main/.git/worktrees/side/HEAD", "ref: refs/heads/side\n");
        write("main/.git/worktrees/side/commondir", "../..\n");
        write("side/.git", "gitdir: ../main/.git/worktrees/side\n");
        assert_eq!(commit(&folder.path().join("side")), Some(two.clone()));
        write("main/.git/worktrees/side/HEAD", &format!("{two}\n"));
        assert_eq!(commit(&folder.path().join("side")), Some(two));
    }
}
