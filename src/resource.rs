//! Resources: what a kind is, and the list of kinds.
//!
//! Nothing here decides, waits, retries, prints, or touches state. `resource/README.md` is the law of kinds.

use std::{fmt::Debug, time::Duration};

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    address::{Address, Kinded, Name},
    artifact::Build,
    client, template,
};

mod facts;
pub mod metric;
mod policy;
mod seam;
#[cfg(test)]
pub(crate) mod testing;

/// The causes of failed requests on which the engine acts.
pub use client::Reason;
pub use seam::*;

/// Declares every kind of resource: its module, its section of the stack file, its registration.
macro_rules! kinds {
    ($($module:ident: $resource:ident),* $(,)?) => {
        $(
            pub mod $module;
            pub use $module::$resource;

            impl Kinded for $module::$resource {
                const KIND: &'static str = stringify!($module);
            }
        )*

        /// Every kind there is, in alphabetic order.
        pub static KINDS: &[&dyn Kind] = &[$(&Of::<$module::$resource>::new()),*];
    };
}

kinds! {
    alarm: Alarm,
    bucket: Bucket,
    catalog: Catalog,
    cluster: Cluster,
    dashboard: Dashboard,
    database: Database,
    destination: Destination,
    external_schema: ExternalSchema,
    function: Function,
    job: Job,
    key: Key,
    log_group: LogGroup,
    model: Model,
    network: Network,
    notification: Notification,
    package: Package,
    parameter_group: ParameterGroup,
    report: Report,
    role: Role,
    schedule: Schedule,
    schema: Schema,
    secret: Secret,
    secret_scope: SecretScope,
    table: Table,
    topic: Topic,
    trigger: Trigger,
    workgroup: Workgroup,
}

/// A resource as a stack file describes it: the implementing type is the desired state.
///
/// It knows how to observe and change one thing at its provider; it never decides whether to.
pub trait Resource: Kinded + DeserializeOwned + Serialize + JsonSchema + Debug + Send + Sync {
    /// The fields that are not simply updated in place when they differ.
    const FIELDS: &'static [(&'static str, Field)] = &[];
    /// Whether deleting it loses data: teardown names it and asks, and it is never replaced.
    const DATA_BEARING: bool = false;
    /// The longest wait for [`Phase::Ready`].
    const PATIENCE: Duration = Duration::from_secs(300);
    /// How long it usually takes to make, where that is longer than anybody expects.
    const USUAL: Option<Duration> = None;
    /// The fields whose change interrupts whoever uses it, and how: the plan says so.
    const INTERRUPTS: &'static [(&'static str, &'static str)] = &[];
    /// Whether it leaves after everything else, what it refers to included: what others still need on their way out, such
    /// as the permissions with which a service takes away what it made.
    const LEAVES_LAST: bool = false;
    /// Whether it is known by an identifier and an update gives it another name, so that a new address in the stack file
    /// is a new name and nothing more.
    const RENAMES: bool = false;
    /// Whether the request that creates it succeeds, and changes it, where one of its name is there already: the engine looks
    /// once more right before it is sent.
    const OVERWRITES: bool = false;
    /// Whether its owner's tags are written by a request that follows the one that creates it, so that one of ours may have
    /// none when a run was cut short in between.
    const TAGGED_LATE: bool = false;
    /// Whether [`Resource::candidates`] can tell what there is: otherwise it lies in something that has an owner, or is found
    /// by nothing but its name.
    const LISTED: bool = true;
    /// The names of all outputs that it may have, so that a misspelled one is a mistake in the file.
    const OUTPUTS: &'static [&'static str] = &[];
    /// What the provider reports.
    type Live: Send + Sync + 'static;

    /// The name at the provider, computed without asking it. Pure.
    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        scope.physical(name)
    }

    /// The artifact that must be built before this resource can be planned.
    fn build(&self) -> Option<Build> {
        None
    }

    /// What is wrong with the values, beyond their types. Pure.
    fn check(&self) -> Vec<Flaw> {
        Vec::new()
    }

    /// What is wrong with the name at the provider: its length, its letters. Pure.
    fn check_name(_physical: &str) -> Vec<Flaw> {
        Vec::new()
    }

    /// What is wanted, in full: the spec with digests of artifacts and rendered templates added. Pure but for
    /// reading templates. Fields that cannot be known yet are named with what they wait for.
    fn desired(&self, _cx: &Cx) -> Result<Desired> {
        Ok(Desired::of(self))
    }

    /// Finds many at once, in order; `None` where there is none. One batched request where the API has one.
    fn read(cx: &Cx, names: &[Name]) -> impl Future<Output = Result<Vec<Option<Self::Live>>>> + Send;

    /// Lists names at the provider under which something of this stack may be, whether its file names it or not, by one
    /// request for each page of them; none where that cannot be told ([`Resource::LISTED`]). Whose they are is for
    /// [`Resource::read`] to say.
    fn candidates(_cx: &Cx) -> impl Future<Output = Result<Vec<String>>> + Send {
        async { Ok(Vec::new()) }
    }

    /// The fields the provider echoes, under the names that [`Resource::desired`] uses. A field left out can only be
    /// compared with what was last applied. Pure.
    fn observed(live: &Self::Live) -> Value;

    /// The provider's identifier, and whose it is. Pure.
    fn identity(live: &Self::Live) -> Identity;

    /// How far along it is; the engine polls while it is pending. Pure: this is the whole waiter.
    fn phase(_live: &Self::Live) -> Phase {
        Phase::Ready
    }

    /// Values that other resources and the user may read (arn, endpoint, url). Never a secret. Pure.
    fn outputs(_live: &Self::Live) -> Outputs {
        Outputs::new()
    }

    /// What deleting it leaves behind on purpose, such as a last snapshot, by its name: the plan says so. Pure.
    fn leaves_behind(_name: &Name, _live: &Self::Live) -> Option<String> {
        None
    }

    /// Which of these changes cannot be made, beyond what the lives of the fields say. The planner refuses the step. Pure
    /// but for reading templates.
    fn objections(&self, _cx: &Cx, _live: &Self::Live, _changes: &[Change]) -> Vec<Objection> {
        Vec::new()
    }

    /// Sends the request that creates it. Does not wait.
    fn create(&self, cx: &Cx, name: &Name) -> impl Future<Output = Result<()>> + Send;

    /// Sends the requests that change the given fields. Does not wait. Where the provider takes one change at a time, it
    /// sends the first; the engine compares again once the resource is ready, and calls again for what is left.
    fn update(
        &self,
        cx: &Cx,
        name: &Name,
        live: &Self::Live,
        changes: &[Change],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Sends the request that puts back what was there before the last change, which is [`Phase::Regressed`]. Does not wait.
    fn revert(_cx: &Cx, _name: &Name, _live: &Self::Live) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Sends the request that deletes it. Does not wait. What is gone already counts as deleted.
    fn delete(cx: &Cx, name: &Name, live: &Self::Live) -> impl Future<Output = Result<()>> + Send;
}

/// What a kind returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a kind could not do what it was asked.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// A request failed.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A template could not be rendered.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Template(#[from] template::Error),
    /// Something that should be ready by now is not known.
    #[error("{0} is not ready, and this needs it")]
    NotReady(Address),
    /// The provider answered with something that cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The change cannot be made; the text says what to do instead.
    #[error("{message}")]
    Refused {
        /// What cannot be done, and why.
        message: String,
        /// What to do instead.
        #[help]
        help: String,
    },
}
