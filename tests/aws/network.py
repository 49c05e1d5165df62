"""What AWS asks a policy for when EC2 or RDS is asked: every resource that a request touches, each with what the condition keys
of policies see of it: the tags that it has, or is to have. As AWS's service authorization reference lists them; ministack takes
a request for one resource, without tags. What exists has the tags that it was given when it was made, as recorded.
"""

import re
import xml.etree.ElementTree as ElementTree

# What each operation makes, and which field of its answer names it.
MAKES = {
    "AllocateAddress": ("elastic-ip", "allocationId"),
    "CreateInternetGateway": ("internet-gateway", "internetGatewayId"),
    "CreateNatGateway": ("natgateway", "natGatewayId"),
    "CreateRouteTable": ("route-table", "routeTableId"),
    "CreateSecurityGroup": ("security-group", "groupId"),
    "CreateSubnet": ("subnet", "subnetId"),
    "CreateVpc": ("vpc", "vpcId"),
    "CreateVpcEndpoint": ("vpc-endpoint", "vpcEndpointId"),
}
# What identifiers begin with.
KINDS = {
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "igw": "internet-gateway",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
IDENTIFIER = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]+")
# Members that name others, which no policy is asked for: who may pass, and where packets go.
PEERS = {"IpPermissions"}
ROUTES = {"CreateRoute", "ReplaceRoute"}


class Networks:
    """The networks that recorded requests make, with the tags of their parts."""

    def __init__(self, region, account):
        self.prefix, self.region = f"arn:aws:ec2:{region}:{account}", region
        self.tags, self.associations = {}, {}

    def needs(self, request, answer):
        """Lists what a request has to be allowed, and remembers what it made or tagged."""
        name, members = request.operation.name, request.members
        if name.startswith("Describe") and name != "DescribeVpcAttribute":
            return [(f"ec2:{name}", "*", ())]
        found = []
        if name in MAKES:
            kind, field = MAKES[name]
            tags = tags_of([it for spec in members.get("TagSpecifications", []) for it in spec["Tags"]])
            new = keys("aws:requesttag", tags)
            found.append((f"ec2:{name}", f"{self.prefix}:{kind}/*", new))
            if tags:
                found.append(("ec2:CreateTags", f"{self.prefix}:{kind}/*", (*new, ("ec2:createaction", name))))
            if made := first(answer, field):
                self.tags[made] = tags
        if name == "CreateVpcEndpoint" and members.get("PrivateDnsEnabled"):
            found.append(("route53:AssociateVPCWithHostedZone", "arn:aws:route53:::hostedzone/*", ()))
        for it in self.touched(name, members):
            known = keys("aws:resourcetag", self.tags.get(it, {}))
            if name in ("CreateTags", "DeleteTags"):
                known += keys("aws:requesttag", tags_of(members["Tags"]))
            found.append((f"ec2:{name}", f"{self.prefix}:{KINDS[IDENTIFIER.fullmatch(it)[1]]}/{it}", known))
        self.remember(name, members, answer)
        if not found:
            raise ValueError(f"which resources does {request} touch? {members}")
        return found

    def touched(self, name, members):
        """Lists the identifiers of what is there already."""
        if name == "DisassociateRouteTable":
            return self.associations[members["AssociationId"]]
        passed = PEERS | ({"GatewayId", "NatGatewayId"} if name in ROUTES else set())
        values = [it for member, it in members.items() if member not in passed]
        flat = [it for value in values for it in (value if isinstance(value, list) else [value])]
        return [it for it in flat if isinstance(it, str) and IDENTIFIER.fullmatch(it)]

    def remember(self, name, members, answer):
        if name == "AssociateRouteTable" and (made := first(answer, "associationId")):
            self.associations[made] = [members["RouteTableId"], members["SubnetId"]]
        for it in members.get("Resources", []):
            if name == "CreateTags":
                self.tags[it] = {**self.tags.get(it, {}), **tags_of(members["Tags"])}
            if name == "DeleteTags":
                gone = tags_of(members["Tags"])
                self.tags[it] = {key: value for key, value in self.tags.get(it, {}).items() if key not in gone}


def tags_of(tags):
    return {it["Key"]: it.get("Value", "") for it in tags}


def keys(prefix, tags):
    """Returns tags as condition keys, in small letters."""
    return tuple((f"{prefix}/{key}".lower(), value) for key, value in sorted(tags.items()))


def first(answer, field):
    """Returns what the first field of this name holds."""
    try:
        elements = ElementTree.fromstring(answer).iter()
    except ElementTree.ParseError:
        return None
    return next((it.text for it in elements if it.tag.rsplit("}", 1)[-1] == field), None)


def needs_of_databases(request, prefix):
    """Lists what a request to RDS has to be allowed."""
    name, members = request.operation.name, request.members
    group, subnets = members.get("DBParameterGroupName"), members.get("DBSubnetGroupName")
    found = [members["ResourceName"]] if "ResourceName" in members else []
    if "DBInstance" in name:
        # Lists are asked for as a whole, whatever filters they have.
        found.append(f"{prefix}:db:{members.get('DBInstanceIdentifier', '*')}")
    if name == "CreateDBInstance":
        # Groups that are not named are RDS's own.
        version = members["EngineVersion"].partition(".")[0]
        group, subnets = group or f"default.postgres{version}", subnets or "default"
        found.append(f"{prefix}:og:default:postgres-{version}")
    if group or "DBParameterGroup" in name:
        found.append(f"{prefix}:pg:{group or '*'}")
    if subnets:
        found.append(f"{prefix}:subgrp:{subnets}")
    needs = [(f"rds:{name}", it, ()) for it in found]
    if name.startswith("Create") and members.get("Tags"):
        needs.append(("rds:AddTagsToResource", found[0], ()))
    if "FinalDBSnapshotIdentifier" in members:
        needs.append(("rds:CreateDBSnapshot", f"{prefix}:snapshot:{members['FinalDBSnapshotIdentifier']}", ()))
        needs.append(("rds:CreateDBSnapshot", found[0], ()))
    if not needs:
        raise ValueError(f"which resources does {request} touch? {members}")
    return needs
