//! What is wrong with a cluster.

use super::{Cluster, Flaws, step};
use crate::resource::job::compute::SecurityMode;

/// Finds what is wrong with a cluster.
pub(super) fn cluster(it: &Cluster, at: &str, flaws: &mut Flaws) {
    let wrong = |it: &str| it.is_empty() || it.contains(char::is_whitespace);
    if wrong(&it.spark_version) {
        let message = format!("`{}` is no version of the runtime", it.spark_version);
        flaws.add(format!("{at}/spark_version"), message, "such as `17.3.x-scala2.13`");
    }
    if it.node_type_id.is_none() && it.instance_pool_id.is_none() && it.policy_id.is_none() {
        flaws.add(at, "it is open on which machines the cluster runs", "set `node_type_id`, such as `m7g.large`");
    }
    if it.instance_pool_id.is_some() && it.node_type_id.is_some() {
        flaws.add(format!("{at}/node_type_id"), "the pool says which machines there are", "leave it out");
    }
    match (&it.num_workers, &it.autoscale) {
        (Some(_), Some(_)) => {
            flaws.add(format!("{at}/autoscale"), "`num_workers` and `autoscale` exclude each other", "keep one");
        }
        (None, None) if it.policy_id.is_none() => {
            flaws.add(
                at,
                "it is open how many workers the cluster has",
                "set `num_workers` (0 for one machine) or `autoscale`",
            );
        }
        (_, Some(range)) if range.min_workers > range.max_workers => {
            let message = format!("the least, {}, is more than the most, {}", range.min_workers, range.max_workers);
            flaws.add(format!("{at}/autoscale/min_workers"), message, "turn them round");
        }
        _ => (),
    }
    if it.single_user_name.is_some() && it.data_security_mode != Some(SecurityMode::SingleUser) {
        flaws.add(
            format!("{at}/single_user_name"),
            "the cluster is not for one user",
            "set `data_security_mode: single_user`",
        );
    }
    for name in it.secrets.keys().filter(|name| it.spark_env_vars.contains_key(*name)) {
        flaws.add(step(&format!("{at}/secrets"), name), format!("`{name}` stands in `spark_env_vars` too"), "keep one");
    }
    for (field, name) in
        it.spark_env_vars.keys().map(|it| ("spark_env_vars", it)).chain(it.secrets.keys().map(|it| ("secrets", it)))
    {
        let fits = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if name.is_empty() || !name.chars().all(fits) || name.starts_with(|it: char| it.is_ascii_digit()) {
            let message = format!("`{name}` is no name of a variable");
            flaws.add(
                step(&format!("{at}/{field}"), name),
                message,
                "letters, digits and `_`, beginning with a letter",
            );
        }
    }
    let price = it.aws_attributes.as_ref().and_then(|it| it.spot_bid_price_percent);
    if price.is_some_and(|it| !(1..=10_000).contains(&it)) {
        flaws.add(format!("{at}/aws_attributes/spot_bid_price_percent"), "no such price", "1 to 10000 percent");
    }
}
