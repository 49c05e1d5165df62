//! Exit codes: what the caller of the program may act upon. They are part of the interface and never change.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// What was asked is done.
    Done = 0,
    /// A mistake of ecomctl itself.
    Internal = 1,
    /// The command line asks for what does not exist.
    Usage = 2,
    /// `diff --exit-code` found changes.
    Changes = 3,
    /// The stack's files hold mistakes.
    Rejected = 4,
    /// The provider denied a request or could not be reached; or a file could not be read or written, such as the state.
    Unreachable = 5,
    /// Some of it is done; the same command continues.
    Incomplete = 6,
    /// Another run is at work.
    Locked = 7,
    /// Something could not be built.
    Build = 8,
    /// It would destroy something that is protected, or data without consent, or the plan is stale.
    Refused = 9,
    /// What was run ended with a failure of its own: a job, a query.
    Failed = 10,
}

impl Exit {
    /// All of them, with what they mean.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Done, "done"),
        (Self::Internal, "internal error"),
        (Self::Usage, "wrong usage"),
        (Self::Changes, "`diff --exit-code` found changes"),
        (Self::Rejected, "the stack's files hold mistakes"),
        (Self::Unreachable, "denied, or not reachable; also a state or file that cannot be read or written"),
        (Self::Incomplete, "incomplete: run the same command again to continue"),
        (Self::Locked, "another run is at work on the stack"),
        (Self::Build, "a build failed"),
        (Self::Refused, "refused: protection, data loss without consent, or a stale plan"),
        (Self::Failed, "what was run failed: a job, a query"),
    ];

    /// Returns the number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Writes the table that the help shows.
    pub fn table() -> String {
        let lines = Self::ALL.iter().map(|(it, meaning)| format!("  {:<2} {meaning}", it.code()));
        format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(it: Exit) -> Self {
        it.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_in_order() {
        let codes: Vec<_> = Exit::ALL.iter().map(|it| it.0.code()).collect();
        assert_eq!(codes, (0..11).collect::<Vec<_>>());
    }
}
