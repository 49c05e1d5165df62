//! Which part of a sweep a run of the tests makes: all of it takes too long for every time.

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// Into how many parts a sweep is cut.
const PARTS: u64 = 8;

/// A part of a sweep, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    All,
    /// This one of so many.
    Part(u64),
    /// All that fails, and nothing that is killed.
    Faults,
}

impl Share {
    /// Reads `SWEEP`: `all`, `faults`, or the number of a part from 0. Otherwise it is the first part, so that the same sources give
    /// the same tests; each night makes another.
    pub(crate) fn due() -> Self {
        match std::env::var("SWEEP").as_deref() {
            Ok("all") => Self::All,
            Ok("faults") => Self::Faults,
            Ok(it) => Self::Part(it.parse::<u64>().expect("SWEEP is `all`, `faults` or a number") % PARTS),
            Err(_) => Self::Part(0),
        }
    }

    /// Says whether runs are killed.
    pub(crate) fn kills(self) -> bool {
        self != Self::Faults
    }

    /// Says whether one of a few things that are not cut further is part of this share.
    pub(crate) const fn is_due(self, number: usize) -> bool {
        match self {
            Self::All | Self::Faults => true,
            Self::Part(part) => number as u64 % PARTS == part,
        }
    }

    /// Says whether a point of the sweep is part of this share; always the same.
    pub(crate) fn holds(self, it: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        it.hash(&mut hasher);
        match self {
            Self::All => true,
            Self::Faults => false,
            Self::Part(part) => hasher.finish() % PARTS == part,
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => write!(f, "the whole sweep"),
            Self::Faults => write!(f, "all faults"),
            Self::Part(it) => write!(f, "part {it} of 0..{PARTS} of the sweep; all of it: `just kills`"),
        }
    }
}
