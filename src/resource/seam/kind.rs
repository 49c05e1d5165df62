//! The object-safe twin of a resource: what the engine and the loader see. Knows no kind.

use std::{any::Any, collections::BTreeSet, fmt::Debug, marker::PhantomData, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use schemars::Schema;
use serde_json::Value;

use super::{
    context::{Cx, Scope},
    value::{Change, Desired, Field, Flaw, Identity, Objection, Outputs, Phase},
};
use crate::{
    address::Name,
    artifact::Build,
    resource::{Error, Resource, Result},
};

/// What the engine sees of one live resource.
#[derive(Clone)]
pub struct Observation {
    /// The fields the provider echoes.
    pub observed: Value,
    /// The provider's identifier, and whose it is.
    pub identity: Identity,
    /// How far along it is.
    pub phase: Phase,
    /// What others may read.
    pub outputs: Outputs,
    /// The kind's own [`Resource::Live`].
    pub live: Arc<dyn Any + Send + Sync>,
}

impl Debug for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observation")
            .field("observed", &self.observed)
            .field("identity", &self.identity)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// The object-safe twin of [`Resource`], over JSON: what the engine and the loader see.
pub trait Kind: Send + Sync {
    /// The section of the stack file.
    fn name(&self) -> &'static str;
    /// The fields with a life of their own.
    fn fields(&self) -> &'static [(&'static str, Field)];
    /// Whether deleting it loses data.
    fn data_bearing(&self) -> bool;
    /// The longest wait for readiness.
    fn patience(&self) -> Duration;
    /// How long it usually takes; see [`Resource::USUAL`].
    fn usual(&self) -> Option<Duration> {
        None
    }
    /// How a change of a top-level field interrupts its users; see [`Resource::INTERRUPTS`].
    fn interrupts(&self, _field: &str) -> Option<&'static str> {
        None
    }
    /// What deleting it leaves behind; see [`Resource::leaves_behind`].
    fn leaves_behind(&self, _name: &Name, _live: &Observation) -> Option<String> {
        None
    }
    /// Whether an update gives it the name that it shall have; see [`Resource::RENAMES`].
    fn renames(&self) -> bool {
        false
    }
    /// Whether it leaves after everything else; see [`Resource::LEAVES_LAST`].
    fn leaves_last(&self) -> bool {
        false
    }
    /// Whether creating it succeeds where one of its name is there; see [`Resource::OVERWRITES`].
    fn overwrites(&self) -> bool {
        false
    }
    /// Whether what there is of it can be listed; see [`Resource::LISTED`].
    fn listed(&self) -> bool {
        true
    }
    /// Whether it has no owner's tags at first; see [`Resource::TAGGED_LATE`].
    fn tagged_late(&self) -> bool {
        false
    }
    /// The JSON Schema of one spec.
    fn schema(&self, generator: &mut schemars::SchemaGenerator) -> Schema;
    /// Reads a spec as the file has it and writes it back in full, references marked.
    ///
    /// # Errors
    /// Says what does not fit, with the path to it.
    fn parse(&self, spec: Value) -> Result<Value, serde_path_to_error::Error<serde_json::Error>>;
    /// The names of all outputs that it may have.
    fn outputs(&self) -> &'static [&'static str] {
        &[]
    }
    /// See [`Resource::physical_name`].
    fn physical_name(&self, spec: &Value, scope: &Scope, name: &str) -> Result<String>;
    /// See [`Resource::build`].
    fn build(&self, spec: &Value) -> Result<Option<Build>>;
    /// See [`Resource::check`].
    fn check(&self, spec: &Value) -> Result<Vec<Flaw>>;
    /// See [`Resource::check_name`].
    fn check_name(&self, physical: &str) -> Vec<Flaw>;
    /// See [`Resource::desired`].
    fn desired(&self, spec: &Value, cx: &Cx) -> Result<Desired>;
    /// See [`Resource::read`].
    fn read<'a>(&'a self, cx: &'a Cx, names: &'a [Name]) -> BoxFuture<'a, Result<Vec<Option<Observation>>>>;
    /// See [`Resource::objections`].
    fn objections(&self, spec: &Value, cx: &Cx, live: &Observation, changes: &[Change]) -> Result<Vec<Objection>>;
    /// See [`Resource::candidates`].
    fn candidates<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    /// See [`Resource::create`].
    fn create<'a>(&'a self, cx: &'a Cx, name: &'a Name, spec: &'a Value) -> BoxFuture<'a, Result<()>>;
    /// See [`Resource::update`].
    fn update<'a>(
        &'a self,
        cx: &'a Cx,
        name: &'a Name,
        spec: &'a Value,
        live: &'a Observation,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<()>>;
    /// See [`Resource::revert`].
    fn revert<'a>(&'a self, _cx: &'a Cx, _name: &'a Name, _live: &'a Observation) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    /// See [`Resource::delete`].
    fn delete<'a>(&'a self, cx: &'a Cx, name: &'a Name, live: &'a Observation) -> BoxFuture<'a, Result<()>>;
}

/// Makes a [`Kind`] of a [`Resource`].
pub struct Of<R>(PhantomData<fn() -> R>);

impl<R> Of<R> {
    #[expect(clippy::new_without_default, reason = "only the list of kinds makes one, in a static")]
    /// Makes the one value there is.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R: Resource> Kind for Of<R> {
    fn name(&self) -> &'static str {
        R::KIND
    }

    fn fields(&self) -> &'static [(&'static str, Field)] {
        R::FIELDS
    }

    fn data_bearing(&self) -> bool {
        R::DATA_BEARING
    }

    fn patience(&self) -> Duration {
        R::PATIENCE
    }

    fn usual(&self) -> Option<Duration> {
        R::USUAL
    }

    fn interrupts(&self, field: &str) -> Option<&'static str> {
        R::INTERRUPTS.iter().find(|it| it.0 == field).map(|it| it.1)
    }

    fn leaves_behind(&self, name: &Name, live: &Observation) -> Option<String> {
        R::leaves_behind(name, own::<R>(live).ok()?)
    }

    fn renames(&self) -> bool {
        R::RENAMES
    }

    fn leaves_last(&self) -> bool {
        R::LEAVES_LAST
    }

    fn overwrites(&self) -> bool {
        R::OVERWRITES
    }

    fn tagged_late(&self) -> bool {
        R::TAGGED_LATE
    }

    fn listed(&self) -> bool {
        R::LISTED
    }

    fn outputs(&self) -> &'static [&'static str] {
        R::OUTPUTS
    }

    fn schema(&self, generator: &mut schemars::SchemaGenerator) -> Schema {
        generator.subschema_for::<R>()
    }

    fn parse(&self, spec: Value) -> Result<Value, serde_path_to_error::Error<serde_json::Error>> {
        let typed: R = serde_path_to_error::deserialize(spec)?;
        serde_path_to_error::serialize(&typed, serde_json::value::Serializer)
    }

    fn physical_name(&self, spec: &Value, scope: &Scope, name: &str) -> Result<String> {
        Ok(typed::<R>(spec)?.physical_name(scope, name))
    }

    fn build(&self, spec: &Value) -> Result<Option<Build>> {
        Ok(typed::<R>(spec)?.build())
    }

    fn check(&self, spec: &Value) -> Result<Vec<Flaw>> {
        Ok(typed::<R>(spec)?.check())
    }

    fn check_name(&self, physical: &str) -> Vec<Flaw> {
        R::check_name(physical)
    }

    fn desired(&self, spec: &Value, cx: &Cx) -> Result<Desired> {
        typed::<R>(spec)?.desired(cx)
    }

    fn read<'a>(&'a self, cx: &'a Cx, names: &'a [Name]) -> BoxFuture<'a, Result<Vec<Option<Observation>>>> {
        Box::pin(async move {
            let lives = R::read(cx, names).await?;
            Ok(lives.into_iter().map(|it| it.map(observe::<R>)).collect())
        })
    }

    fn candidates<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(R::candidates(cx))
    }

    fn objections(&self, spec: &Value, cx: &Cx, live: &Observation, changes: &[Change]) -> Result<Vec<Objection>> {
        Ok(typed::<R>(spec)?.objections(cx, own::<R>(live)?, changes))
    }

    fn create<'a>(&'a self, cx: &'a Cx, name: &'a Name, spec: &'a Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { typed::<R>(spec)?.create(cx, name).await })
    }

    fn update<'a>(
        &'a self,
        cx: &'a Cx,
        name: &'a Name,
        spec: &'a Value,
        live: &'a Observation,
        changes: &'a [Change],
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { typed::<R>(spec)?.update(cx, name, own::<R>(live)?, changes).await })
    }

    fn revert<'a>(&'a self, cx: &'a Cx, name: &'a Name, live: &'a Observation) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { R::revert(cx, name, own::<R>(live)?).await })
    }

    fn delete<'a>(&'a self, cx: &'a Cx, name: &'a Name, live: &'a Observation) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { R::delete(cx, name, own::<R>(live)?).await })
    }
}

/// Finds a kind by its name.
pub fn kind<'a>(kinds: &[&'a dyn Kind], name: &str) -> Option<&'a dyn Kind> {
    kinds.iter().find(|it| it.name() == name).copied()
}

/// Lists the top-level fields that a list of changes touches.
pub fn touched(changes: &[Change]) -> BTreeSet<&str> {
    changes.iter().filter_map(|it| it.field.split('.').next()).collect()
}

fn observe<R: Resource>(live: R::Live) -> Observation {
    Observation {
        observed: R::observed(&live),
        identity: R::identity(&live),
        phase: R::phase(&live),
        outputs: R::outputs(&live),
        live: Arc::new(live),
    }
}

fn typed<R: Resource>(spec: &Value) -> Result<R> {
    serde_json::from_value(spec.clone())
        .map_err(|err| Error::Unusable(format!("the recorded {} cannot be read: {err}", R::KIND)))
}

fn own<R: Resource>(live: &Observation) -> Result<&R::Live> {
    live.live.downcast_ref().ok_or_else(|| Error::Unusable(format!("not what a {} reads", R::KIND)))
}
