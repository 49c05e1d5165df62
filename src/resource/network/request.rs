//! The requests that make what is missing of a network, and take away what is too much.
//!
//! Each looks at what is there, so that sending all of them again does no harm. What needs something that is not ready yet
//! (a route through a NAT gateway) is left to the next call.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use uuid::Uuid;

use super::{
    Network,
    layout::{EVERYWHERE, ROLES, Rule, S3, Way},
    live::{self, LiveNetwork},
};
use crate::{
    address::Name,
    client::{
        self, Error,
        ec2::{Client, Form, Permission, RouteTable, Zone},
    },
    resource::{Change, Cx, Error as KindError, Result, Tags},
};

/// One network on its way to what its spec says.
struct Work<'a> {
    spec: &'a Network,
    cx: &'a Cx,
    name: &'a Name,
    live: &'a LiveNetwork,
}

/// Makes what is missing, and takes away what the spec does not say.
pub(super) async fn complete(
    spec: &Network,
    cx: &Cx,
    name: &Name,
    live: &LiveNetwork,
    changes: &[Change],
) -> Result<()> {
    let work = Work { spec, cx, name, live };
    work.tags(changes).await?;
    work.surplus().await?;
    if !live.host_names {
        let form = Form::new().with("VpcId", work.vpc()).with("EnableDnsHostnames.Value", "true");
        cx.aws.ec2().run("ModifyVpcAttribute", &form).await?;
    }
    let zones = work.zones().await?;
    let private = work.subnets("private", spec.zones, &zones).await?;
    let groups = work.groups().await?;
    work.rules(&groups).await?;
    let tables = work.tables(&private).await?;
    work.endpoints(&private, &groups, &tables).await?;
    work.database(&private).await?;
    if spec.gateways() > 0 {
        work.internet(&zones).await?;
    }
    work.private_routes(&tables).await?;
    work.less_internet().await
}

impl Work<'_> {
    fn ec2(&self) -> &Client {
        self.cx.aws.ec2()
    }

    fn vpc(&self) -> &str {
        &self.live.vpc.vpc_id
    }

    fn form(&self, kind: &str, part: &str) -> Form {
        Form::new().tagged(kind, &live::tags(self.cx, self.name, part))
    }

    async fn tags(&self, changes: &[Change]) -> Result<()> {
        if !changes.iter().any(|it| it.is("tags")) {
            return Ok(());
        }
        let (mut form, ids) = (Form::new().list("ResourceId", self.live.ids()), self.live.ids());
        let tags = self.live.tags.after(self.cx, self.name, changes);
        // Which part each is stays its own.
        let shared = tags.iter().filter(|it| !["Name", "ecomctl:part"].contains(&it.0.as_str()));
        for (i, (key, value)) in shared.enumerate() {
            form = form.with(&format!("Tag.{}.Key", i + 1), key).with(&format!("Tag.{}.Value", i + 1), value);
        }
        self.ec2().run("CreateTags", &form).await?;
        let gone = Tags::removed(changes);
        if !gone.is_empty() {
            let mut form = Form::new().list("ResourceId", ids);
            for (i, key) in gone.iter().enumerate() {
                form = form.with(&format!("Tag.{}.Key", i + 1), key);
            }
            self.ec2().run("DeleteTags", &form).await?;
        }
        Ok(())
    }

    async fn surplus(&self) -> Result<()> {
        for it in &self.live.surplus {
            let sent = self.ec2().run(it.operation, &Form::new().with(it.parameter, &it.id)).await;
            Error::missing_is_done(sent)?;
        }
        Ok(())
    }

    /// The zone of each number: where its subnet is already, else the first that is free.
    async fn zones(&self) -> Result<Vec<String>> {
        let of = |zone: u32| self.live.subnets.get(&format!("private_{zone}")).map(|it| it.availability_zone.clone());
        let taken: Vec<Option<String>> = (1..=self.spec.zones).map(of).collect();
        if let Some(all) = taken.iter().cloned().collect() {
            return Ok(all);
        }
        let all: Vec<Zone> = self.ec2().list(&[]).await?;
        let usable = all.into_iter().filter(|it| it.zone_state == "available" && it.zone_type == "availability-zone");
        let mut free: BTreeSet<String> = usable.map(|it| it.zone_name).collect();
        free.retain(|it| !taken.iter().flatten().any(|own| own == it));
        let mut free = free.into_iter();
        let zone = |own: Option<String>| own.or_else(|| free.next());
        let zones: Option<Vec<String>> = taken.into_iter().map(zone).collect();
        zones.ok_or_else(|| KindError::Refused {
            message: format!("{} has fewer than {} availability zones", self.cx.scope.region, self.spec.zones),
            help: "set `zones: 2`, or choose another region".into(),
        })
    }

    /// Makes subnets, and returns their identifiers by part.
    async fn subnets(&self, kind: &str, count: u32, zones: &[String]) -> Result<BTreeMap<String, String>> {
        let make = (1..).zip(zones).take(count as usize).map(async |(zone, place): (u32, &String)| {
            let part = format!("{kind}_{zone}");
            if let Some(it) = self.live.subnets.get(&part) {
                return Ok((part, it.subnet_id.clone()));
            }
            let block = self.live.block(kind, zone).unwrap_or_default();
            let form = self.form("subnet", &part).with("VpcId", self.vpc()).with("CidrBlock", block);
            let id = self.ec2().create("CreateSubnet", &form.with("AvailabilityZone", place)).await?;
            Ok::<_, client::Error>((part, id))
        });
        Ok(try_join_all(make).await?.into_iter().collect())
    }

    async fn groups(&self) -> Result<BTreeMap<&'static str, String>> {
        let make = ROLES.into_iter().map(async |role| {
            if let Some(it) = self.live.groups.get(role) {
                return Ok((role, it.group_id.clone()));
            }
            let form = self.form("security-group", role).with("VpcId", self.vpc());
            let form = form.with("GroupName", format!("{}-{role}", self.name.physical));
            let form = form.with("GroupDescription", format!("{role} of {}", self.name.physical));
            Ok::<_, client::Error>((role, self.ec2().create("CreateSecurityGroup", &form).await?))
        });
        Ok(try_join_all(make).await?.into_iter().collect())
    }

    /// Lets in and out what the spec says, and nothing else.
    async fn rules(&self, groups: &BTreeMap<&'static str, String>) -> Result<()> {
        let id = |peer: &str| match peer {
            S3 => self.live.lists.first().cloned().unwrap_or_default(),
            peer => groups.get(peer).cloned().unwrap_or_else(|| peer.to_owned()),
        };
        if self.live.lists.is_empty() {
            let message = format!("EC2 knows no addresses of S3 in {}", self.cx.scope.region);
            return Err(KindError::Unusable(message));
        }
        let wanted = self.spec.rules();
        for (role, group) in groups {
            let ways = [
                (Way::In, "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"),
                (Way::Out, "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress"),
            ];
            for (way, authorize, revoke) in ways {
                let want: BTreeSet<Rule> =
                    wanted.get(role).into_iter().flatten().filter(|it| it.way == way).map(|it| it.of(id)).collect();
                let have = match self.live.groups.contains_key(*role) {
                    true => self.live.rules(role, way),
                    false if way == Way::Out => BTreeSet::from([Rule::of_a_new_group()]),
                    false => BTreeSet::new(),
                };
                let permissions =
                    |some: Vec<&Rule>| some.into_iter().map(Rule::permission).collect::<Vec<Permission>>();
                let new = permissions(want.difference(&have).collect());
                let gone = permissions(have.difference(&want).collect());
                for (operation, some) in [(authorize, new), (revoke, gone)] {
                    if !some.is_empty() {
                        self.ec2().run(operation, &Form::new().with("GroupId", group).permissions(&some)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives each private subnet a route table of its own; returns the tables' identifiers by part.
    async fn tables(&self, private: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        let make = private.iter().map(async |(part, subnet)| Ok((part.clone(), self.table(part, &[subnet]).await?)));
        try_join_all(make).await.map(|it: Vec<_>| it.into_iter().collect())
    }

    /// Makes a route table that serves these subnets.
    async fn table(&self, part: &str, subnets: &[&String]) -> Result<String> {
        let there = self.live.tables.get(part);
        let id = match there {
            Some(it) => it.route_table_id.clone(),
            None => {
                let form = self.form("route-table", part).with("VpcId", self.vpc()).with("ClientToken", token());
                self.ec2().create("CreateRouteTable", &form).await?
            }
        };
        for subnet in subnets {
            if !there.is_some_and(|it| it.associations.item.iter().any(|it| it.subnet_id == **subnet)) {
                let form = Form::new().with("RouteTableId", &id).with("SubnetId", subnet.as_str());
                // It answers with the association's identifier, which nobody needs.
                self.ec2().run("AssociateRouteTable", &form).await?;
            }
        }
        Ok(id)
    }

    async fn endpoints(
        &self,
        private: &BTreeMap<String, String>,
        groups: &BTreeMap<&'static str, String>,
        tables: &BTreeMap<String, String>,
    ) -> Result<()> {
        let service = |it: &str| format!("com.amazonaws.{}.{it}", self.cx.scope.region);
        let form = |part: &str| {
            let form = self.form("vpc-endpoint", part).with("VpcId", self.vpc()).with("ServiceName", service(part));
            form.with("ClientToken", token())
        };
        match self.live.endpoints.get(S3) {
            None => {
                let form = form(S3).with("VpcEndpointType", "Gateway").list("RouteTableId", tables.values());
                self.ec2().create("CreateVpcEndpoint", &form).await?;
            }
            Some(it) => {
                let new: Vec<&String> = tables.values().filter(|id| !it.route_tables.item.contains(id)).collect();
                if !new.is_empty() {
                    let form = Form::new().with("VpcEndpointId", &it.vpc_endpoint_id).list("AddRouteTableId", new);
                    self.ec2().run("ModifyVpcEndpoint", &form).await?;
                }
            }
        }
        let group = groups.get("endpoints").map(String::as_str).unwrap_or_default();
        let make = self.spec.endpoints.iter().map(async |part| match self.live.endpoints.get(part) {
            None => {
                let form = form(part).with("VpcEndpointType", "Interface").with("PrivateDnsEnabled", "true");
                let form = form.list("SubnetId", private.values()).list("SecurityGroupId", [group]);
                self.ec2().create("CreateVpcEndpoint", &form).await.map(drop)
            }
            Some(it) if !self.live.covers(it) => {
                let have = &it.subnets.item;
                let add = private.values().filter(|id| !have.contains(id));
                let remove = have.iter().filter(|id| !private.values().any(|own| own == *id));
                let form = Form::new().with("VpcEndpointId", &it.vpc_endpoint_id);
                let form =
                    form.list("AddSubnetId", add).list("RemoveSubnetId", remove).list("AddSecurityGroupId", [group]);
                self.ec2().run("ModifyVpcEndpoint", &form).await
            }
            Some(_) => Ok(()),
        });
        try_join_all(make).await?;
        let wanted = |part: &str| part == S3 || self.spec.endpoints.iter().any(|it| it == part);
        let gone = self.live.endpoints.iter().filter(|it| !wanted(it.0)).map(|it| &it.1.vpc_endpoint_id);
        let gone: Vec<&String> = gone.collect();
        if !gone.is_empty() {
            self.ec2().run("DeleteVpcEndpoints", &Form::new().list("VpcEndpointId", gone)).await?;
        }
        Ok(())
    }

    /// Makes the group of subnets that databases lie in, which is a thing of RDS.
    async fn database(&self, private: &BTreeMap<String, String>) -> Result<()> {
        let rds = self.cx.aws.rds();
        let ids: BTreeSet<String> = private.values().cloned().collect();
        match &self.live.database_subnets {
            Some(there) if *there == ids => (),
            Some(_) => {
                let request = rds.modify_db_subnet_group().db_subnet_group_name(&self.name.physical);
                let sent = request.set_subnet_ids(Some(ids.into_iter().collect())).send().await;
                sent.map_err(Error::aws("rds", "ModifyDBSubnetGroup"))?;
            }
            None => {
                let tag = |(key, value)| aws_sdk_rds::types::Tag::builder().key(key).value(value).build();
                let tags = live::tags(self.cx, self.name, "database_subnets").into_iter().map(tag).collect();
                let request = rds.create_db_subnet_group().db_subnet_group_name(&self.name.physical);
                let request = request.db_subnet_group_description(format!("Databases of {}", self.name.physical));
                let request = request.set_subnet_ids(Some(ids.into_iter().collect())).set_tags(Some(tags));
                request.send().await.map_err(Error::aws("rds", "CreateDBSubnetGroup"))?;
            }
        }
        Ok(())
    }

    /// Makes the way to the internet: public subnets with a NAT gateway each, and the gateway that they go out by.
    async fn internet(&self, zones: &[String]) -> Result<()> {
        let there = self.live.gateways.get("internet");
        let gateway = match there {
            Some(it) => it.internet_gateway_id.clone(),
            None => self.ec2().create("CreateInternetGateway", &self.form("internet-gateway", "internet")).await?,
        };
        if !there.is_some_and(|it| it.attachments.item.iter().any(|it| it.vpc_id == self.vpc())) {
            let form = Form::new().with("InternetGatewayId", &gateway).with("VpcId", self.vpc());
            self.ec2().run("AttachInternetGateway", &form).await?;
        }
        let public = self.subnets("public", self.spec.gateways(), zones).await?;
        let table = self.table("public", &public.values().collect::<Vec<_>>()).await?;
        self.route("public", &table, "GatewayId", &gateway, &["internet".to_owned()]).await?;
        let make = (1..=self.spec.gateways()).zip(public.values()).map(async |(zone, subnet)| {
            let (nat, address) = (format!("nat_{zone}"), format!("address_{zone}"));
            let allocation = match self.live.addresses.get(&address) {
                Some(it) => it.allocation_id.clone(),
                None => {
                    let form = self.form("elastic-ip", &address).with("Domain", "vpc");
                    self.ec2().create("AllocateAddress", &form).await?
                }
            };
            if !self.live.nats.contains_key(&nat) {
                let form = self.form("natgateway", &nat).with("SubnetId", subnet).with("AllocationId", allocation);
                self.ec2().create("CreateNatGateway", &form.with("ClientToken", token())).await?;
            }
            Ok::<_, client::Error>(())
        });
        try_join_all(make).await?;
        Ok(())
    }

    /// Leads the private subnets to the internet, once there is a gateway that is ready, or not any more.
    async fn private_routes(&self, tables: &BTreeMap<String, String>) -> Result<()> {
        let wanted = self.spec.routes();
        for (part, table) in tables {
            let way = wanted.get(part).and_then(|it| it.iter().find_map(|it| it.strip_prefix("internet by gateway ")));
            match way {
                Some(zone) => {
                    let nat = self.live.nats.get(&format!("nat_{zone}")).filter(|it| it.state == "available");
                    if let Some(nat) = nat {
                        let wanted = [format!("internet by gateway {zone}")];
                        self.route(part, table, "NatGatewayId", &nat.nat_gateway_id, &wanted).await?;
                    }
                }
                None => self.route(part, table, "", "", &[]).await?,
            }
        }
        Ok(())
    }

    /// Sets the ways out of a table: one to everywhere, or none; what else somebody put there goes.
    async fn route(&self, part: &str, table: &str, by: &str, to: &str, wanted: &[String]) -> Result<()> {
        let known = self.live.tables.get(part);
        let mut have = known.map(|it| self.live.routes(it)).unwrap_or_default();
        have.retain(|it| it != S3);
        if have == wanted {
            return Ok(());
        }
        let routes = known.map(|it| it.routes.item.as_slice()).unwrap_or_default();
        let mut there = false;
        for route in routes.iter().filter(|it| it.leads_out()) {
            if route.destination_cidr_block == EVERYWHERE && !wanted.is_empty() {
                there = true;
                continue;
            }
            let form = Form::new().with("RouteTableId", table);
            let form = form.with("DestinationCidrBlock", &route.destination_cidr_block);
            Error::missing_is_done(self.ec2().run("DeleteRoute", &form).await)?;
        }
        if !wanted.is_empty() {
            let form = Form::new().with("RouteTableId", table).with("DestinationCidrBlock", EVERYWHERE).with(by, to);
            self.ec2().run(if there { "ReplaceRoute" } else { "CreateRoute" }, &form).await?;
        }
        Ok(())
    }

    /// Takes away the gateways that are too many, and the whole way to the internet where there shall be none.
    async fn less_internet(&self) -> Result<()> {
        let count = self.spec.gateways();
        let beyond = self.live.beyond(count);
        for nat in &beyond.nats {
            Error::missing_is_done(self.ec2().run("DeleteNatGateway", &Form::new().with("NatGatewayId", nat)).await)?;
        }
        // The rest is in use until the gateways are gone.
        if !beyond.nats.is_empty() {
            return Ok(());
        }
        for address in &beyond.addresses {
            Error::missing_is_done(self.ec2().run("ReleaseAddress", &Form::new().with("AllocationId", address)).await)?;
        }
        for subnet in &beyond.subnets {
            Error::missing_is_done(self.ec2().run("DeleteSubnet", &Form::new().with("SubnetId", subnet)).await)?;
        }
        if count == 0 {
            if let Some(table) = self.live.tables.get("public") {
                loosen(self.ec2(), table).await?;
                let form = Form::new().with("RouteTableId", &table.route_table_id);
                Error::missing_is_done(self.ec2().run("DeleteRouteTable", &form).await)?;
            }
            for gateway in self.live.gateways.values() {
                let form = Form::new().with("InternetGatewayId", &gateway.internet_gateway_id);
                let detach = form.clone().with("VpcId", self.vpc());
                Error::missing_is_done(self.ec2().run("DetachInternetGateway", &detach).await)?;
                Error::missing_is_done(self.ec2().run("DeleteInternetGateway", &form).await)?;
            }
        }
        Ok(())
    }
}

/// Lets go of the subnets that a route table serves: in use, it cannot be deleted.
pub(super) async fn loosen(ec2: &Client, table: &RouteTable) -> client::Result<()> {
    for association in table.associations.item.iter().filter(|it| !it.subnet_id.is_empty()) {
        let form = Form::new().with("AssociationId", &association.route_table_association_id);
        Error::missing_is_done(ec2.run("DisassociateRouteTable", &form).await)?;
    }
    Ok(())
}

/// A token by which EC2 knows a request that the runtime sends again.
fn token() -> String {
    Uuid::new_v4().to_string()
}
