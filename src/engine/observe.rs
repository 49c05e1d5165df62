//! The live world, read: one request per kind where the kind can. Sends nothing that changes anything.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use miette::Diagnostic;
use uuid::Uuid;

use super::Engine;
use crate::{
    address::{Address, Name, Owner},
    resource::{self, Observation, Phase, Reason},
    state::Document,
};

/// What is there, of all that a stack defines or owns.
#[derive(Debug, Default)]
pub struct Observed {
    /// How the provider knows each resource, whether it exists or not.
    pub names: BTreeMap<Address, Name>,
    /// What exists.
    pub found: BTreeMap<Address, Observation>,
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
        /// What to do.
        #[help]
        help: Option<&'static str>,
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
        let mut observed = Observed { names: self.names(document)?, ..Observed::default() };
        let mut by_kind: BTreeMap<&str, Vec<(&Address, &Name)>> = BTreeMap::new();
        for (address, name) in &observed.names {
            by_kind.entry(&address.kind).or_default().push((address, name));
        }
        let reads = by_kind.into_iter().map(|(section, group)| async move {
            let kind = self.kind(group[0].0)?;
            let names: Vec<Name> = group.iter().map(|it| it.1.clone()).collect();
            let found = kind.read(self.cx, &names).await.map_err(|cause| unreadable(section, cause))?;
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

    /// Gives every resource its name: as recorded where it is, else as computed, with a nonce for a first attempt.
    fn names(&self, document: &Document) -> Result<BTreeMap<Address, Name>, Error> {
        let addresses: BTreeSet<&Address> = self.stack.resources.keys().chain(document.resources.keys()).collect();
        let name = |address: &Address| {
            let record = document.resources.get(address);
            let physical = match (record, self.stack.resources.get(address)) {
                (Some(record), _) => record.physical.clone(),
                (None, Some(definition)) => self
                    .kind(address)?
                    .physical_name(&definition.spec, &self.cx.scope, &address.name)
                    .map_err(|cause| Error::Unresolved { address: address.clone(), cause })?,
                (None, None) => String::new(),
            };
            let nonce = record.map_or_else(|| Uuid::new_v4().simple().to_string(), |it| it.nonce.clone());
            let owner = Owner { stack: self.cx.scope.stack.clone(), address: address.clone(), nonce };
            Ok((address.clone(), Name { physical, owner, id: record.and_then(|it| it.id.clone()) }))
        };
        addresses.into_iter().map(name).collect()
    }
}

fn unreadable(kind: &str, cause: resource::Error) -> Error {
    let help = match &cause {
        resource::Error::Client(it) if it.reason == Reason::Unavailable => Some(
            "run the same command again once it answers; for a stack on this machine, `ecomctl local status` says what runs",
        ),
        _ => None,
    };
    Error::Read { kind: kind.to_owned(), cause, help }
}
