//! What is written into the names of keys, since keys are all that a scope shows. Pure.

use std::fmt;

use crate::address::{Address, Owner};

/// A key of ours that stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Whose the scope is.
    Owner(Owner),
    /// Which version of a value was put.
    Version {
        /// The key of the value.
        of: String,
        /// Its version.
        version: String,
    },
}

const OWNER: &str = "ecomctl.owner.";
const VERSION: &str = "ecomctl.version.";

impl Mark {
    /// Reads the name of a key; `None` where it is one like any other.
    pub(super) fn read(key: &str) -> Option<Self> {
        if let Some(rest) = key.strip_prefix(OWNER) {
            // No part of it holds a dot: names are made of letters, digits, `_` and `-`.
            let [stack, kind, name, nonce] = rest.split('.').collect::<Vec<_>>().try_into().ok()?;
            let address = Address::new(kind, name);
            return Some(Self::Owner(Owner { stack: stack.to_owned(), address, nonce: nonce.to_owned() }));
        }
        let (of, version) = key.strip_prefix(VERSION)?.rsplit_once('.')?;
        Some(Self::Version { of: of.to_owned(), version: version.to_owned() })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(Owner { stack, address, nonce }) => {
                write!(f, "{OWNER}{stack}.{}.{}.{nonce}", address.kind, address.name)
            }
            Self::Version { of, version } => write!(f, "{VERSION}{of}.{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_fits() {
        let address = Address::new("secret_scope", "a".repeat(40));
        let owner = Mark::Owner(Owner { stack: "s".repeat(20), address, nonce: "f".repeat(32) });
        let version = Mark::Version { of: format!("{}.x", "k".repeat(58)), version: "e".repeat(36) };
        for mark in [owner, version] {
            let key = mark.to_string();
            assert!(key.len() <= 128, "{} of Databricks' 128 characters", key.len());
            assert_eq!(Mark::read(&key), Some(mark));
        }
        assert_eq!(Mark::read("password"), None);
        assert_eq!(Mark::read("ecomctl.owner.s"), None);
    }
}
