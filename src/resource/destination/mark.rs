//! What is written into the name of a destination, which has no tags: whose it is, and which version was put. Pure.

use crate::address::{Address, Owner};

/// What a name says beside the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Whose the destination is.
    pub(super) owner: Owner,
    /// A hash of what was put.
    pub(super) version: Option<String>,
}

/// What the mark begins with.
const BEGIN: &str = " [ecomctl ";

impl Mark {
    /// Takes a name apart: what it is called, and the mark where there is one.
    pub(super) fn split(name: &str) -> (&str, Option<Self>) {
        let Some((called, rest)) = name.rsplit_once(BEGIN) else { return (name, None) };
        (called, Self::read(rest))
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix(']')?.split(' ');
        let (stack, address, nonce) = (words.next()?, words.next()?, words.next()?);
        let address: Address = address.parse().ok()?;
        let owner = Owner { stack: stack.to_owned(), address, nonce: nonce.to_owned() };
        Some(Self { owner, version: words.next().map(str::to_owned) })
    }

    /// Puts the mark behind what a destination is called.
    pub(super) fn title(&self, called: &str) -> String {
        let Owner { stack, address, nonce } = &self.owner;
        let version = self.version.iter().map(|it| format!(" {it}")).collect::<String>();
        format!("{called}{BEGIN}{stack} {address} {nonce}{version}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let owner =
            Owner { stack: "staging".into(), address: Address::new("destination", "watch"), nonce: "f".repeat(32) };
        for version in [None, Some("0123456789abcdef".to_owned())] {
            let mark = Mark { owner: owner.clone(), version };
            assert_eq!(Mark::split(&mark.title("staging-watch")), ("staging-watch", Some(mark)));
        }
        assert_eq!(Mark::split("On call"), ("On call", None));
        assert_eq!(Mark::split("On call [ecomctl x]"), ("On call", None));
    }
}
