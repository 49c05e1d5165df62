//! The metrics that there are: what AWS emits under these names, and what the functions of this project do. An alarm or a
//! dashboard that names another one of these namespaces would wait for ever, so it is refused.

use std::collections::BTreeSet;

/// The namespace of the project's own metrics.
pub const OWN: &str = "ecomctl";

/// One metric: what it is called, and who emits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The namespace.
    pub namespace: &'static str,
    /// The name.
    pub name: &'static str,
    /// The dimensions that it comes with, all of them, in alphabetic order.
    pub dimensions: &'static [&'static str],
    /// Who emits it: `aws`, or the package of a function below `lambdas/`.
    pub by: &'static str,
}

/// Declares metrics that share their dimensions and who emits them.
macro_rules! metrics {
    ($($namespace:literal $dimensions:tt by $by:literal: $($name:literal),+;)+) => {
        /// Every metric that alarms and dashboards may name, sorted by who emits it.
        ///
        /// Of AWS: "Types of metrics for Lambda functions" in the Lambda developer guide (those of event source mappings
        /// have to be asked for), "Amazon MSK metrics for monitoring Standard brokers" in the MSK developer guide (level
        /// `DEFAULT`), "Amazon CloudWatch metrics for Amazon RDS" in the RDS user guide. RDS for PostgreSQL has no metric
        /// of deadlocks, and one of replication lag for read replicas only, of which this tool makes none.
        pub const METRICS: &[Metric] = &[$($(
            Metric { namespace: $namespace, name: $name, dimensions: &$dimensions, by: $by },
        )+)+];
    };
}

metrics! {
    "AWS/Kafka" ["Cluster Name", "Consumer Group", "Topic"] by "aws":
        "EstimatedMaxTimeLag", "MaxOffsetLag", "SumOffsetLag";
    "AWS/Lambda" ["FunctionName"] by "aws":
        "ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles";
    "AWS/Lambda" ["EventSourceMappingUUID"] by "aws":
        "FailedInvokeEventCount", "InvokedEventCount", "PolledEventCount";
    "AWS/RDS" ["DBInstanceIdentifier"] by "aws":
        "CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "FreeableMemory", "ReadLatency";
    "ecomctl" ["Function", "Stack"] by "ingest":
        "Accepted", "EventToCommitLatency", "Records", "Rejected", "Waiting";
    "ecomctl" ["Function", "Reason", "Stack"] by "ingest": "Rejected";
    "ecomctl" ["Job", "Stack"] by "watch":
        "ActiveRunAge", "RunDuration", "RunsFailed", "SecondsSinceLastSuccess";
    "ecomctl" ["Stack", "Table"] by "watch": "GoldFreshness";
    "ecomctl" ["Database", "Stack"] by "watch": "Deadlocks";
    "ecomctl" ["Stack"] by "watch": "Heartbeat";
}

/// The units of what the watcher tells, and of what AWS does where that is no count.
const UNITS: [(&str, &str); 12] = [
    ("ActiveRunAge", "Seconds"),
    ("CPUUtilization", "Percent"),
    ("Deadlocks", "Count"),
    ("Duration", "Milliseconds"),
    ("EstimatedMaxTimeLag", "Seconds"),
    ("FreeStorageSpace", "Bytes"),
    ("FreeableMemory", "Bytes"),
    ("GoldFreshness", "Seconds"),
    ("Heartbeat", "Count"),
    ("RunDuration", "Seconds"),
    ("RunsFailed", "Count"),
    ("SecondsSinceLastSuccess", "Seconds"),
];

/// Returns the unit of a metric in CloudWatch's word for it, where it is known.
pub fn unit(name: &str) -> Option<&'static str> {
    UNITS.iter().find(|it| it.0 == name).map(|it| it.1)
}

/// Says what is wrong with a metric that an alarm or a dashboard names, and what there is instead; `None` where it is
/// emitted, or of a namespace that is not known here.
pub(super) fn mistake<'a>(
    namespace: &str,
    name: &str,
    dimensions: impl Iterator<Item = &'a str>,
) -> Option<(String, String)> {
    let dimensions: BTreeSet<&str> = dimensions.collect();
    let there: Vec<&Metric> = METRICS.iter().filter(|it| it.namespace == namespace).collect();
    if there.is_empty() && namespace != OWN {
        return None;
    }
    let named: Vec<&&Metric> = there.iter().filter(|it| it.name == name).collect();
    if named.is_empty() {
        let names: BTreeSet<&str> = there.iter().map(|it| it.name).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        return Some((format!("nothing emits a metric {name} in {namespace}"), format!("there are {names}")));
    }
    if named.iter().any(|it| it.dimensions.iter().copied().collect::<BTreeSet<_>>() == dimensions) {
        return None;
    }
    let given = dimensions.into_iter().collect::<Vec<_>>().join(", ");
    let right: Vec<_> = named.iter().map(|it| it.dimensions.join(", ")).collect();
    let message = format!("the metric {name} of {namespace} does not come with the dimensions {given}");
    Some((message, format!("it comes with {}", right.join("; or with "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_emits_is_told() {
        let told = |namespace, name, dimensions: &[&'static str]| mistake(namespace, name, dimensions.iter().copied());
        assert_eq!(told("AWS/Lambda", "Errors", &["FunctionName"]), None);
        assert_eq!(told("AWS/Lambda", "InvokedEventCount", &["EventSourceMappingUUID"]), None);
        assert_eq!(told("Shop/Own", "Anything", &[]), None, "a namespace of somebody else's");
        let (message, help) = told("AWS/RDS", "Deadlocks", &["DBInstanceIdentifier"]).expect("RDS has none");
        assert_eq!(message, "nothing emits a metric Deadlocks in AWS/RDS");
        assert!(help.contains("DatabaseConnections"), "{help}");
        let (message, help) = told("ecomctl", "Records", &["Function"]).expect("a dimension is missing");
        assert_eq!(message, "the metric Records of ecomctl does not come with the dimensions Function");
        assert_eq!(help, "it comes with Function, Stack");
    }

    #[test]
    fn what_the_watcher_tells_has_the_unit_that_it_is_told_in() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lambdas/watch/src");
        let text: String =
            ["lib.rs", "look.rs"].map(|it| std::fs::read_to_string(root.join(it)).expect("a file")).concat();
        for it in METRICS.iter().filter(|it| it.by == "watch") {
            let unit = unit(it.name).unwrap_or_else(|| panic!("{} has no unit", it.name));
            assert!(text.contains(&format!("(\"{}\", \"{unit}\", ", it.name)), "{} is not told in {unit}", it.name);
        }
    }

    #[test]
    fn the_list_is_in_order() {
        for it in METRICS {
            assert!(it.dimensions.is_sorted(), "{it:?}");
            let same = METRICS.iter().filter(|other| (other.name, other.dimensions) == (it.name, it.dimensions));
            assert_eq!(same.filter(|other| other.namespace == it.namespace).count(), 1, "{it:?}");
        }
    }
}
