//! Which part of a sweep a run of the tests makes: all of it takes too long for every time.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::fault::Fault;

/// Into how many parts a sweep is cut.
const PARTS: u64 = 16;

/// A part of a sweep, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    All,
    /// This one of so many.
    Part(u64),
    /// All that fails, and nothing that is killed.
    Faults,
    /// What fails in this way, and nothing else.
    Fault(Fault),
    /// All writes of a state in a bucket, and nothing else.
    Far,
}

impl Share {
    /// Reads `SWEEP`: `all`, `faults`, `far`, the name of one such as `Stale`, or the number of a part from 0. Otherwise it is
    /// the first part, so that the same sources give the same tests; each night makes another.
    pub(crate) fn due() -> Self {
        match std::env::var("SWEEP").as_deref() {
            Ok("all") => Self::All,
            Ok("faults") => Self::Faults,
            Ok("far") => Self::Far,
            Ok(it) => match Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == it) {
                Some(fault) => Self::Fault(fault),
                None => {
                    let names = "SWEEP is `all`, `faults`, `far`, one of these or a number";
                    Self::Part(it.parse::<u64>().unwrap_or_else(|_| panic!("{names}: {:?}", Fault::ALL)) % PARTS)
                }
            },
            Err(_) => Self::Part(0),
        }
    }

    /// Says whether runs are killed.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::All | Self::Part(_))
    }

    /// Says whether runs are killed at writes of a state in a bucket.
    pub(crate) fn kills_far(self) -> bool {
        matches!(self, Self::All | Self::Far)
    }

    /// Lists the ways in which requests fail, in this share.
    pub(crate) fn faults(self) -> Vec<Fault> {
        let all = (0..).zip(Fault::ALL);
        let due = all.filter(|(number, fault)| match self {
            Self::All | Self::Faults => true,
            Self::Fault(it) => it == *fault,
            Self::Far => false,
            // There are more ways than parts, and the first part is the one of every day.
            Self::Part(part) => (number + number / PARTS) % PARTS == part,
        });
        due.map(|it| it.1).collect()
    }

    /// Says whether a point of the sweep is part of this share; always the same.
    pub(crate) fn holds(self, it: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        it.hash(&mut hasher);
        match self {
            Self::All | Self::Far => true,
            Self::Faults | Self::Fault(_) => false,
            Self::Part(part) => hasher.finish() % PARTS == part,
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => write!(f, "the whole sweep"),
            Self::Faults => write!(f, "all faults"),
            Self::Far => write!(f, "all writes of a state in a bucket"),
            Self::Fault(it) => write!(f, "every request as {it:?}"),
            Self::Part(it) => write!(f, "part {it} of 0..{PARTS} of the sweep; all of it: `just kills`"),
        }
    }
}
