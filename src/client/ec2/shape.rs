//! What EC2 answers, as far as it is used. Field names are the API's own.

use serde::Deserialize;

use super::Listed;

/// A list, as EC2 writes one: `<item>` after `<item>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Items<T> {
    /// What is in it.
    #[serde(default = "Vec::new")]
    pub item: Vec<T>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

/// Declares shapes that are read leniently: what is left out is empty.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
            #[serde(default, rename_all = "camelCase")]
            pub struct $name { $($(#[$of])* pub $field: $type,)* }
        )*
    };
}

shapes! {
    /// A tag.
    Tag {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    }
    /// A virtual private cloud.
    Vpc {
        /// Its identifier.
        vpc_id: String,
        /// `pending` or `available`.
        state: String,
        /// Its addresses.
        cidr_block: String,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// A subnet.
    Subnet {
        /// Its identifier.
        subnet_id: String,
        /// `pending` or `available`.
        state: String,
        /// Its addresses.
        cidr_block: String,
        /// Where it lies.
        availability_zone: String,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// A route table.
    RouteTable {
        /// Its identifier.
        route_table_id: String,
        /// Where packets go.
        #[serde(rename = "routeSet")]
        routes: Items<Route>,
        /// Which subnets it serves.
        #[serde(rename = "associationSet")]
        associations: Items<Association>,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// Where packets for some addresses go.
    Route {
        /// Which addresses; empty where it is a list of AWS's own.
        destination_cidr_block: String,
        /// To an internet gateway, `local`, or a gateway endpoint.
        gateway_id: String,
        /// To a NAT gateway.
        nat_gateway_id: String,
        /// `active`, or `blackhole` when what it leads to is gone.
        state: String,
        /// Who made it: `CreateRoute` where somebody asked for it.
        origin: String,
    }
    /// What a route table serves.
    Association {
        /// Its identifier.
        route_table_association_id: String,
        /// The subnet; empty for the network as a whole.
        subnet_id: String,
    }
    /// A security group.
    Group {
        /// Its identifier.
        group_id: String,
        /// Its name, unique in its network.
        group_name: String,
        /// What may come in.
        ip_permissions: Items<Permission>,
        /// What may go out.
        ip_permissions_egress: Items<Permission>,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// What may come in or go out, from or to any of several peers.
    Permission {
        /// `tcp`, `udp`, a number, or `-1` for all.
        ip_protocol: String,
        /// The first port.
        from_port: Option<i64>,
        /// The last port.
        to_port: Option<i64>,
        /// Peers by their security group.
        groups: Items<Pair>,
        /// Peers by their address.
        ip_ranges: Items<Range>,
        /// Peers by their address of version 6.
        ipv6_ranges: Items<Range6>,
        /// Peers by a list of addresses.
        prefix_list_ids: Items<PrefixListId>,
    }
    /// A security group as a peer.
    Pair {
        /// Its identifier.
        group_id: String,
    }
    /// Addresses.
    Range {
        /// In CIDR notation.
        cidr_ip: String,
    }
    /// Addresses of version 6.
    Range6 {
        /// In CIDR notation.
        cidr_ipv6: String,
    }
    /// A list of addresses as a peer.
    PrefixListId {
        /// Its identifier.
        prefix_list_id: String,
    }
    /// A list of addresses of an AWS service.
    PrefixList {
        /// Its identifier.
        prefix_list_id: String,
        /// Its name, such as `com.amazonaws.eu-central-1.s3`.
        prefix_list_name: String,
    }
    /// A way to an AWS service that leaves the internet out.
    Endpoint {
        /// Its identifier.
        vpc_endpoint_id: String,
        /// The service, such as `com.amazonaws.eu-central-1.s3`.
        service_name: String,
        /// `Pending`, `Available`, `Deleting`, … in either case.
        state: String,
        /// The route tables that lead to it (gateway endpoints).
        #[serde(rename = "routeTableIdSet")]
        route_tables: Items<String>,
        /// The subnets that it is in (interface endpoints).
        #[serde(rename = "subnetIdSet")]
        subnets: Items<String>,
        /// Its security groups (interface endpoints).
        #[serde(rename = "groupSet")]
        groups: Items<Pair>,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// A way to the internet and back.
    InternetGateway {
        /// Its identifier.
        internet_gateway_id: String,
        /// The networks that it is attached to.
        #[serde(rename = "attachmentSet")]
        attachments: Items<Attachment>,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// What an internet gateway is attached to.
    Attachment {
        /// The network.
        vpc_id: String,
    }
    /// A way to the internet, and not back.
    NatGateway {
        /// Its identifier.
        nat_gateway_id: String,
        /// The subnet that it lies in.
        subnet_id: String,
        /// `pending`, `available`, `failed`, `deleting` or `deleted`.
        state: String,
        /// Why it failed.
        failure_message: String,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// A public address of our own.
    Address {
        /// Its identifier.
        allocation_id: String,
        /// Its tags.
        #[serde(rename = "tagSet")]
        tags: Items<Tag>,
    }
    /// A network interface, mostly of a service's making.
    Interface {
        /// Its identifier.
        network_interface_id: String,
        /// Its network.
        vpc_id: String,
        /// What its maker says of it.
        description: String,
        /// `available` when nothing uses it.
        status: String,
        /// `interface`, `lambda`, `vpc_endpoint`, `nat_gateway`, …
        interface_type: String,
    }
    /// An availability zone.
    Zone {
        /// Its name, such as `eu-central-1a`.
        zone_name: String,
        /// `available`, …
        zone_state: String,
        /// `availability-zone`, `local-zone` or `wavelength-zone`.
        zone_type: String,
    }
    /// An answer to a request that creates something.
    Made {
        #[doc(hidden)] vpc: Vpc,
        #[doc(hidden)] subnet: Subnet,
        #[doc(hidden)] route_table: RouteTable,
        #[doc(hidden)] group_id: String,
        #[doc(hidden)] vpc_endpoint: Endpoint,
        #[doc(hidden)] internet_gateway: InternetGateway,
        #[doc(hidden)] nat_gateway: NatGateway,
        #[doc(hidden)] allocation_id: String,
    }
    /// An answer to a request that has no result.
    Done {
        /// What was not done of it.
        unsuccessful: Items<Undone>,
    }
    /// What was not done.
    Undone {
        /// Why not.
        error: Fault,
    }
    /// Why something was not done.
    Fault {
        /// EC2's code.
        code: String,
        /// EC2's words.
        message: String,
    }
    /// An answer about an attribute of a network.
    Attribute {
        /// Whether machines get names.
        enable_dns_hostnames: Flag,
    }
    /// A setting that is on or off.
    Flag {
        /// Whether it is on.
        value: bool,
    }
}

impl Made {
    /// The identifier of what was created.
    pub fn id(self) -> Option<String> {
        let ids = [
            self.vpc.vpc_id,
            self.subnet.subnet_id,
            self.route_table.route_table_id,
            self.group_id,
            self.vpc_endpoint.vpc_endpoint_id,
            self.internet_gateway.internet_gateway_id,
            self.nat_gateway.nat_gateway_id,
            self.allocation_id,
        ];
        ids.into_iter().find(|it| !it.is_empty())
    }
}

impl Route {
    /// Whether it leads out of the network: neither to what lies in it nor to an endpoint.
    pub fn leads_out(&self) -> bool {
        let within = self.gateway_id == "local" || self.gateway_id.starts_with("vpce-");
        !within && !self.destination_cidr_block.is_empty()
    }
}

impl Done {
    /// The first refusal in it: code and words. An item without a code is a plain success list.
    pub fn refused(&self) -> Option<(&str, &str)> {
        let mut errors = self.unsuccessful.item.iter().map(|it| &it.error);
        errors.find(|it| !it.code.is_empty()).map(|it| (it.code.as_str(), it.message.as_str()))
    }
}

/// Declares how things are listed: the operation, and the name of the list in its answer.
macro_rules! listed {
    ($($type:ident: $operation:literal, $list:literal;)*) => {
        $(
            impl Listed for $type {
                const OPERATION: &'static str = $operation;
                type Page = page::$type;
                fn items(page: page::$type) -> (Vec<Self>, Option<String>) {
                    (page.list.item, page.next_token)
                }
            }
        )*
        /// The answers that lists come in.
        pub mod page {
            use serde::Deserialize;

            use super::Items;

            $(
                /// A page of a list.
                #[derive(Debug, Default, Deserialize)]
                #[serde(default, rename_all = "camelCase")]
                pub struct $type {
                    /// What is on it.
                    #[serde(rename = $list)]
                    pub list: Items<super::$type>,
                    /// The token of the next page.
                    pub next_token: Option<String>,
                }
            )*
        }
    };
}

listed! {
    Vpc: "DescribeVpcs", "vpcSet";
    Subnet: "DescribeSubnets", "subnetSet";
    RouteTable: "DescribeRouteTables", "routeTableSet";
    Group: "DescribeSecurityGroups", "securityGroupInfo";
    Endpoint: "DescribeVpcEndpoints", "vpcEndpointSet";
    InternetGateway: "DescribeInternetGateways", "internetGatewaySet";
    NatGateway: "DescribeNatGateways", "natGatewaySet";
    Address: "DescribeAddresses", "addressesSet";
    Interface: "DescribeNetworkInterfaces", "networkInterfaceSet";
    Zone: "DescribeAvailabilityZones", "availabilityZoneInfo";
    PrefixList: "DescribePrefixLists", "prefixListSet";
}
