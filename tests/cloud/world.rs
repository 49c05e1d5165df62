//! Everything that there is in the cloud, as its own listings have it.

use aws_sdk_cloudwatch::types::AlarmType;

use crate::place::{Place, STATES};

/// Lists everything in the account, sorted, with what is there twice named twice.
pub(crate) async fn everything(place: &Place) -> Vec<String> {
    let aws = &place.aws;
    let mut found = Vec::new();
    let mut add = |kind: &str, name: Option<&str>| found.push(format!("{kind} {}", name.unwrap_or("?")));

    let buckets = aws.s3().list_buckets().send().await.expect("buckets");
    let own = buckets.buckets().iter().filter(|it| it.name() != Some(STATES));
    own.for_each(|it| add("bucket", it.name()));
    let roles = aws.iam().list_roles().send().await.expect("roles");
    roles.roles().iter().for_each(|it| add("role", Some(it.role_name())));
    let functions = aws.lambda().list_functions().send().await.expect("functions");
    functions.functions().iter().for_each(|it| add("function", it.function_name()));
    for it in functions.functions().iter().filter_map(|it| it.function_name()) {
        let urls = aws.lambda().list_function_url_configs().function_name(it).send().await.expect("addresses");
        urls.function_url_configs().iter().for_each(|_| add("url", Some(it)));
    }
    let mappings = aws.lambda().list_event_source_mappings().send().await.expect("mappings");
    for it in mappings.event_source_mappings() {
        add("trigger", Some(&it.topics().join(",")));
    }
    let groups = aws.logs().describe_log_groups().send().await.expect("log groups");
    groups.log_groups().iter().for_each(|it| add("log_group", it.log_group_name()));
    let databases = aws.rds().describe_db_instances().send().await.expect("databases");
    databases.db_instances().iter().for_each(|it| add("database", it.db_instance_identifier()));
    let secrets = aws.secrets().list_secrets().send().await.expect("secrets");
    // The provider makes up the names of databases' passwords, so only their number is comparable.
    let named = |it: &str| if it.starts_with("rds!") { "of a database".to_owned() } else { it.to_owned() };
    secrets.secret_list().iter().for_each(|it| add("secret", it.name().map(named).as_deref()));
    let groups = aws.scheduler().list_schedule_groups().send().await.expect("schedule groups");
    // That one every account has.
    groups
        .schedule_groups()
        .iter()
        .filter(|it| it.name() != Some("default"))
        .for_each(|it| add("schedules", it.name()));
    let schedules = aws.scheduler().list_schedules().send().await.expect("schedules");
    schedules.schedules().iter().for_each(|it| add("schedule", it.name()));
    let alarms = aws.cloudwatch().describe_alarms().alarm_types(AlarmType::MetricAlarm);
    let alarms = alarms.alarm_types(AlarmType::CompositeAlarm).max_records(100).send().await.expect("alarms");
    assert_eq!(alarms.next_token(), None, "all on one page");
    alarms.metric_alarms().iter().for_each(|it| add("alarm", it.alarm_name()));
    alarms.composite_alarms().iter().for_each(|it| add("alarm", it.alarm_name()));
    let dashboards = aws.cloudwatch().list_dashboards().send().await.expect("dashboards");
    dashboards.dashboard_entries().iter().for_each(|it| add("dashboard", it.dashboard_name()));
    let topics = aws.sns().list_topics().send().await.expect("topics of SNS");
    topics.topics().iter().for_each(|it| add("notification", it.topic_arn()));
    let subscriptions = aws.sns().list_subscriptions().send().await.expect("subscriptions");
    subscriptions.subscriptions().iter().for_each(|it| add("subscription", it.endpoint()));
    let clusters = aws.kafka().list_clusters_v2().send().await.expect("clusters");
    for it in clusters.cluster_info_list() {
        add("cluster", it.cluster_name());
        let topics = aws.kafka().list_topics().set_cluster_arn(it.cluster_arn().map(str::to_owned));
        let topics = topics.send().await.expect("topics");
        topics.topics().iter().for_each(|it| add("topic", it.topic_name()));
    }
    for it in aws.glue().databases().await.expect("catalogs") {
        let tables = aws.glue().tables(&it.name).await.expect("tables");
        tables.iter().for_each(|table| add("table", Some(&format!("{}.{}", it.name, table.name))));
        add("catalog", Some(&it.name));
    }
    let groups = aws.athena().list_work_groups().send().await.expect("workgroups");
    // That one every account has.
    let own = groups.work_groups().iter().filter(|it| it.name() != Some("primary"));
    own.for_each(|it| add("workgroup", it.name()));
    let jobs = place.databricks.jobs().await.expect("jobs");
    jobs.iter().for_each(|it| add("job", it.settings["name"].as_str()));
    let destinations = place.databricks.destinations().await.expect("destinations");
    // What stands behind the name differs from one life to the next.
    let named = |it: &str| it.split(' ').next().unwrap_or_default().to_owned();
    destinations.iter().for_each(|it| add("destination", Some(&named(&it.display_name))));
    found.sort();
    found
}

/// Counts what a listing holds of a kind.
pub(crate) fn count(world: &[String], kind: &str) -> usize {
    world.iter().filter(|it| it.split(' ').next() == Some(kind)).count()
}
