//! What is written into the description of what has no tags, an item of Fabric or a schema of Redshift: whose it is, and which
//! data it holds. Pure.

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

    /// What is read back, without words for people.
    pub(crate) fn tail(&self) -> String {
        let Owner { stack, address, nonce } = &self.owner;
        // A refresh is one of data that are named.
        let refresh = self.refresh.iter().filter(|_| self.data.is_some());
        let more: String = self.data.iter().chain(refresh).map(|it| format!(" {it}")).collect();
        format!("{BEGIN}{stack} {address} {nonce}{more}]")
    }

    /// Returns the words for people in front of the mark; all of a text that has none.
    pub(crate) fn words(text: &str) -> &str {
        let end = if Self::read(text).is_some() { text.rfind(BEGIN) } else { None };
        text[..end.unwrap_or(text.len())].trim_end()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deployed by ecomctl from files; edits are undone. {}", self.tail())
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
        assert_eq!(Mark::words("Sales [ecomctl x]"), "Sales [ecomctl x]");
        assert_eq!(Mark::words(&format!("Sales {}", Mark::of(&owner).tail())), "Sales");
        assert_eq!(Mark::read(""), None);
    }
}
