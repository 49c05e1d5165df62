//! A network as EC2 has it: its parts, found by their tags.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::layout::{EVERYWHERE, ROLES, Rule, S3, Way};
use super::{Place, layout::Block};
use crate::{
    address::Name,
    client::{
        self, Error,
        ec2::{Address, Endpoint, Group, InternetGateway, Items, Listed, NatGateway, RouteTable, Subnet, Tag, Vpc},
    },
    resource::{Cx, Outputs, Result, Tags},
};

/// The tag that says which network something is part of: its physical name.
const NETWORK: &str = "ecomctl:network";
/// The tag that says which part of it it is.
const PART: &str = "ecomctl:part";

/// A network, and all its parts.
#[derive(Debug, Default)]
pub struct LiveNetwork {
    pub(super) vpc: Vpc,
    pub(super) tags: Tags,
    /// Whether machines get names, which private names of endpoints need.
    pub(super) host_names: bool,
    pub(super) subnets: BTreeMap<String, Subnet>,
    pub(super) tables: BTreeMap<String, RouteTable>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    pub(super) gateways: BTreeMap<String, InternetGateway>,
    pub(super) nats: BTreeMap<String, NatGateway>,
    pub(super) addresses: BTreeMap<String, Address>,
    /// The subnets of the group that databases lie in; `None` while there is no such group.
    pub(super) database_subnets: Option<BTreeSet<String>>,
    /// What is there twice, or failed: what a request made whose answer was lost.
    pub(super) surplus: Vec<Surplus>,
    /// What is on its way out and still seen.
    pub(super) leaving: Vec<String>,
    /// The identifiers of S3's addresses.
    pub(super) lists: BTreeSet<String>,
    /// The physical name, after which its groups are called.
    pub(super) name: String,
}

/// Something that is there once too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surplus {
    pub(super) operation: &'static str,
    pub(super) parameter: &'static str,
    pub(super) id: String,
}

/// What there is of ways to the internet beyond a number of them: identifiers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Beyond {
    pub(super) nats: Vec<String>,
    pub(super) addresses: Vec<String>,
    pub(super) subnets: Vec<String>,
}

/// Something that a network consists of.
pub(super) trait Part: Listed {
    const DELETE: &'static str;
    const PARAMETER: &'static str;
    fn id(&self) -> &str;
    fn tags(&self) -> &Items<Tag>;
    /// Its state in small letters, where it has one.
    fn state(&self) -> String {
        String::new()
    }
}

macro_rules! parts {
    ($($type:ident, $id:ident, $delete:literal, $parameter:literal $(, $state:ident)?;)*) => {
        $(
            impl Part for $type {
                const DELETE: &'static str = $delete;
                const PARAMETER: &'static str = $parameter;
                fn id(&self) -> &str {
                    &self.$id
                }
                fn tags(&self) -> &Items<Tag> {
                    &self.tags
                }
                $(fn state(&self) -> String {
                    self.$state.to_ascii_lowercase()
                })?
            }
        )*
    };
}

parts! {
    Vpc, vpc_id, "DeleteVpc", "VpcId";
    Subnet, subnet_id, "DeleteSubnet", "SubnetId";
    RouteTable, route_table_id, "DeleteRouteTable", "RouteTableId";
    Group, group_id, "DeleteSecurityGroup", "GroupId";
    Endpoint, vpc_endpoint_id, "DeleteVpcEndpoints", "VpcEndpointId.1", state;
    InternetGateway, internet_gateway_id, "DeleteInternetGateway", "InternetGatewayId";
    NatGateway, nat_gateway_id, "DeleteNatGateway", "NatGatewayId", state;
    Address, allocation_id, "ReleaseAddress", "AllocationId";
}

/// Returns the tags of one part.
pub(super) fn tags(cx: &Cx, name: &Name, part: &str) -> BTreeMap<String, String> {
    let shown = match part {
        "vpc" => name.physical.clone(),
        part => format!("{}-{part}", name.physical),
    };
    let own = [("Name", shown), (NETWORK, name.physical.clone()), (PART, part.to_owned())];
    own.into_iter().map(|(key, it)| (key.to_owned(), it)).chain(cx.tags(&name.owner)).collect()
}

fn tag<'a>(tags: &'a Items<Tag>, key: &str) -> Option<&'a str> {
    tags.item.iter().find(|it| it.key == key).map(|it| it.value.as_str())
}

/// Lists the names of networks that carry this stack's tag.
pub(super) async fn names(cx: &Cx) -> Result<Vec<String>> {
    let stack = [cx.scope.stack.clone()];
    let found: Vec<Vpc> = cx.aws.ec2().list(&[("tag:ecomctl:stack", &stack)]).await?;
    let ours = found.iter().filter(|it| tag(&it.tags, "ecomctl:stack") == Some(&cx.scope.stack));
    Ok(ours.filter_map(|it| tag(&it.tags, NETWORK).map(str::to_owned)).collect())
}

/// Finds networks with all their parts: one request per kind of part, for all networks.
pub(super) async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveNetwork>>> {
    let (ids, wanted): (Vec<String>, Vec<String>) =
        (names.iter().filter_map(|it| it.id.clone()).collect(), names.iter().map(|it| it.physical.clone()).collect());
    let by_tag = list::<Vpc>(cx, &wanted);
    // Known by its identifier, it is found without its tags, too.
    let by_id = async {
        match ids.is_empty() {
            true => Ok(Vec::new()),
            false => cx.aws.ec2().list::<Vpc>(&[("vpc-id", &ids)]).await,
        }
    };
    let (tagged, known) = futures::try_join!(by_tag, by_id)?;
    let of = |name: &Name| -> Vec<Vpc> {
        let by_id = known.iter().filter(|it| name.id.as_deref() == Some(&it.vpc_id));
        let mut by_tag: Vec<&Vpc> = tagged.iter().filter(|it| tag(&it.tags, NETWORK) == Some(&name.physical)).collect();
        by_tag.sort_by_key(|it| &it.vpc_id);
        let mut seen = BTreeSet::new();
        by_id.chain(by_tag).filter(|it| seen.insert(it.vpc_id.clone())).cloned().collect()
    };
    let vpcs: Vec<Vec<Vpc>> = names.iter().map(of).collect();
    if vpcs.iter().all(Vec::is_empty) {
        return Ok(names.iter().map(|_| None).collect());
    }
    let (subnets, tables, groups, endpoints) = futures::try_join!(
        list::<Subnet>(cx, &wanted),
        list::<RouteTable>(cx, &wanted),
        list::<Group>(cx, &wanted),
        list::<Endpoint>(cx, &wanted),
    )?;
    let (gateways, nats, addresses) = futures::try_join!(
        list::<InternetGateway>(cx, &wanted),
        list::<NatGateway>(cx, &wanted),
        list::<Address>(cx, &wanted),
    )?;
    let lists = s3_lists(cx).await?;
    let complete = names.iter().zip(vpcs).map(async |(name, mut vpcs)| {
        if vpcs.is_empty() {
            return Ok::<_, client::Error>(None);
        }
        let vpc = vpcs.remove(0);
        let mut live = LiveNetwork { name: name.physical.clone(), ..LiveNetwork::default() };
        live.surplus.extend(vpcs.iter().map(surplus));
        live.subnets = live.part(&subnets);
        live.tables = live.part(&tables);
        live.groups = live.part(&groups);
        live.endpoints = live.part(&endpoints);
        live.gateways = live.part(&gateways);
        live.nats = live.part(&nats);
        live.addresses = live.part(&addresses);
        live.tags = vpc.tags.item.iter().map(|it| (it.key.clone(), it.value.clone())).collect();
        let (hosts, database) =
            futures::try_join!(cx.aws.ec2().names_hosts(&vpc.vpc_id), database_subnets(cx, &name.physical))?;
        (live.host_names, live.database_subnets) = (hosts, database);
        live.lists = lists.clone();
        live.vpc = vpc;
        Ok(Some(live))
    });
    Ok(try_join_all(complete).await?)
}

/// Lists what carries the tag of any of these networks. Not every list can be filtered everywhere, so it is done again.
async fn list<T: Part>(cx: &Cx, networks: &[String]) -> client::Result<Vec<T>> {
    let mut found: Vec<T> = cx.aws.ec2().list(&[("tag:ecomctl:network", networks)]).await?;
    found.retain(|it| tag(it.tags(), NETWORK).is_some_and(|it| networks.iter().any(|name| name == it)));
    Ok(found)
}

/// Returns the identifiers of S3's addresses, by which rules name them.
async fn s3_lists(cx: &Cx) -> client::Result<BTreeSet<String>> {
    let name = [format!("com.amazonaws.{}.s3", cx.scope.region)];
    let found: Vec<client::ec2::PrefixList> = cx.aws.ec2().list(&[("prefix-list-name", &name)]).await?;
    Ok(found.into_iter().filter(|it| name.contains(&it.prefix_list_name)).map(|it| it.prefix_list_id).collect())
}

async fn database_subnets(cx: &Cx, name: &str) -> client::Result<Option<BTreeSet<String>>> {
    let sent = cx.aws.rds().describe_db_subnet_groups().db_subnet_group_name(name).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("rds", "DescribeDBSubnetGroups")))?;
    let group = found.and_then(|it| it.db_subnet_groups().first().cloned());
    Ok(group.map(|it| it.subnets().iter().filter_map(|it| it.subnet_identifier().map(str::to_owned)).collect()))
}

fn surplus<T: Part>(it: &T) -> Surplus {
    Surplus { operation: T::DELETE, parameter: T::PARAMETER, id: it.id().to_owned() }
}

impl LiveNetwork {
    /// Sorts out this network's parts of one kind: the first of each name counts, what is there twice or failed is surplus.
    fn part<T: Part + Clone>(&mut self, all: &[T]) -> BTreeMap<String, T> {
        let mut own: Vec<&T> = all.iter().filter(|it| tag(it.tags(), NETWORK) == Some(&self.name)).collect();
        own.sort_by_key(|it| it.id());
        let mut parts = BTreeMap::new();
        for it in own {
            let part = tag(it.tags(), PART).unwrap_or_default().to_owned();
            match it.state().as_str() {
                "deleted" => (),
                "deleting" => self.leaving.push(format!("{part} is being deleted")),
                "failed" | "rejected" | "expired" => self.surplus.push(surplus(it)),
                _ if parts.contains_key(&part) => self.surplus.push(surplus(it)),
                _ => drop(parts.insert(part, it.clone())),
            }
        }
        parts
    }

    /// What is awaited before anything else can be done.
    pub(super) fn awaited(&self) -> Option<String> {
        if self.vpc.state == "pending" {
            return Some("pending".to_owned());
        }
        let begun = |part: &str, state: &str| {
            state.to_ascii_lowercase().starts_with("pending").then(|| format!("{part} is pending"))
        };
        let nats = self.nats.iter().find_map(|(part, it)| begun(part, &it.state));
        let endpoints = || self.endpoints.iter().find_map(|(part, it)| begun(part, &it.state));
        nats.or_else(endpoints).or_else(|| self.leaving.first().cloned())
    }

    /// The private subnets that are there, sorted by identifier.
    pub(super) fn private(&self) -> BTreeSet<String> {
        let private = self.subnets.iter().filter(|it| it.0.starts_with("private_"));
        private.map(|it| it.1.subnet_id.clone()).collect()
    }

    /// Where those of a role lie; `None` while something of that is missing. Databases lie in the group of subnets, which
    /// stays the same when a zone is added.
    pub(super) fn place(&self, zones: u32, role: &str) -> Option<Place> {
        let subnets: Vec<String> = self.private().into_iter().collect();
        let complete = (role == "database" || subnets.len() >= zones as usize) && self.database_subnets.is_some();
        let group = self.groups.get(role)?.group_id.clone();
        complete.then(|| Place { subnets, group, subnet_group: self.name.clone() })
    }

    /// Names a peer of a rule as the network does.
    pub(super) fn named(&self, peer: &str) -> String {
        if self.lists.contains(peer) {
            return S3.to_owned();
        }
        let group = self.groups.iter().find(|it| it.1.group_id == peer);
        group.map_or_else(|| peer.to_owned(), |it| it.0.clone())
    }

    pub(super) fn observed(&self) -> Value {
        let served = |part: &str, subnet: &str| {
            let table = self.tables.get(part);
            table.is_some_and(|it| it.associations.item.iter().any(|it| it.subnet_id == subnet))
        };
        let zones =
            self.subnets.iter().filter(|(part, it)| part.starts_with("private_") && served(part, &it.subnet_id));
        let zones = zones.count();
        let security = ROLES.into_iter().filter_map(|role| {
            let rules = Rule::all(self.groups.get(role)?)
                .iter()
                .map(|it| it.of(|peer| self.named(peer)))
                .collect::<BTreeSet<_>>();
            Some((role, rules.iter().map(ToString::to_string).collect::<Vec<_>>()))
        });
        let complete = self.endpoints.iter().filter(|(part, it)| *part != S3 && self.covers(it));
        json!({
            "cidr": self.vpc.cidr_block,
            "zones": zones,
            "internet": self.internet(zones),
            "endpoints": complete.map(|it| it.0).collect::<Vec<_>>(),
            "security": security.collect::<BTreeMap<_, _>>(),
            "routes": self.tables.iter().map(|(part, it)| (part, self.routes(it))).collect::<BTreeMap<_, _>>(),
            "host_names": self.host_names,
            "database_subnets": self.database_subnets.as_ref() == Some(&self.private()),
            "surplus": self.surplus.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(),
            "tags": self.tags.observed(),
        })
    }

    /// Whether an interface endpoint serves every zone, to those whom the network lets in.
    pub(super) fn covers(&self, endpoint: &Endpoint) -> bool {
        let subnets: BTreeSet<String> = endpoint.subnets.item.iter().cloned().collect();
        let group = self.groups.get("endpoints").map(|it| it.group_id.as_str());
        let groups = &endpoint.groups.item;
        subnets == self.private() && (groups.is_empty() || groups.iter().any(|it| Some(it.group_id.as_str()) == group))
    }

    /// The way to the internet: as the spec says it where that is complete, else what there is of it.
    fn internet(&self, zones: usize) -> String {
        let public = |it: &&String| it.starts_with("public_");
        let counts = [self.nats.len(), self.addresses.len(), self.subnets.keys().filter(public).count()];
        let attached =
            self.gateways.values().any(|it| it.attachments.item.iter().any(|it| it.vpc_id == self.vpc.vpc_id));
        let gone = self.gateways.is_empty() && self.leaving.is_empty();
        match (counts, attached) {
            ([0, 0, 0], false) if gone => "none".to_owned(),
            ([1, 1, 1], true) => "one_gateway".to_owned(),
            ([a, b, c], true) if a == zones && b == zones && c == zones && zones > 0 => "gateway_per_zone".to_owned(),
            ([nats, ..], _) => format!("incomplete, with {nats} gateways"),
        }
    }

    /// Where packets go, in the words of the spec.
    pub(super) fn routes(&self, table: &RouteTable) -> Vec<String> {
        let own = table.routes.item.iter().filter(|it| it.leads_out());
        let mut ways: Vec<String> = own.map(|it| self.way(it)).collect();
        let s3 = self.endpoints.get(S3).is_some_and(|it| it.route_tables.item.contains(&table.route_table_id));
        ways.extend(s3.then(|| S3.to_owned()));
        ways
    }

    fn way(&self, route: &client::ec2::Route) -> String {
        let nat = self.nats.iter().find(|it| it.1.nat_gateway_id == route.nat_gateway_id);
        let own = self.gateways.values().any(|it| it.internet_gateway_id == route.gateway_id);
        match (route.destination_cidr_block.as_str(), nat) {
            (EVERYWHERE, Some((part, _))) if route.state != "blackhole" => {
                format!("internet by {}", part.replace("nat_", "gateway "))
            }
            (EVERYWHERE, None) if own && route.state != "blackhole" => "internet".to_owned(),
            (to, _) => format!("{to} by {}{}", route.gateway_id, route.nat_gateway_id),
        }
    }

    pub(super) fn outputs(&self) -> Outputs {
        let group = |role: &str| self.groups.get(role).map(|it| it.group_id.clone());
        let subnets: Vec<String> = self.private().into_iter().collect();
        let parts = [
            ("vpc", Some(self.vpc.vpc_id.clone())),
            ("cidr", Some(self.vpc.cidr_block.clone())),
            ("subnets", Some(subnets.join(","))),
            ("functions_group", group("functions")),
            ("brokers_group", group("brokers")),
            ("database_group", group("database")),
            ("endpoints_group", group("endpoints")),
            ("subnet_group", self.database_subnets.as_ref().map(|_| self.name.clone())),
        ];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?))).collect()
    }

    /// What there is of NAT gateways, their addresses and their subnets beyond this many of each.
    pub(super) fn beyond(&self, count: u32) -> Beyond {
        fn of<T: Part>(all: &BTreeMap<String, T>, kind: &str, count: u32) -> Vec<String> {
            let number = |part: &str| part.strip_prefix(kind).and_then(|it| it.parse::<u32>().ok());
            let beyond = all.iter().filter(|(part, _)| number(part).is_some_and(|it| it > count));
            beyond.map(|it| it.1.id().to_owned()).collect()
        }
        Beyond {
            nats: of(&self.nats, "nat_", count),
            addresses: of(&self.addresses, "address_", count),
            subnets: of(&self.subnets, "public_", count),
        }
    }

    /// All identifiers that can carry tags.
    pub(super) fn ids(&self) -> Vec<String> {
        fn of<T: Part>(all: &BTreeMap<String, T>) -> impl Iterator<Item = String> {
            all.values().map(|it| it.id().to_owned())
        }
        let ids = of(&self.subnets).chain(of(&self.tables)).chain(of(&self.groups)).chain(of(&self.endpoints));
        let ids = ids.chain(of(&self.gateways)).chain(of(&self.nats)).chain(of(&self.addresses));
        [self.vpc.vpc_id.clone()].into_iter().chain(ids).collect()
    }

    /// The addresses of the subnet of a zone, counted from 1.
    pub(super) fn block(&self, part: &str, zone: u32) -> Option<String> {
        let whole = Block::parse(&self.vpc.cidr_block)?;
        Some(if part == "public" { whole.public(zone - 1) } else { whole.private(zone - 1) }.to_string())
    }

    /// Whether rules of this way are all that a group has.
    pub(super) fn rules(&self, role: &str, way: Way) -> BTreeSet<Rule> {
        let rules = self.groups.get(role).map(Rule::all).unwrap_or_default();
        rules.into_iter().filter(|it| it.way == way).collect()
    }
}

#[cfg(test)]
mod tests;
