//! The live world, read: one request per kind where the kind can. Sends nothing that changes anything.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use miette::Diagnostic;
use uuid::Uuid;

use super::Engine;
use crate::{
    address::{Address, Name, Owner},
    resource::{self, Observation, Phase},
    state::Document,
};

/// What is there, of all that a stack defines or owns.
#[derive(Debug, Default)]
pub struct Observed {
    /// How the provider knows each resource, whether it exists or not.
    pub names: BTreeMap<Address, Name>,
    /// What exists.
    pub found: BTreeMap<Address, Observation>,
    /// Resources that are recorded under another address than the stack file now gives them: the new one, and the old.
    pub moved: BTreeMap<Address, Address>,
}

/// Why nothing could be planned.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The live world cannot be read.
    #[error("cannot read the stack's {kind}s")]
    #[diagnostic(code(observe::unreadable))]
    Read {
        /// Of which kind.
        kind: String,
        /// Why not.
        #[source]
        #[diagnostic_source]
        cause: resource::Error,
    },
    /// What is wanted cannot be computed.
    #[error("cannot tell what {address} shall be")]
    #[diagnostic(code(plan::unresolved))]
    Unresolved {
        /// Of which resource.
        address: Address,
        /// Why not.
        #[source]
        #[diagnostic_source]
        cause: resource::Error,
    },
    /// The state knows a kind that this program does not.
    #[error("the state holds {0}, a kind that this version of ecomctl does not know")]
    #[diagnostic(code(state::unknown_kind), help("use the version of ecomctl that made it, or a later one"))]
    UnknownKind(Address),
}

impl Engine<'_> {
    /// Reads everything that the stack defines or the document records, all kinds at once, and remembers in the context
    /// what is ready.
    ///
    /// # Errors
    /// [`Error::Read`] when a kind cannot be read: a plan from half a view would be a lie.
    pub async fn observe(&self, document: &Document) -> Result<Observed, Error> {
        let moved = self.moved(document);
        let mut observed = Observed { names: self.names(document, &moved)?, moved, ..Observed::default() };
        let mut by_kind: BTreeMap<&str, Vec<(&Address, &Name)>> = BTreeMap::new();
        for (address, name) in &observed.names {
            by_kind.entry(&address.kind).or_default().push((address, name));
        }
        let reads = by_kind.into_iter().map(|(section, group)| async move {
            let kind = self.kind(group[0].0)?;
            let names: Vec<Name> = group.iter().map(|it| it.1.clone()).collect();
            let found =
                kind.read(self.cx, &names).await.map_err(|cause| Error::Read { kind: section.to_owned(), cause })?;
            Ok(group.into_iter().map(|it| it.0.clone()).zip(found).collect::<Vec<_>>())
        });
        for (address, found) in try_join_all(reads).await?.into_iter().flatten() {
            self.cx.lives.set(&address, found.clone().filter(|it| it.phase == Phase::Ready));
            if let Some(found) = found {
                observed.found.insert(address, found);
            }
        }
        Ok(observed)
    }

    /// Finds what the stack file gives another address than the one under which it is recorded.
    fn moved(&self, document: &Document) -> BTreeMap<Address, Address> {
        let recorded = |it: &Address| document.resources.contains_key(it);
        let moves = self.stack.resources.iter().filter_map(|(address, it)| {
            let former = it.renamed_from.as_ref()?;
            let moves = recorded(former) && !recorded(address) && !self.stack.resources.contains_key(former);
            moves.then(|| (address.clone(), former.clone()))
        });
        moves.collect()
    }

    /// Gives every resource its name: as recorded where it is, else as computed, with a nonce for a first attempt.
    fn names(&self, document: &Document, moved: &BTreeMap<Address, Address>) -> Result<BTreeMap<Address, Name>, Error> {
        let recorded = document.resources.keys().filter(|it| !moved.values().any(|former| former == *it));
        let addresses: BTreeSet<&Address> = self.stack.resources.keys().chain(recorded).collect();
        let name = |address: &Address| {
            let record = document.resources.get(moved.get(address).unwrap_or(address));
            let physical = match (record, self.stack.resources.get(address)) {
                // What is known by its identifier is given the name that its new address means.
                (Some(record), Some(_))
                    if moved.contains_key(address) && record.id.is_some() && self.kind(address)?.renames() =>
                {
                    self.computed(address)?
                }
                (Some(record), _) => record.physical.clone(),
                (None, Some(_)) => self.computed(address)?,
                (None, None) => String::new(),
            };
            let nonce = record.map_or_else(|| Uuid::new_v4().simple().to_string(), |it| it.nonce.clone());
            let owner = Owner { stack: self.cx.scope.stack.clone(), address: address.clone(), nonce };
            Ok((address.clone(), Name { physical, owner, id: record.and_then(|it| it.id.clone()) }))
        };
        addresses.into_iter().map(name).collect()
    }

    /// Computes the name at the provider that the stack file gives a resource.
    pub(super) fn computed(&self, address: &Address) -> Result<String, Error> {
        let Some(definition) = self.stack.resources.get(address) else { return Ok(String::new()) };
        self.kind(address)?
            .physical_name(&definition.spec, &self.cx.scope, &address.name)
            .map_err(|cause| Error::Unresolved { address: address.clone(), cause })
    }
}
