//! A network as EC2 has it: whatever is missing of it or too much shows.

use super::*;
use crate::{
    client::ec2::{Association, Pair, Route, shape::Attachment},
    resource::network::Network,
};

const NAME: &str = "s-main";

fn tagged(part: &str) -> Items<Tag> {
    let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
    Items { item: vec![tag(NETWORK, NAME), tag(PART, part)] }
}

fn items<T>(item: impl IntoIterator<Item = T>) -> Items<T> {
    Items { item: item.into_iter().collect() }
}

fn spec(value: Value) -> Network {
    serde_json::from_value(value).expect("a spec")
}

/// A network with everything that its spec says.
fn complete(spec: &Network) -> LiveNetwork {
    let mut live = LiveNetwork { name: NAME.into(), host_names: true, ..LiveNetwork::default() };
    live.vpc = Vpc { vpc_id: "vpc-1".into(), cidr_block: spec.cidr.clone(), ..Vpc::default() };
    live.lists = BTreeSet::from(["pl-s3".to_owned()]);
    let id = |peer: &str| match peer {
        S3 => "pl-s3".to_owned(),
        peer if ROLES.contains(&peer) => format!("sg-{peer}"),
        peer => peer.to_owned(),
    };
    for (role, rules) in spec.rules() {
        let of = |way| rules.iter().filter(move |it| it.way == way).map(|it| it.of(id).permission());
        let (into, out) = (items(of(Way::In)), items(of(Way::Out)));
        let group = Group { group_id: id(role), ip_permissions: into, ip_permissions_egress: out, ..Group::default() };
        live.groups.insert(role.to_owned(), group);
    }
    let subnet = |part: &str| Subnet { subnet_id: format!("subnet-{part}"), ..Subnet::default() };
    let associated = |part: &str| Association { subnet_id: format!("subnet-{part}"), ..Association::default() };
    let everywhere =
        |route: Route| Route { destination_cidr_block: EVERYWHERE.into(), state: "active".into(), ..route };
    for zone in 1..=spec.zones {
        let part = format!("private_{zone}");
        let nat = if spec.gateways() == 1 { 1 } else { zone };
        let route = everywhere(Route { nat_gateway_id: format!("nat-{nat}"), ..Route::default() });
        let routes = items((spec.gateways() > 0).then_some(route));
        let table = RouteTable {
            route_table_id: format!("rtb-{part}"),
            routes,
            associations: items([associated(&part)]),
            ..RouteTable::default()
        };
        live.subnets.insert(part.clone(), subnet(&part));
        live.tables.insert(part, table);
    }
    for zone in 1..=spec.gateways() {
        let part = format!("public_{zone}");
        live.subnets.insert(part.clone(), subnet(&part));
        let nat =
            NatGateway { nat_gateway_id: format!("nat-{zone}"), state: "available".into(), ..NatGateway::default() };
        live.nats.insert(format!("nat_{zone}"), nat);
        live.addresses.insert(format!("address_{zone}"), Address::default());
    }
    if spec.gateways() > 0 {
        let attachments = items([Attachment { vpc_id: "vpc-1".into() }]);
        live.gateways.insert(
            "internet".into(),
            InternetGateway { internet_gateway_id: "igw-1".into(), attachments, ..InternetGateway::default() },
        );
        let route = everywhere(Route { gateway_id: "igw-1".into(), ..Route::default() });
        live.tables.insert("public".into(), RouteTable { routes: items([route]), ..RouteTable::default() });
    }
    let tables = items(live.tables.iter().filter(|it| *it.0 != "public").map(|it| it.1.route_table_id.clone()));
    live.endpoints
        .insert(S3.into(), Endpoint { route_tables: tables, state: "available".into(), ..Endpoint::default() });
    let (subnets, groups) = (items(live.private()), items([Pair { group_id: "sg-endpoints".into() }]));
    for service in &spec.endpoints {
        let endpoint = Endpoint {
            subnets: subnets.clone(),
            groups: groups.clone(),
            state: "available".into(),
            ..Endpoint::default()
        };
        live.endpoints.insert(service.clone(), endpoint);
    }
    live.database_subnets = Some(live.private());
    live
}

fn differing(spec: &Network, live: &LiveNetwork) -> Vec<String> {
    let wanted = crate::resource::Resource::desired(spec, &crate::resource::testing::cx()).expect("wanted").spec;
    let observed = live.observed();
    let nothing = |it: &Value| it.is_null() || it.as_array().is_some_and(Vec::is_empty);
    let keys: BTreeSet<&String> =
        wanted.as_object().into_iter().chain(observed.as_object()).flat_map(|it| it.keys()).collect();
    let differs = |key: &&&String| {
        let (a, b) = (&wanted[key.as_str()], &observed[key.as_str()]);
        a != b && !(nothing(a) && nothing(b))
    };
    keys.iter().filter(differs).map(|it| (*it).clone()).collect()
}

#[test]
fn what_is_complete_differs_in_nothing() {
    for internet in ["none", "one_gateway", "gateway_per_zone"] {
        for zones in [2, 3] {
            let spec = spec(json!({ "internet": internet, "zones": zones }));
            assert_eq!(differing(&spec, &complete(&spec)), Vec::<String>::new(), "{internet} in {zones}");
        }
    }
}

#[test]
fn whatever_is_missing_or_too_much_shows() {
    let spec = spec(json!({ "internet": "one_gateway" }));
    let without = |change: fn(&mut LiveNetwork)| {
        let mut live = complete(&spec);
        change(&mut live);
        differing(&spec, &live)
    };
    assert_eq!(without(|it| drop(it.groups.remove("database"))), ["security"]);
    assert_eq!(without(|it| it.groups.values_mut().for_each(|it| it.ip_permissions.item.clear())), ["security"]);
    assert_eq!(without(|it| drop(it.endpoints.remove("sts"))), ["endpoints"]);
    assert_eq!(without(|it| drop(it.endpoints.remove(S3))), ["routes"]);
    assert_eq!(without(|it| it.database_subnets = None), ["database_subnets"]);
    assert_eq!(without(|it| it.host_names = false), ["host_names"]);
    assert_eq!(without(|it| it.addresses.clear()), ["internet"]);
    assert_eq!(without(|it| it.nats.clear()), ["internet", "routes"]);
    let loose = |it: &mut LiveNetwork| it.tables.values_mut().for_each(|it| it.associations.item.clear());
    assert_eq!(without(loose), ["zones"]);
    let dead = |it: &mut LiveNetwork| {
        it.tables.values_mut().flat_map(|it| &mut it.routes.item).for_each(|it| it.state = "blackhole".into());
    };
    assert_eq!(without(dead), ["routes"]);
    let twice = |it: &mut LiveNetwork| it.surplus.push(Surplus { operation: "", parameter: "", id: "eip-2".into() });
    assert_eq!(without(twice), ["surplus"]);
}

#[test]
fn what_is_beyond_the_gateways_that_are_wanted_goes_whatever_else_is_there() {
    let mut live = complete(&spec(json!({ "internet": "gateway_per_zone" })));
    let counts = |it: &Beyond| [it.nats.len(), it.addresses.len(), it.subnets.len()];
    assert_eq!(counts(&live.beyond(3)), [0, 0, 0]);
    assert_eq!(counts(&live.beyond(1)), [2, 2, 2]);
    live.nats.retain(|part, _| part == "nat_1");
    assert_eq!(counts(&live.beyond(1)), [0, 2, 2], "the gateways are gone, and what they used is left");
    assert_eq!(counts(&live.beyond(0)), [1, 3, 3]);
}

#[test]
fn nobody_lies_in_what_is_not_complete() {
    let spec = spec(json!({}));
    let mut live = complete(&spec);
    let place = live.place(3, "brokers").expect("complete");
    assert_eq!((place.group.as_str(), place.subnets.len(), place.subnet_group.as_str()), ("sg-brokers", 3, NAME));
    live.subnets.remove("private_2");
    assert_eq!(live.place(3, "brokers"), None);
    // A database must not seem to move while the network grows.
    assert_eq!(live.place(3, "database").map(|it| it.subnet_group).as_deref(), Some(NAME));
    live.database_subnets = None;
    assert_eq!(live.place(3, "database"), None);
}

#[test]
fn each_state_of_a_gateway_is_waited_for_or_mended() {
    let nat = |id: &str, state: &str| NatGateway {
        nat_gateway_id: id.into(),
        state: state.into(),
        tags: tagged("nat_1"),
        ..NatGateway::default()
    };
    let seen = |all: &[NatGateway]| {
        let mut live = LiveNetwork { name: NAME.into(), ..LiveNetwork::default() };
        live.nats = live.part(all);
        (live.nats.values().map(|it| it.nat_gateway_id.clone()).collect::<Vec<_>>(), live.surplus.len(), live.awaited())
    };
    assert_eq!(seen(&[nat("a", "available")]), (vec!["a".into()], 0, None));
    assert_eq!(seen(&[nat("a", "pending")]), (vec!["a".into()], 0, Some("nat_1 is pending".into())));
    assert_eq!(seen(&[nat("a", "deleting")]), (vec![], 0, Some("nat_1 is being deleted".into())));
    assert_eq!(seen(&[nat("a", "deleted")]), (vec![], 0, None), "EC2 shows it for an hour");
    assert_eq!(seen(&[nat("a", "failed")]), (vec![], 1, None), "it goes, and another one is made");
    assert_eq!(seen(&[nat("b", "available"), nat("a", "available")]), (vec!["a".into()], 1, None), "a lost answer");
    assert_eq!(seen(&[nat("a", "failed"), nat("b", "pending")]).0, ["b"]);
}
