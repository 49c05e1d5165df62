//! What a network consists of, and what may pass in it: computed from the spec alone. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
};

use super::{Internet, Network};
use crate::client::ec2::{Group, Items, Permission};

/// The security groups that a network has: for functions, brokers, databases, and ways to AWS services.
pub(super) const ROLES: [&str; 4] = ["functions", "brokers", "database", "endpoints"];
/// All addresses.
pub(super) const EVERYWHERE: &str = "0.0.0.0/0";
/// How S3's addresses are called in a rule.
pub(super) const S3: &str = "s3";

/// The services by which Lambda's pollers reach functions, and prove who they are: without them, pollers need the internet.
const POLLERS_NEED: [&str; 2] = ["lambda", "sts"];
/// The ports at which brokers take clients over TLS: with certificates or nothing, and with IAM.
const BROKER_PORTS: [i64; 2] = [9094, 9098];
const POSTGRES: i64 = 5432;
const HTTPS: i64 = 443;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    first: u32,
    prefix: u8,
}

impl Block {
    /// Reads `10.0.0.0/16`; `None` where that is none, or its address is not its first.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (first, prefix) = (address.parse::<Ipv4Addr>().ok()?.to_bits(), prefix.parse().ok()?);
        let block = Self { first, prefix };
        (prefix <= 32 && first & block.within() == 0 && block.to_string() == text).then_some(block)
    }

    /// How much of an address is fixed.
    pub(super) const fn prefix(self) -> u8 {
        self.prefix
    }

    fn within(self) -> u32 {
        u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0)
    }

    /// The nth part of this many bits more.
    const fn part(self, bits: u8, nth: u32) -> Self {
        let prefix = self.prefix + bits;
        Self { first: self.first + (nth << (32 - prefix)), prefix }
    }

    /// A zone's private subnet: a quarter.
    pub(super) const fn private(self, zone: u32) -> Self {
        self.part(2, zone)
    }

    /// A zone's public subnet: a quarter of the last quarter.
    pub(super) const fn public(self, zone: u32) -> Self {
        self.part(2, 3).part(2, zone)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// What may come in.
    In,
    /// What may go out.
    Out,
}

/// What may pass, from or to one peer: a security group, addresses, or a list of them; by the name that the network gives
/// it, or its identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) way: Way,
    protocol: String,
    ports: Option<(i64, i64)>,
    pub(super) peer: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, by) = match self.way {
            Way::In => ("in", "from"),
            Way::Out => ("out", "to"),
        };
        match (self.protocol.as_str(), self.ports) {
            ("-1", _) => write!(f, "{way} anything {by} {}", self.peer),
            (protocol, Some((from, to))) if from == to => write!(f, "{way} {protocol} {from} {by} {}", self.peer),
            (protocol, Some((from, to))) => write!(f, "{way} {protocol} {from}-{to} {by} {}", self.peer),
            (protocol, None) => write!(f, "{way} {protocol} {by} {}", self.peer),
        }
    }
}

impl Rule {
    fn tcp(way: Way, port: i64, peer: &str) -> Self {
        Self { way, protocol: "tcp".into(), ports: Some((port, port)), peer: peer.to_owned() }
    }

    /// What EC2 gives every new group: everything may go out.
    pub(super) fn of_a_new_group() -> Self {
        Self { way: Way::Out, protocol: "-1".into(), ports: None, peer: EVERYWHERE.into() }
    }

    /// Says the same of another name of the peer.
    pub(super) fn of(&self, name: impl Fn(&str) -> String) -> Self {
        Self { peer: name(&self.peer), ..self.clone() }
    }

    /// Writes it as EC2 takes it; the peer is an identifier or addresses.
    pub(super) fn permission(&self) -> Permission {
        let mut permission = Permission {
            ip_protocol: self.protocol.clone(),
            from_port: self.ports.map(|it| it.0),
            to_port: self.ports.map(|it| it.1),
            ..Permission::default()
        };
        let peer = self.peer.clone();
        if peer.starts_with("sg-") {
            permission.groups = Items { item: vec![crate::client::ec2::Pair { group_id: peer }] };
        } else if peer.starts_with("pl-") {
            permission.prefix_list_ids =
                Items { item: vec![crate::client::ec2::PrefixListId { prefix_list_id: peer }] };
        } else if peer.contains(':') {
            permission.ipv6_ranges = Items { item: vec![crate::client::ec2::Range6 { cidr_ipv6: peer }] };
        } else {
            permission.ip_ranges = Items { item: vec![crate::client::ec2::Range { cidr_ip: peer }] };
        }
        permission
    }

    /// Reads a group's rules, one per peer.
    pub(super) fn all(group: &Group) -> BTreeSet<Self> {
        let mut rules = BTreeSet::new();
        let ways = [(Way::In, &group.ip_permissions), (Way::Out, &group.ip_permissions_egress)];
        for (way, permission) in ways.into_iter().flat_map(|(way, all)| all.item.iter().map(move |it| (way, it))) {
            let peers = permission.groups.item.iter().map(|it| &it.group_id);
            let peers = peers.chain(permission.ip_ranges.item.iter().map(|it| &it.cidr_ip));
            let peers = peers.chain(permission.ipv6_ranges.item.iter().map(|it| &it.cidr_ipv6));
            let peers = peers.chain(permission.prefix_list_ids.item.iter().map(|it| &it.prefix_list_id));
            rules.extend(peers.map(|peer| Self {
                way,
                protocol: permission.ip_protocol.clone(),
                ports: permission.from_port.zip(permission.to_port).filter(|_| permission.ip_protocol != "-1"),
                peer: peer.clone(),
            }));
        }
        rules
    }
}

impl Network {
    /// How many NAT gateways there are: none, one, or one per zone.
    pub(super) const fn gateways(&self) -> u32 {
        match self.internet {
            Internet::None => 0,
            Internet::OneGateway => 1,
            Internet::GatewayPerZone => self.zones,
        }
    }

    /// What may pass, by security group: what functions, brokers and databases need of each other, and no more.
    pub(super) fn rules(&self) -> BTreeMap<&'static str, BTreeSet<Rule>> {
        let (into, out) =
            (|port, peer: &str| Rule::tcp(Way::In, port, peer), |port, peer: &str| Rule::tcp(Way::Out, port, peer));
        let brokers = |rule: &dyn Fn(i64, &str) -> Rule, peer: &str| BROKER_PORTS.map(|port| rule(port, peer));
        let mut rules: BTreeMap<&'static str, BTreeSet<Rule>> = ROLES.map(|it| (it, BTreeSet::new())).into();
        let mut put = |role: &'static str, some: &[Rule]| {
            rules.entry(role).or_default().extend(some.iter().cloned());
        };
        put("functions", &[out(POSTGRES, "database"), out(HTTPS, S3)]);
        put("functions", &brokers(&out, "brokers"));
        put("database", &[into(POSTGRES, "functions")]);
        put("database", &self.readers.iter().map(|it| into(POSTGRES, it)).collect::<Vec<_>>());
        // Lambda's pollers stand in the brokers' own group.
        put("brokers", &brokers(&into, "functions"));
        put("brokers", &brokers(&into, "brokers"));
        put("brokers", &brokers(&out, "brokers"));
        put("brokers", &[out(HTTPS, S3)]);
        put("brokers", &self.producers.iter().flat_map(|it| brokers(&into, it)).collect::<Vec<_>>());
        if !self.endpoints.is_empty() {
            put("functions", &[out(HTTPS, "endpoints")]);
            put("brokers", &[out(HTTPS, "endpoints")]);
            put("endpoints", &[into(HTTPS, "functions"), into(HTTPS, "brokers")]);
        }
        if self.internet != Internet::None {
            put("functions", &[out(HTTPS, EVERYWHERE)]);
            if !POLLERS_NEED.iter().all(|it| self.endpoints.iter().any(|own| own == it)) {
                put("brokers", &[out(HTTPS, EVERYWHERE)]);
            }
        }
        rules
    }

    /// Where packets go, by route table: the route table of each zone's private subnet, and that of the public ones.
    pub(super) fn routes(&self) -> BTreeMap<String, Vec<String>> {
        let private = (1..=self.zones).map(|zone| {
            let way = match self.internet {
                Internet::None => None,
                Internet::OneGateway => Some("internet by gateway 1".to_owned()),
                Internet::GatewayPerZone => Some(format!("internet by gateway {zone}")),
            };
            (format!("private_{zone}"), way.into_iter().chain([S3.to_owned()]).collect())
        });
        let public = (self.gateways() > 0).then(|| ("public".to_owned(), vec!["internet".to_owned()]));
        private.chain(public).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn network(spec: serde_json::Value) -> Network {
        serde_json::from_value(spec).expect("a spec")
    }

    fn texts(rules: &BTreeSet<Rule>) -> Vec<String> {
        rules.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_network_is_divided_without_overlap() {
        let block = Block::parse("10.20.0.0/16").expect("a block");
        let privates = [0, 1, 2].map(|it| block.private(it).to_string());
        assert_eq!(privates, ["10.20.0.0/18", "10.20.64.0/18", "10.20.128.0/18"]);
        let publics = [0, 1, 2].map(|it| block.public(it).to_string());
        assert_eq!(publics, ["10.20.192.0/20", "10.20.208.0/20", "10.20.224.0/20"]);
        for wrong in ["10.0.0.1/16", "10.0.0.0", "10.0.0.0/33", "x/16", "10.0.0.0/016", ""] {
            assert_eq!(Block::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_may_do_more_than_the_pipeline_needs() {
        let rules = network(json!({})).rules();
        assert_eq!(texts(&rules["database"]), ["in tcp 5432 from functions"]);
        assert_eq!(texts(&rules["endpoints"]), ["in tcp 443 from brokers", "in tcp 443 from functions"]);
        assert_eq!(
            texts(&rules["brokers"]),
            [
                "in tcp 9094 from brokers",
                "in tcp 9094 from functions",
                "in tcp 9098 from brokers",
                "in tcp 9098 from functions",
                "out tcp 443 to endpoints",
                "out tcp 443 to s3",
                "out tcp 9094 to brokers",
                "out tcp 9098 to brokers",
            ]
        );
        let all =
            |network: &Network| network.rules().into_values().flatten().map(|it| it.to_string()).collect::<Vec<_>>();
        let closed = all(&network(json!({})));
        assert!(closed.iter().all(|it| !it.contains("0.0.0.0/0")), "{closed:?}");
    }

    #[test]
    fn the_internet_is_reached_by_who_needs_it() {
        let open = network(json!({ "internet": "one_gateway" })).rules();
        assert!(texts(&open["functions"]).contains(&"out tcp 443 to 0.0.0.0/0".to_owned()));
        assert!(!texts(&open["brokers"]).contains(&"out tcp 443 to 0.0.0.0/0".to_owned()), "pollers have endpoints");
        let bare = network(json!({ "internet": "one_gateway", "endpoints": [] }));
        assert!(texts(&bare.rules()["brokers"]).contains(&"out tcp 443 to 0.0.0.0/0".to_owned()));
        assert_eq!(texts(&bare.rules()["endpoints"]), Vec::<String>::new());
        assert_eq!(bare.routes()["private_2"], ["internet by gateway 1", "s3"]);
        let each = network(json!({ "internet": "gateway_per_zone", "zones": 2 }));
        assert_eq!(each.routes().keys().collect::<Vec<_>>(), ["private_1", "private_2", "public"]);
        assert_eq!(each.routes()["private_2"], ["internet by gateway 2", "s3"]);
    }

    #[test]
    fn neighbours_are_let_in_by_their_addresses() {
        let rules = network(json!({ "readers": ["10.1.0.0/16"], "producers": ["10.2.0.0/16"] })).rules();
        assert!(texts(&rules["database"]).contains(&"in tcp 5432 from 10.1.0.0/16".to_owned()));
        assert!(texts(&rules["brokers"]).contains(&"in tcp 9098 from 10.2.0.0/16".to_owned()));
    }

    #[test]
    fn what_is_sent_is_read_back() {
        for peer in ["sg-1", "pl-1", "10.0.0.0/8", "::/0"] {
            for rule in [Rule::tcp(Way::In, 443, peer), Rule::tcp(Way::Out, 443, peer)] {
                let permissions = Items { item: vec![rule.permission()] };
                let group = match rule.way {
                    Way::In => Group { ip_permissions: permissions, ..Group::default() },
                    Way::Out => Group { ip_permissions_egress: permissions, ..Group::default() },
                };
                assert_eq!(Rule::all(&group), BTreeSet::from([rule]));
            }
        }
        assert_eq!(Rule::of_a_new_group().to_string(), "out anything to 0.0.0.0/0");
    }
}
