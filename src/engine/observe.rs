//! The live world, read: one request per kind where the kind can. Sends nothing that changes anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use miette::Diagnostic;
use uuid::Uuid;

use super::Engine;
use crate::{
    address::{Address, Name, Owner},
    resource::{self, Kind, Observation, Ownership, Reason},
    state::Document,
};

/// The longest that is looked for what the file names no other of.
const GLANCE: Duration = Duration::from_secs(10);

/// What is there, of all that a stack defines or owns.
#[derive(Debug, Default)]
pub struct Observed {
    /// How the provider knows each resource, whether it exists or not.
    pub names: BTreeMap<Address, Name>,
    /// What exists.
    pub found: BTreeMap<Address, Observation>,
    /// What carries the stack's tags though neither its file nor its state names it: its address, and its name at the
    /// provider. Looked for only while there is no state.
    pub strays: Vec<(Address, String)>,
    /// The kinds among which could not be looked for those, and why not.
    pub unsearched: Vec<(String, String)>,
    /// Resources that are recorded under another address than the stack file now gives them: the new one, and the old.
    pub moved: BTreeMap<Address, Address>,
}

/// Why nothing could be planned.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The live world cannot be read.
    #[error("cannot read the stack's {kind}s")]
    #[diagnostic(code(observe::unreadable), help("nothing was changed; {help}"))]
    Read {
        /// Of which kind.
        kind: String,
        /// Why not.
        #[source]
        #[diagnostic_source]
        cause: resource::Error,
        /// What to do.
        help: &'static str,
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
        /// What to do, where the cause does not say it itself.
        #[help]
        help: Option<&'static str>,
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
            let found = kind.read(self.cx, &names).await.map_err(|cause| unreadable(section, cause))?;
            Ok(group.into_iter().map(|it| it.0.clone()).zip(found).collect::<Vec<_>>())
        });
        for (address, found) in try_join_all(reads).await?.into_iter().flatten() {
            self.cx.lives.set(&address, found.clone().filter(|it| it.phase.is_usable()));
            if let Some(found) = found {
                observed.found.insert(address, found);
            }
        }
        if document.definition.is_none() && document.resources.is_empty() {
            self.look_for_strays(&mut observed).await;
        }
        Ok(observed)
    }

    /// Looks for what the stack's file may have named before the state was lost, among all kinds, as far as these can list
    /// it. What cannot be listed is told, and stops nothing; among kinds that the file names nothing of, it does not hold up
    /// anything for long either.
    async fn look_for_strays(&self, observed: &mut Observed) {
        let known: BTreeSet<(&str, &str)> =
            observed.names.iter().map(|(address, it)| (address.kind.as_str(), it.physical.as_str())).collect();
        let looks = self.kinds.iter().map(|kind| {
            let known = &known;
            let used = self.stack.resources.keys().any(|address| address.kind == kind.name());
            async move {
                let patience = if used { Duration::MAX } else { GLANCE };
                let found = tokio::time::timeout(patience, self.strays_of(*kind, known)).await;
                (kind.name(), found)
            }
        });
        let (mut strays, mut unsearched) = (Vec::new(), Vec::new());
        for (kind, found) in join_all(looks).await {
            match found {
                Ok(Ok(it)) => strays.extend(it),
                Ok(Err(err)) => unsearched.push((kind.to_owned(), err.to_string())),
                Err(_) => unsearched.push((kind.to_owned(), format!("no answer within {} s", GLANCE.as_secs()))),
            }
        }
        (observed.strays, observed.unsearched) = (strays, unsearched);
    }

    async fn strays_of(
        &self,
        kind: &dyn Kind,
        known: &BTreeSet<(&str, &str)>,
    ) -> Result<Vec<(Address, String)>, resource::Error> {
        let names =
            kind.candidates(self.cx).await?.into_iter().filter(|it| !known.contains(&(kind.name(), it.as_str())));
        let address = Address::new(kind.name(), "?");
        let owner = Owner { stack: self.cx.scope.stack.clone(), address, nonce: String::new() };
        let names: Vec<Name> = names.map(|physical| Name { physical, owner: owner.clone(), id: None }).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found = kind.read(self.cx, &names).await?;
        let ours = names.into_iter().zip(found).filter_map(|(name, live)| match live?.identity.ownership {
            Ownership::Tagged(owner) if owner.stack == name.owner.stack => Some((owner.address, name.physical)),
            _ => None,
        });
        Ok(ours.collect())
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
        self.kind(address)?.physical_name(&definition.spec, &self.cx.scope, &address.name).map_err(unresolved(address))
    }
}

/// Says that what is wanted cannot be computed, and what to do about that.
pub(super) fn unresolved(address: &Address) -> impl FnOnce(resource::Error) -> Error {
    let address = address.clone();
    move |cause| {
        let help = match &cause {
            resource::Error::Client(it) => Some(match it.reason {
                Reason::Denied => "nothing was changed; once the credentials allow it, run the same command again",
                Reason::Invalid => "nothing was changed; change what the stack's file asks for",
                _ => "nothing was changed; run the same command again once it answers",
            }),
            resource::Error::NotReady(_) => Some("nothing was changed; run the same command again once it is"),
            resource::Error::Template(_) | resource::Error::Refused { .. } | resource::Error::Unusable(_) => None,
        };
        Error::Unresolved { address, cause, help }
    }
}

fn unreadable(kind: &str, cause: resource::Error) -> Error {
    let help = match &cause {
        resource::Error::Client(it) if it.reason == Reason::Unavailable => {
            "run the same command again once it answers; for a stack on this machine, `ecomctl local status` says what runs"
        }
        _ => "once that is mended, run the same command again",
    };
    Error::Read { kind: kind.to_owned(), cause, help }
}
