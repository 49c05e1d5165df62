//! What a kind is handed: clients, built artifacts, templates, and what others turned out to be.
//!
//! Does nothing by itself.

use std::{
    any::Any,
    collections::BTreeMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::{Map, Value, json};

use super::kind::Observation;
use crate::{
    address::{Address, AnyRef, Kinded, NameRef, Owner, Ref},
    artifact::{Artifact, Build},
    client::{aws::Aws, databricks::Databricks, fabric::Fabric},
    resource::{Error, KINDS, Resource, Result, kind},
    template::Templates,
};

/// Where a stack lives: what names and ARNs are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The stack's name, with its prefix where one is given.
    pub stack: String,
    /// The AWS account, 12 digits.
    pub account: String,
    /// The AWS region.
    pub region: String,
}

impl Scope {
    /// Returns the usual physical name: `<stack>-<name>`, with underscores as hyphens.
    pub fn physical(&self, name: &str) -> String {
        format!("{}-{name}", self.stack).replace('_', "-")
    }

    /// Returns the partition that the region lies in, as ARNs begin: `arn:<partition>:`.
    pub fn partition(&self) -> &'static str {
        match self.region.split('-').next() {
            Some("cn") => "aws-cn",
            _ if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Returns the usual physical name of what a reference points at.
    pub fn physical_of<K: Kinded>(&self, to: &Ref<K>) -> String {
        self.physical(&to.name)
    }

    /// Says whether a physical name is one that this stack would give, though not which resource would have it.
    pub fn may_have(&self, physical: &str) -> bool {
        physical.starts_with(&self.physical(""))
    }
}

/// What is known of the live resources of a stack, shared by all steps of a run.
#[derive(Clone, Debug, Default)]
pub struct Lives(Arc<RwLock<BTreeMap<Address, Observation>>>);

impl Lives {
    /// Remembers what a resource is now; `None` forgets it.
    pub fn set(&self, address: &Address, it: Option<Observation>) {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match it {
            Some(it) => map.insert(address.clone(), it),
            None => map.remove(address),
        };
    }

    /// Returns what a resource was when last seen.
    pub fn get(&self, address: &Address) -> Option<Observation> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }
}

/// What a kind is handed.
#[derive(Clone, Debug)]
pub struct Cx {
    /// The AWS clients.
    pub aws: Arc<Aws>,
    /// The client of the Databricks workspace. Asks for no configuration before it is used.
    pub databricks: Arc<Databricks>,
    /// The client of Fabric and Power BI. Asks for no configuration before it is used.
    pub fabric: Arc<Fabric>,
    /// Where the stack lives.
    pub scope: Scope,
    /// The templates of the project.
    pub templates: Arc<Templates>,
    /// What was built for this run.
    pub artifacts: Arc<BTreeMap<Build, Artifact>>,
    /// Tags that every taggable resource gets, beside the owner's.
    pub tags: BTreeMap<String, String>,
    /// What the stack's resources turned out to be.
    pub lives: Lives,
    /// What the stack wants of its resources.
    pub specs: Arc<BTreeMap<Address, Value>>,
}

impl Cx {
    /// Returns what a resource that must be ready turned out to be.
    ///
    /// # Errors
    /// [`Error::NotReady`] while it does not exist.
    pub fn live<R: Resource>(&self, to: &Ref<R>) -> Result<Arc<R::Live>> {
        let address = to.address();
        let seen = self.lives.get(&address).ok_or_else(|| Error::NotReady(address.clone()))?;
        let live: Arc<dyn Any + Send + Sync> = seen.live;
        live.downcast().map_err(|_| Error::NotReady(address))
    }

    /// Returns what the stack wants of another resource: what follows from that is known before the other changes, where
    /// [`Cx::live`] still shows the old.
    ///
    /// # Errors
    /// [`Error::NotReady`] where the stack does not define it.
    pub fn spec<R: Resource>(&self, of: &Ref<R>) -> Result<R> {
        let spec = self.specs.get(&of.address()).ok_or_else(|| Error::NotReady(of.address()))?;
        R::deserialize(spec)
            .map_err(|err| Error::Unusable(format!("the spec of {} cannot be read: {err}", of.address())))
    }

    /// Returns one output of a resource that must be ready.
    ///
    /// # Errors
    /// [`Error::NotReady`] while it is not, and while an output that its kind declares has no value yet;
    /// [`Error::Unusable`] when its kind has no such output.
    pub fn output(&self, to: &Address, name: &str) -> Result<String> {
        let seen = self.lives.get(to).ok_or_else(|| Error::NotReady(to.clone()))?;
        match seen.outputs.get(name) {
            Some(it) => Ok(it.clone()),
            None if kind(KINDS, &to.kind).is_some_and(|it| it.outputs().contains(&name)) => {
                Err(Error::NotReady(to.clone()))
            }
            None => Err(Error::Unusable(format!("{to} has no output `{name}`; it has {:?}", seen.outputs.keys()))),
        }
    }

    /// Renders a template of the project. It sees `stack`, `account`, `region`, `partition`, and the outputs of the resources that
    /// are passed, as `<kind>.<name>.<output>` (hyphens in names as underscores).
    ///
    /// # Errors
    /// [`Error::NotReady`] while one of the resources is not; the template's own error otherwise.
    pub fn render(&self, path: &str, uses: &[AnyRef]) -> Result<String> {
        let mut root = Map::new();
        root.insert("stack".into(), json!(self.scope.stack));
        root.insert("account".into(), json!(self.scope.account));
        root.insert("region".into(), json!(self.scope.region));
        root.insert("partition".into(), json!(self.scope.partition()));
        for AnyRef(address) in uses {
            let seen = self.lives.get(address).ok_or_else(|| Error::NotReady(address.clone()))?;
            let section = root.entry(address.kind.clone()).or_insert_with(|| json!({}));
            section[address.name.replace('-', "_")] = json!(seen.outputs);
        }
        Ok(self.templates.render(Path::new(path), &Value::Object(root))?)
    }

    /// Returns what was built for a request.
    ///
    /// # Errors
    /// [`Error::Unusable`] when it was not built: the caller did not collect [`Resource::build`].
    pub fn artifact(&self, build: &Build) -> Result<&Artifact> {
        self.artifacts.get(build).ok_or_else(|| Error::Unusable(format!("{build} was not built")))
    }

    /// Returns the tags that a new resource gets: the stack's, then the owner's.
    pub fn tags(&self, owner: &Owner) -> BTreeMap<String, String> {
        let own = owner.tags().into_iter().map(|(key, value)| (key.to_owned(), value));
        self.tags.clone().into_iter().chain(own).collect()
    }

    /// Returns the usual physical name of what a name-only reference points at.
    pub fn physical_of<K: Kinded>(&self, to: &NameRef<K>) -> String {
        self.scope.physical_of(&to.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Identity, Ownership, Phase, testing};

    #[test]
    fn an_output_without_a_value_is_awaited_and_one_that_no_kind_has_is_a_mistake() {
        let (cx, shop) = (testing::cx(), Address::new("database", "shop"));
        assert!(matches!(cx.output(&shop, "arn"), Err(Error::NotReady(on)) if on == shop));
        let live = Observation {
            observed: json!({}),
            identity: Identity { id: None, ownership: Ownership::Foreign },
            phase: Phase::Ready,
            outputs: [("arn", "arn:x".to_owned())].into(),
            live: Arc::new(()),
        };
        cx.lives.set(&shop, Some(live));
        assert_eq!(cx.output(&shop, "arn").expect("known"), "arn:x");
        assert!(matches!(cx.output(&shop, "secret_version"), Err(Error::NotReady(on)) if on == shop));
        assert!(matches!(cx.output(&shop, "colour"), Err(Error::Unusable(_))));
    }
}
