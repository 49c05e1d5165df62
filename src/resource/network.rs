//! A network of a stack's own in EC2: a VPC with private subnets, and what may pass between them.
//!
//! One address, many objects: each carries the owner's tags, the network's name and which part of it it is, so that all are
//! found with nothing but the stack file. `create` makes the VPC; `update` makes whatever is missing.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Objection, Outputs, Phase, Resource, Result,
};
use crate::{
    address::{Name, Ref},
    client::{Error, Reason, ec2::Form},
};

mod layout;
mod live;
mod removal;
mod request;

use layout::Block;
pub use live::LiveNetwork;

/// A VPC with a private subnet in each of some availability zones, security groups that let functions, brokers and databases
/// reach each other and nothing else, and ways to AWS services that leave the internet out. To use a network that is there
/// already, leave this out and name `subnets` and `security_groups` where they are asked for.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The addresses, from `/16` to `/24`. Cannot be changed. Default: `10.0.0.0/16`.
    #[serde(default = "usual")]
    pub cidr: String,
    /// How many availability zones: 2 or 3. It can grow, and not shrink. Default: 3.
    #[serde(default = "three")]
    pub zones: u32,
    /// The way to the internet, which the watcher needs to reach Databricks. A NAT gateway costs about 35 dollars a month,
    /// and 0.05 dollars per GB that passes. Default: `none`.
    #[serde(default)]
    pub internet: Internet,
    /// The AWS services that are reached by interface endpoints, without the internet: each costs about 8 dollars a month in
    /// each zone. S3 always has a gateway endpoint, which is free. Default: `lambda`, `logs`, `secretsmanager`, `sns` and
    /// `sts`.
    #[serde(default = "services")]
    pub endpoints: Vec<String>,
    /// Addresses outside this network that may read the databases, such as those of a peered Databricks workspace. The
    /// peering is not made here. Default: none.
    #[serde(default)]
    pub readers: Vec<String>,
    /// Addresses outside this network that may reach the brokers, such as those of the shop's own services. Default: none.
    #[serde(default)]
    pub producers: Vec<String>,
}

/// The way to the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Internet {
    /// There is none.
    #[default]
    None,
    /// One NAT gateway for all zones: when its zone fails, nothing reaches the internet.
    OneGateway,
    /// A NAT gateway in each zone.
    GatewayPerZone,
}

fn usual() -> String {
    "10.0.0.0/16".into()
}

const fn three() -> u32 {
    3
}

fn services() -> Vec<String> {
    ["lambda", "logs", "secretsmanager", "sns", "sts"].map(Into::into).into()
}

/// What of the network a kind lies in: subnets, security group, subnet group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The private subnets, one per zone, sorted.
    pub subnets: Vec<String>,
    /// The security group for this role.
    pub group: String,
    /// The name of the group of subnets that databases lie in.
    pub subnet_group: String,
}

/// Returns where in a network those of this role lie: `functions`, `brokers` or `database`.
///
/// # Errors
/// [`KindError::NotReady`] while the network lacks anything of that.
pub(super) fn place(cx: &Cx, network: &Ref<Network>, role: &str) -> Result<Place> {
    let (spec, live) = (cx.spec(network)?, cx.live(network)?);
    live.place(spec.zones, role).ok_or_else(|| KindError::NotReady(network.address()))
}

/// Says what is wrong where a kind names a network, and subnets or security groups besides.
pub(super) fn flaws(network: Option<&Ref<Network>>, raw: bool) -> Option<Flaw> {
    (network.is_some() && raw).then(|| {
        let flaw = Flaw::new("/network", "`network` says which subnets and security groups there are");
        flaw.help("leave out either `network`, or `subnets` and `security_groups`")
    })
}

impl Resource for Network {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("zones", Field::Grows("A network cannot leave an availability zone. Keep {live}.")),
        ("tags", Field::Defaulted),
    ];
    const PATIENCE: Duration = Duration::from_secs(45 * 60);
    const USUAL: Option<Duration> = Some(Duration::from_secs(3 * 60));
    const OUTPUTS: &'static [&'static str] = &[
        "arn",
        "vpc",
        "cidr",
        "subnets",
        "functions_group",
        "brokers_group",
        "database_group",
        "endpoints_group",
        "subnet_group",
    ];
    type Live = LiveNetwork;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if !Block::parse(&self.cidr).is_some_and(|it| (16..=24).contains(&it.prefix())) {
            let flaw = Flaw::new("/cidr", format!("`{}` are no addresses for a network", self.cidr));
            flaws.push(
                flaw.help("write `10.0.0.0/16`, or anything from `/16` to `/24` that begins at its first address"),
            );
        }
        if !(2..=3).contains(&self.zones) {
            let flaw = Flaw::new("/zones", format!("a network lies in 2 or 3 availability zones, not {}", self.zones));
            flaws.push(flaw.help("clusters and databases need 2; Kafka with 3 replicas needs 3"));
        }
        for (i, service) in self.endpoints.iter().enumerate() {
            let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || ".-".contains(it);
            if service.is_empty() || !service.chars().all(fits) || service.starts_with("com.") {
                let flaw = Flaw::new(format!("/endpoints/{i}"), format!("`{service}` is no service"));
                flaws.push(flaw.help("write the last part of its endpoint's name, such as `secretsmanager`"));
            } else if service == layout::S3 {
                let flaw =
                    Flaw::new(format!("/endpoints/{i}"), "S3 has a gateway endpoint in every network, for nothing");
                flaws.push(flaw.help("leave it out"));
            } else if self.endpoints[..i].contains(service) {
                flaws.push(Flaw::new(format!("/endpoints/{i}"), format!("`{service}` is there twice")));
            }
        }
        for (field, ranges) in [("readers", &self.readers), ("producers", &self.producers)] {
            for (i, range) in ranges.iter().enumerate() {
                let at = format!("/{field}/{i}");
                match Block::parse(range) {
                    None => {
                        flaws.push(Flaw::new(at, format!("`{range}` are no addresses")).help("write `10.1.0.0/16`"));
                    }
                    Some(it) if it.prefix() < 8 => {
                        let flaw = Flaw::new(at, format!("`{range}` would let in most of the world"));
                        flaws.push(flaw.help("name the addresses of those who need it, `/8` or narrower"));
                    }
                    Some(_) => (),
                }
            }
        }
        let needed = ["lambda", "secretsmanager", "sts"];
        let missing = needed.iter().find(|it| !self.endpoints.iter().any(|own| own == *it));
        if let (Internet::None, Some(missing)) = (self.internet, missing) {
            let flaw =
                Flaw::new("/endpoints", format!("without `{missing}`, and without the internet, nothing would run"));
            flaws.push(
                flaw.help("functions read passwords from `secretsmanager`; Lambda's pollers need `lambda` and `sts`"),
            );
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        if (1..=200).contains(&physical.len()) && physical.chars().all(fits) {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for a network"));
        vec![flaw.help("up to 200 small letters, digits and hyphens: its groups are called after it")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let security = |rules: std::collections::BTreeSet<layout::Rule>| -> Vec<String> {
            rules.iter().map(ToString::to_string).collect()
        };
        let security: BTreeMap<_, _> = self.rules().into_iter().map(|(role, it)| (role, security(it))).collect();
        let mut endpoints = self.endpoints.clone();
        endpoints.sort();
        let desired = Desired::of(self).tagged(cx).without("readers").without("producers");
        Ok(desired
            .with("endpoints", endpoints)
            .with("security", json!(security))
            .with("routes", json!(self.routes()))
            .with("host_names", true)
            .with("database_subnets", true))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveNetwork>>> {
        Box::pin(live::read(cx, names)).await
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        live::names(cx).await
    }

    fn observed(live: &LiveNetwork) -> Value {
        live.observed()
    }

    fn identity(live: &LiveNetwork) -> Identity {
        Identity { id: Some(live.vpc.vpc_id.clone()), ownership: live.tags.ownership() }
    }

    fn phase(live: &LiveNetwork) -> Phase {
        live.awaited().map_or(Phase::Ready, Phase::Pending)
    }

    fn outputs(live: &LiveNetwork) -> Outputs {
        live.outputs()
    }

    fn objections(&self, _cx: &Cx, live: &LiveNetwork, changes: &[Change]) -> Vec<Objection> {
        let object = |it: &Change| Objection {
            field: it.field.clone(),
            reason: format!(
                "the addresses of a network cannot be changed, and {} is what lies in them now",
                live.vpc.cidr_block
            ),
            help: "put it back; to move, define a second network, and databases and clusters in it".into(),
        };
        changes.iter().filter(|it| it.is("cidr")).map(object).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let form = Form::new().with("CidrBlock", &self.cidr).tagged("vpc", &live::tags(cx, name, "vpc"));
        cx.aws.ec2().create("CreateVpc", &form).await?;
        Ok(())
    }

    /// Looks anew before it makes anything: what was made by a request whose answer was lost is there already.
    async fn update(&self, cx: &Cx, name: &Name, live: &LiveNetwork, changes: &[Change]) -> Result<()> {
        let known = Name { id: Some(live.vpc.vpc_id.clone()), ..name.clone() };
        let Some(live) = Box::pin(live::read(cx, std::slice::from_ref(&known))).await?.pop().flatten() else {
            return Err(Error::new("ec2", "DescribeVpcs", Reason::Busy, "the network is not visible yet").into());
        };
        match request::complete(self, cx, name, &live, changes).await {
            // What was just made is not known everywhere at once.
            Err(KindError::Client(err)) if err.reason == Reason::Missing => {
                Err(Error { reason: Reason::Busy, ..err }.into())
            }
            done => done,
        }
    }

    /// Deletes whatever can be, and says that it is busy for as long as something cannot.
    async fn delete(cx: &Cx, name: &Name, live: &LiveNetwork) -> Result<()> {
        let known = Name { id: Some(live.vpc.vpc_id.clone()), ..name.clone() };
        match Box::pin(live::read(cx, std::slice::from_ref(&known))).await?.pop().flatten() {
            Some(live) => removal::remove(cx, &live).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(spec: Value) -> Vec<String> {
        serde_json::from_value::<Network>(spec).expect("a spec").check().into_iter().map(|it| it.at).collect()
    }

    #[test]
    fn flaws() {
        assert_eq!(at(json!({})), Vec::<String>::new());
        assert_eq!(at(json!({ "cidr": "10.0.0.0/8" })), ["/cidr"]);
        assert_eq!(at(json!({ "cidr": "10.0.0.1/16", "zones": 1 })), ["/cidr", "/zones"]);
        let endpoints = json!(["lambda", "secretsmanager", "sts", "s3", "com.amazonaws.x", "sts"]);
        assert_eq!(at(json!({ "endpoints": endpoints })), ["/endpoints/3", "/endpoints/4", "/endpoints/5"]);
        assert_eq!(at(json!({ "readers": ["10.1.0.0/16", "0.0.0.0/0", "x"] })), ["/readers/1", "/readers/2"]);
        assert_eq!(at(json!({ "endpoints": ["lambda"] })), ["/endpoints"]);
        assert_eq!(at(json!({ "endpoints": [], "internet": "one_gateway" })), Vec::<String>::new());
        assert_eq!(Network::check_name("staging-main"), []);
        assert_eq!(Network::check_name("Staging").len(), 1);
    }

    #[test]
    fn addresses_cannot_be_changed() {
        let spec: Network = serde_json::from_value(json!({ "cidr": "10.1.0.0/16" })).expect("a spec");
        let change = Change {
            field: "cidr".into(),
            from: json!("10.0.0.0/16"),
            to: json!("10.1.0.0/16"),
            cause: super::super::Cause::Edit,
            waits_for: None,
        };
        let cx = super::super::testing::cx();
        let objections = spec.objections(&cx, &LiveNetwork::default(), &[change]);
        assert_eq!(objections.len(), 1);
    }
}
