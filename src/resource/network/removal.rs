//! The end of a network: whatever can go goes, in the order in which EC2 lets it.
//!
//! Gateways and endpoints take minutes. Lambda takes its interfaces away by itself some time after the last function left,
//! and needs the functions' roles for that; until then nothing that they lie in can go.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use super::{
    layout::{Rule, Way},
    live::{LiveNetwork, Part},
    request::loosen,
};
use crate::{
    client::{
        self, Error, Reason,
        ec2::{Form, Interface},
    },
    resource::{Cx, Result},
};

/// Deletes what can be; busy for as long as something cannot.
pub(super) async fn remove(cx: &Cx, live: &LiveNetwork) -> Result<()> {
    let ec2 = cx.aws.ec2();
    let gone = |sent: client::Result<()>| Error::missing_is_done(sent);
    if live.database_subnets.is_some() {
        let sent = cx.aws.rds().delete_db_subnet_group().db_subnet_group_name(&live.name).send().await;
        gone(sent.map(drop).map_err(Error::aws("rds", "DeleteDBSubnetGroup")))?;
    }
    let endpoints: Vec<&String> = live.endpoints.values().map(|it| &it.vpc_endpoint_id).collect();
    if !endpoints.is_empty() {
        gone(ec2.run("DeleteVpcEndpoints", &Form::new().list("VpcEndpointId", endpoints)).await)?;
    }
    each(cx, &live.nats).await?;
    let vpc = [live.vpc.vpc_id.clone()];
    let all: Vec<Interface> = ec2.list(&[("vpc-id", &vpc)]).await?;
    let all: Vec<Interface> = all.into_iter().filter(|it| it.vpc_id == live.vpc.vpc_id).collect();
    // What nobody uses any more stays where its owner forgot it.
    let free = all.iter().filter(|it| it.status == "available").map(async |it| {
        gone(ec2.run("DeleteNetworkInterface", &Form::new().with("NetworkInterfaceId", &it.network_interface_id)).await)
    });
    try_join_all(free).await?;
    let nats_and_endpoints = !live.leaving.is_empty();
    if let Some(on) = awaited(&all, nats_and_endpoints) {
        return Err(Error::new("ec2", "DeleteVpc", Reason::Busy, on).into());
    }
    for gateway in live.gateways.values() {
        let form = Form::new().with("InternetGatewayId", &gateway.internet_gateway_id);
        gone(ec2.run("DetachInternetGateway", &form.clone().with("VpcId", &live.vpc.vpc_id)).await)?;
        gone(ec2.run("DeleteInternetGateway", &form).await)?;
    }
    each(cx, &live.addresses).await?;
    // Groups name each other, and none can go while another names it.
    for (role, group) in &live.groups {
        for (way, operation) in [(Way::In, "RevokeSecurityGroupIngress"), (Way::Out, "RevokeSecurityGroupEgress")] {
            let rules: Vec<_> = live.rules(role, way).iter().map(Rule::permission).collect();
            if !rules.is_empty() {
                gone(ec2.run(operation, &Form::new().with("GroupId", &group.group_id).permissions(&rules)).await)?;
            }
        }
    }
    each(cx, &live.groups).await?;
    try_join_all(live.tables.values().map(|it| loosen(ec2, it))).await?;
    each(cx, &live.subnets).await?;
    each(cx, &live.tables).await?;
    for it in &live.surplus {
        gone(ec2.run(it.operation, &Form::new().with(it.parameter, &it.id)).await)?;
    }
    Ok(gone(ec2.run("DeleteVpc", &Form::new().with("VpcId", &live.vpc.vpc_id)).await)?)
}

async fn each<T: Part>(cx: &Cx, parts: &BTreeMap<String, T>) -> client::Result<()> {
    let all = parts.values().map(async |it| {
        let sent = cx.aws.ec2().run(T::DELETE, &Form::new().with(T::PARAMETER, it.id())).await;
        Error::missing_is_done(sent)
    });
    try_join_all(all).await.map(drop)
}

/// Says what must leave before the network can: nothing, or something that others take away.
fn awaited(interfaces: &[Interface], ways: bool) -> Option<String> {
    let used: Vec<&Interface> = interfaces.iter().filter(|it| it.status != "available").collect();
    let (of_functions, others): (Vec<&Interface>, Vec<&Interface>) = used
        .into_iter()
        .partition(|it| it.interface_type == "lambda" || it.description.starts_with("AWS Lambda VPC ENI"));
    let own = |it: &&&Interface| {
        !["nat_gateway", "vpc_endpoint", "gateway_load_balancer_endpoint"].contains(&it.interface_type.as_str())
    };
    if !of_functions.is_empty() {
        let count = of_functions.len();
        return Some(format!(
            "Lambda still holds {count} network interfaces; it usually takes 20 minutes to let go of them"
        ));
    }
    if let Some(it) = others.iter().find(own) {
        let (id, what) = (&it.network_interface_id, &it.description);
        return Some(format!("{id} is still in use in it: {what:?}"));
    }
    (ways || !others.is_empty())
        .then(|| "its gateways and endpoints are being deleted, which usually takes 2 minutes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(status: &str, kind: &str, description: &str) -> Interface {
        Interface {
            network_interface_id: "eni-1".into(),
            status: status.into(),
            interface_type: kind.into(),
            description: description.into(),
            ..Interface::default()
        }
    }

    #[test]
    fn who_holds_a_network_is_told() {
        assert_eq!(awaited(&[], false), None);
        assert_eq!(awaited(&[interface("available", "lambda", "")], false), None, "it is deleted by us");
        let lambda = awaited(&[interface("in-use", "interface", "AWS Lambda VPC ENI-s-ingest-1")], true);
        assert!(lambda.is_some_and(|it| it.contains("Lambda still holds 1") && it.contains("20 minutes")));
        let other = awaited(
            &[interface("in-use", "interface", "Primary of i-1"), interface("in-use", "nat_gateway", "")],
            false,
        );
        assert_eq!(other.as_deref(), Some("eni-1 is still in use in it: \"Primary of i-1\""));
        let own = awaited(&[interface("in-use", "vpc_endpoint", "")], false);
        assert!(own.is_some_and(|it| it.contains("2 minutes")));
        assert!(awaited(&[], true).is_some());
    }
}
