//! What a template of an alarm or a dashboard may say of the resources that it watches: their names at the provider and
//! what their specs say, in plain units. Asks nobody.

use serde_json::{Map, Value, json};

use super::{Cx, Database, Error, Function, Job, KINDS, Result, Scope, Topic, Trigger, kind};
use crate::address::{Address, AnyRef, Ref};

mod class;

/// Returns what is known of a resource: `address`, `kind`, `name` (in the stack), `physical` (at the provider), and by kind
///
/// - function: `timeout_ms`, `log_group`, and `triggers`, each as below;
/// - trigger: `cluster`, `topic`, `group`, `function` (physical names) and, once it is there, `id`;
/// - database: `database` (its name within the instance), `instance_class`, `storage_bytes`, and `connections` where the class is known;
/// - job: `timeout_s` and `period_s`, where it has them.
pub(super) fn facts(cx: &Cx, of: &Address) -> Result<Value> {
    let mut it = common(cx, of)?;
    let more = match of.kind.as_str() {
        "function" => function(cx, of)?,
        "trigger" => trigger(cx, of)?,
        "database" => database(cx, of)?,
        "job" => job(cx, of)?,
        _ => json!({}),
    };
    if let Value::Object(more) = more {
        it.extend(more.into_iter().filter(|(_, it)| !it.is_null()));
    }
    Ok(Value::Object(it))
}

/// Returns the facts of several resources as `<kind>.<name>.…` (hyphens in names as underscores); as lists, in the order in
/// which they are named, `each.<kind>`, since loops over the others have no order; and, as `alarms`, the names and ARNs of
/// the stack's alarms.
///
/// # Errors
/// [`Error::NotReady`] while a trigger is not there: Lambda tells what it is called.
pub(super) fn all(cx: &Cx, of: &[AnyRef]) -> Result<Value> {
    let mut all = json!({});
    for AnyRef(of) in of {
        let facts = facts(cx, of)?;
        if of.kind == "trigger" && facts.get("id").is_none() {
            return Err(Error::NotReady(of.clone()));
        }
        match &mut all["each"][of.kind.as_str()] {
            Value::Array(list) => list.push(facts.clone()),
            list => *list = json!([facts]),
        }
        all[of.kind.as_str()][of.name.replace('-', "_")] = facts;
    }
    let (partition, Scope { account, region, .. }) = (cx.scope.partition(), &cx.scope);
    let alarms = cx.specs.keys().filter(|it| it.kind == "alarm").map(|it| {
        let arn = format!("arn:{partition}:cloudwatch:{region}:{account}:alarm:{}", cx.scope.physical(&it.name));
        json!({ "name": it.name, "arn": arn })
    });
    all["alarms"] = alarms.collect();
    Ok(all)
}

fn common(cx: &Cx, of: &Address) -> Result<Map<String, Value>> {
    Ok(Map::from_iter([
        ("address".to_owned(), json!(of.to_string())),
        ("kind".to_owned(), json!(of.kind)),
        ("name".to_owned(), json!(of.name)),
        ("physical".to_owned(), json!(physical(cx, of)?)),
    ]))
}

/// Returns the name at the provider, which follows from the spec alone.
fn physical(cx: &Cx, of: &Address) -> Result<String> {
    let spec = cx.specs.get(of).ok_or_else(|| Error::NotReady(of.clone()))?;
    let kind = kind(KINDS, &of.kind).ok_or_else(|| Error::Unusable(format!("there is no kind `{}`", of.kind)))?;
    kind.physical_name(spec, &cx.scope, &of.name)
}

fn function(cx: &Cx, of: &Address) -> Result<Value> {
    let spec = cx.spec(&Ref::<Function>::new(&of.name))?;
    let all = cx.specs.keys().filter(|it| it.kind == "trigger");
    let mut triggers = Vec::new();
    for it in all {
        if cx.spec(&Ref::<Trigger>::new(&it.name))?.function.name == of.name {
            triggers.push(trigger(cx, it)?);
        }
    }
    let log_group = physical(cx, &spec.log_group.address())?;
    Ok(json!({ "timeout_ms": spec.timeout.as_millis(), "log_group": log_group, "triggers": triggers }))
}

fn trigger(cx: &Cx, of: &Address) -> Result<Value> {
    let spec = cx.spec(&Ref::<Trigger>::new(&of.name))?;
    let topic = physical(cx, &spec.topic.address())?;
    let own = physical(cx, of)?;
    let cluster = cx.spec(&Ref::<Topic>::new(&spec.topic.name))?.cluster;
    Ok(json!({
        "name": of.name,
        "address": of.to_string(),
        "cluster": cx.scope.physical_of(&cluster),
        // A topic's name begins with its cluster's, a trigger's with its function's.
        "topic": topic.split_once('/').map_or(topic.as_str(), |it| it.1),
        "group": own.split_once('/').map_or(own.as_str(), |it| it.1),
        "function": cx.scope.physical_of(&spec.function),
        "function_address": spec.function.address().to_string(),
        "id": cx.output(of, "id").ok(),
    }))
}

fn database(cx: &Cx, of: &Address) -> Result<Value> {
    let spec = cx.spec(&Ref::<Database>::new(&of.name))?;
    Ok(json!({
        "database": spec.name,
        "instance_class": spec.instance_class,
        "storage_bytes": spec.storage.as_bytes(),
        "connections": class::connections(&spec.instance_class),
    }))
}

fn job(cx: &Cx, of: &Address) -> Result<Value> {
    let spec = cx.spec(&Ref::<Job>::new(&of.name))?;
    let period = spec.period().map_err(|it| Error::Unusable(format!("the schedule of {of} cannot be read: {it}")))?;
    Ok(json!({ "timeout_s": spec.timeout.map(|it| it.as_secs()), "period_s": period.map(|it| it.as_secs()) }))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::resource::testing;

    /// A context whose stack has these specs.
    fn cx(specs: &[(&str, Value)]) -> Cx {
        let specs = specs.iter().map(|(address, spec)| {
            let address: Address = address.parse().expect("an address");
            let spec = kind(KINDS, &address.kind).expect("a kind").parse(spec.clone()).expect("a spec");
            (address, spec)
        });
        Cx { specs: Arc::new(specs.collect::<BTreeMap<_, _>>()), ..testing::cx() }
    }

    #[test]
    fn names_and_numbers_follow_from_the_specs() {
        let cx = cx(&[
            ("topic.orders", json!({ "cluster": "events", "partitions": 1 })),
            ("trigger.late_orders", json!({ "topic": "orders", "function": "ingest" })),
            ("trigger.other", json!({ "topic": "orders", "function": "else" })),
            ("log_group.ingest", json!({})),
            (
                "function.ingest",
                json!({ "package": "ingest", "timeout": "1m", "role": "ingest", "log_group": "ingest" }),
            ),
            (
                "database.shop",
                json!({ "engine_version": "17", "instance_class": "db.m7g.large", "storage": "100GiB", "name": "shop" }),
            ),
        ]);
        let facts = |of: &str| facts(&cx, &of.parse().expect("an address")).expect("known");
        let function = facts("function.ingest");
        assert_eq!((&function["physical"], &function["timeout_ms"]), (&json!("s-ingest"), &json!(60_000)));
        assert_eq!(function["log_group"], "/ecomctl/s/ingest");
        assert_eq!(function["triggers"].as_array().map(Vec::len), Some(1));
        let trigger = facts("trigger.late_orders");
        assert_eq!(
            (&trigger["cluster"], &trigger["topic"], &trigger["group"], &trigger["function"]),
            (&json!("s-events"), &json!("orders"), &json!("s-late-orders"), &json!("s-ingest"))
        );
        assert!(trigger.get("id").is_none(), "Lambda tells it once the trigger is there");
        assert_eq!(facts("database.shop")["connections"], 901);
        let wrong = super::facts(&cx, &"database.none".parse().expect("an address"));
        assert!(matches!(wrong, Err(Error::NotReady(_))), "{wrong:?}");
    }
}
