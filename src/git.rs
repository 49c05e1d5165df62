//! What git knows of commits: which came before which. Changes nothing, and asks no other machine.

use std::{path::Path, process::Command};

/// How a commit stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// The other contains it, and more.
    Older,
    /// It is the same, or has what the other has not.
    NotOlder,
    /// Git cannot tell: there is no git, or one of them is not in this clone.
    Unknown,
}

/// Compares a commit with another by their history in the repository around a directory.
pub fn age(root: &Path, commit: &str, other: &str) -> Age {
    if commit == other {
        return Age::NotOlder;
    }
    let is_commit = |it: &str| it.len() >= 7 && it.bytes().all(|it| it.is_ascii_hexdigit());
    if !is_commit(commit) || !is_commit(other) {
        return Age::Unknown;
    }
    let asked = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["merge-base", "--is-ancestor", commit, other])
        .env("GIT_NO_LAZY_FETCH", "1")
        .output();
    match asked.ok().and_then(|it| it.status.code()) {
        Some(0) => Age::Older,
        Some(1) => Age::NotOlder,
        _ => Age::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(root: &Path, args: &[&str]) -> String {
        let done = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
            .args(args)
            .output()
            .expect("git runs");
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text").trim().to_owned()
    }

    #[test]
    fn what_came_before_is_older_and_what_is_not_here_is_unknown() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        git(root, &["init", "--quiet"]);
        let commit = || {
            git(root, &["commit", "--quiet", "--allow-empty", "--message", "x"]);
            git(root, &["rev-parse", "HEAD"])
        };
        let (first, second) = (commit(), commit());
        git(root, &["checkout", "--quiet", "--detach", &first]);
        git(root, &["commit", "--quiet", "--allow-empty", "--message", "aside"]);
        let aside = git(root, &["rev-parse", "HEAD"]);
        assert_eq!(age(root, &first, &second), Age::Older);
        assert_eq!(age(root, &second, &first), Age::NotOlder);
        assert_eq!(age(root, &first, &first), Age::NotOlder);
        assert_eq!(age(root, &aside, &second), Age::NotOlder, "neither came before the other");
        assert_eq!(age(root, &first, &"ab".repeat(20)), Age::Unknown);
        assert_eq!(age(root, "--help", &first), Age::Unknown);
    }
}
