//! A stack of its own of what the local stack has none of: parts in a network, and schemas of Redshift.

use ecomctl::client::ec2::{Form, Subnet};

use crate::place::Place;

/// The stack's name.
pub(crate) const STACK: &str = "apart";

/// The dearest network there is, a database in it, and a key that encrypts what is kept; a schema in warehouses of each sort, as each
/// sort of user.
const DEAREST: &str = r#"
stack:
  target: aws
  tags: { team: data, tier: gold }
resources:
  network:
    main:
      zones: 2
      internet: gateway_per_zone
      readers: [10.1.0.0/16]
      producers: [10.3.0.0/16]
  key:
    ledger:
      services: [logs]
      deletion_window: 7d
  bucket:
    ledger: { key: ledger }
  log_group:
    ledger: { key: ledger }
  secret:
    ledger:
      value_from: { public: known to all }
      recovery_window: 0s
      key: ledger
    redshift:
      value_from: { file: tests/fixtures/redshift.json }
      recovery_window: 0s
  parameter_group:
    ledger:
      engine_version: "17"
      parameters: { log_min_duration_statement: "500", work_mem: "8192" }
  database:
    ledger:
      engine_version: "17"
      instance_class: db.t4g.micro
      name: ledger
      network: main
      parameter_group: ledger
      key: ledger
      deletion_protection: false
      final_snapshot: true
  catalog:
    gold: {}
  role:
    spectrum: { service: redshift.amazonaws.com }
    other: { service: redshift.amazonaws.com }
  external_schema:
    serverless: { catalog: gold, warehouse: { workgroup: sales }, role: spectrum, description: What dashboards show }
    identity: { catalog: gold, warehouse: { cluster: reporting } }
    user: { catalog: gold, warehouse: { cluster: reporting }, credentials: { user: awsuser } }
    kept: { catalog: gold, warehouse: { workgroup: sales }, credentials: { secret: redshift } }
"#;

/// What changes in it step by step: every request that only a change sends is sent by one of these. First the tags, and one
/// gateway where there were two; then another zone and fewer endpoints; then no way to the internet.
const CHANGES: [&[(&str, &str)]; 3] = [
    &[
        ("{ team: data, tier: gold }", "{ team: shop }"),
        ("gateway_per_zone", "one_gateway"),
        ("[10.1.0.0/16]", "[10.2.0.0/16]"),
        (
            "      services: [logs]",
            "      description: what the books are locked with\n      rotation: 180d\n      services: [logs, cloudwatch]",
        ),
        ("final_snapshot: true", "final_snapshot: true\n      backup_retention: 14d"),
        ("role: spectrum, description: What dashboards show", "role: other, description: What reports show"),
        ("log_min_duration_statement: \"500\", work_mem: \"8192\"", "log_min_duration_statement: \"250\""),
    ],
    &[("zones: 2", "zones: 3\n      endpoints: [lambda, secretsmanager, sts]")],
    &[("one_gateway", "none")],
];

/// Defines the stack as it begins.
pub(crate) fn begin(place: &Place) {
    place.define(STACK, DEAREST);
}

/// Returns the stack's file after each of the changes.
pub(crate) fn changes() -> Vec<String> {
    let mut text = DEAREST.to_owned();
    let change = |some: &&[(&str, &str)]| {
        for (from, to) in *some {
            assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
            text = text.replace(from, to);
        }
        text.clone()
    };
    CHANGES.iter().map(change).collect()
}

/// Leaves an interface in the network that nobody uses any more, as functions do.
pub(crate) async fn leave_interface(place: &Place) {
    let network = [format!("{STACK}-main")];
    let subnets: Vec<Subnet> = place.aws.ec2().list(&[("tag:ecomctl:network", &network)]).await.expect("listed");
    // Not every cloud filters that list, so it is done again.
    let ours = |it: &&Subnet| it.tags.item.iter().any(|it| it.value == network[0]);
    let subnet = subnets.iter().find(ours).expect("a subnet");
    let form = Form::new().with("SubnetId", &subnet.subnet_id).with("Description", "AWS Lambda VPC ENI");
    place.aws.ec2().run("CreateNetworkInterface", &form).await.expect("made");
}
