//! What is written into the description of an item of Fabric, which has no tags: whose it is, and which data it holds. Pure.

use std::fmt;

use crate::{
    address::{Address, Owner},
    resource::Ownership,
};

/// What a description says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Whose the item is.
    pub(crate) owner: Owner,
    /// What identifies the data that were asked for last, where any were.
    pub(crate) data: Option<String>,
    /// The refresh that loads them; none once they are known to be loaded.
    pub(crate) refresh: Option<String>,
}

/// What the mark begins with, behind words for people.
const BEGIN: &str = "[ecomctl ";

impl Mark {
    /// Marks an item whose data were not loaded yet.
    pub(crate) fn of(owner: &Owner) -> Self {
        Self { owner: owner.clone(), data: None, refresh: None }
    }

    /// Reads a description; `None` where it says nothing of the kind.
    pub(crate) fn read(description: &str) -> Option<Self> {
        let (_, rest) = description.rsplit_once(BEGIN)?;
        // People may have written more behind it.
        let mut words = rest.split_once(']')?.0.split(' ');
        let (stack, address, nonce) = (words.next()?, words.next()?, words.next()?);
        let address: Address = address.parse().ok()?;
        let owner = Owner { stack: stack.to_owned(), address, nonce: nonce.to_owned() };
        let mut next = || words.next().map(str::to_owned);
        Some(Self { owner, data: next(), refresh: next() })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { stack, address, nonce } = &self.owner;
        write!(f, "Deployed by ecomctl from files; edits are undone. {BEGIN}{stack} {address} {nonce}")?;
        // A refresh is one of data that are named.
        self.data
            .iter()
            .chain(self.refresh.iter().filter(|_| self.data.is_some()))
            .try_for_each(|it| write!(f, " {it}"))?;
        write!(f, "]")
    }
}

/// Says whose an item is.
pub(crate) fn ownership(mark: Option<Mark>) -> Ownership {
    mark.map_or(Ownership::Foreign, |it| Ownership::Tagged(it.owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_fits() {
        let address = Address::new("model", "a".repeat(60));
        let owner = Owner { stack: "s".repeat(40), address, nonce: "f".repeat(32) };
        let (data, refresh) = (Some("0123456789ab".to_owned()), Some(uuid::Uuid::nil().to_string()));
        for (data, refresh) in [(None, None), (data.clone(), None), (data, refresh)] {
            let mark = Mark { owner: owner.clone(), data, refresh };
            let text = mark.to_string();
            assert!(text.len() <= 256, "{} of Fabric's 256 characters", text.len());
            assert_eq!(Mark::read(&text), Some(mark.clone()));
            assert_eq!(Mark::read(&format!("Ours. {text} (ask Ada)")), Some(mark), "people wrote around it");
        }
        assert_eq!(Mark::read("Sales [ecomctl x]"), None);
        assert_eq!(Mark::read(""), None);
    }
}
