//! Who tells a metric of the project's own: an alarm on what nobody tells of this very resource would never go off, or always.
//! Looks at the specs of the stack only.

use super::{KindError, Measure, Result};
use crate::{
    address::{Address, Ref},
    resource::{Cx, Function, Trigger, metric::METRICS},
};

/// The package whose function looks at what tells nothing by itself.
const WATCHER: &str = "watch";

/// Refuses an alarm on what nobody tells.
///
/// # Errors
/// Says what is missing, and where to add it.
pub(super) fn check(cx: &Cx, of: &Address, measure: &Measure) -> Result<()> {
    for it in measure.metrics.values() {
        let known = METRICS.iter().find(|known| known.namespace == it.namespace && known.name == it.name);
        let Some(known) = known else { continue };
        let missing = match (known.by, of.kind.as_str()) {
            ("aws", "trigger") if known.namespace == "AWS/Lambda" => untold(cx, of)?,
            (WATCHER, _) => unwatched(cx, of)?,
            _ => None,
        };
        if let Some(help) = missing {
            let message = format!("nothing tells {} of {of}, so that nobody would know", it.name);
            return Err(KindError::Refused { message, help });
        }
    }
    Ok(())
}

/// Lambda tells of a trigger's events only where it is asked to.
fn untold(cx: &Cx, of: &Address) -> Result<Option<String>> {
    let asked = cx.spec(&Ref::<Trigger>::new(&of.name))?.metrics;
    Ok((!asked).then(|| format!("write `metrics: true` at {of}")))
}

/// Says what the watcher would have to be told, so that it looks at this; `None` where it does.
fn unwatched(cx: &Cx, of: &Address) -> Result<Option<String>> {
    let names = cx.specs.keys().filter(|it| it.kind == "function").map(|it| Ref::<Function>::new(&it.name));
    let mut watchers = Vec::new();
    for name in names {
        let spec = cx.spec(&name)?;
        if spec.package == WATCHER {
            watchers.push((name.address(), spec));
        }
    }
    let (prefix, output) = match of.kind.as_str() {
        "job" => ("JOB_", "id"),
        "table" => ("TABLE_", "location"),
        "database" => {
            let told = watchers.iter().any(|it| it.1.database.as_ref().is_some_and(|it| it.name == of.name));
            return Ok(
                (!told).then(|| format!("a function of the package `{WATCHER}` with `database: {}` tells it", of.name))
            );
        }
        _ => return Ok(None),
    };
    // The function reads names back from these.
    let variable = format!("{prefix}{}", of.name.to_uppercase().replace('-', "_"));
    let tells = |it: &Function| it.outputs.get(&variable).is_some_and(|it| it.of == *of && it.output == output);
    if watchers.iter().any(|it| tells(&it.1)) {
        return Ok(None);
    }
    // The one that looks, not one that only answers.
    let who = watchers
        .iter()
        .find(|it| it.1.url.is_none())
        .map_or("a function of the package `watch`".to_owned(), |it| it.0.to_string());
    Ok(Some(format!("add `{variable}: {of}.{output}` to the `outputs` of {who}")))
}
