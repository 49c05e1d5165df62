//! A plan, for people and for programs: one line per resource that is not left alone, with the fields that change.

mod json;
mod markdown;
mod text;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    address::Address,
    engine::{Action, Plan, Step},
    report::{Tone, human, value},
    resource::{Cause, Change},
};

pub use json::json;
pub use markdown::markdown;
pub use text::text;

/// So many fields of a new resource are shown.
const FIELDS: usize = 4;

/// What is shown beside a plan.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The definition that was applied last; `None` when there is none.
    pub last: Option<Last>,
    /// The time it is.
    pub now: Timestamp,
    /// The command that does what the plan says; `None` when that happens right after.
    pub next: Option<String>,
    /// Whether that command does exactly this, or nothing.
    pub exactly: bool,
    /// Whether what is left alone is shown too, and every field of what is new.
    pub verbose: bool,
}

/// Who applied a definition last, and when.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Last {
    /// When it was applied.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The commit it came from.
    pub commit: Option<String>,
}

/// One line of a plan.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    mark: Mark,
    address: Address,
    details: Vec<(Tone, String)>,
}

/// What happens to a resource, as one character. A plan must read without colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Create,
    Update,
    Delete,
    Replace,
    Refused,
    Drift,
    Settle,
    Unreadable,
    Keep,
}

impl Mark {
    const fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Update => "~",
            Self::Delete => "-",
            Self::Replace => "±",
            Self::Refused => "!",
            Self::Drift => "≠",
            Self::Settle => "…",
            Self::Unreadable => "?",
            Self::Keep => "=",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Create => Tone::Good,
            Self::Update | Self::Drift => Tone::Change,
            Self::Delete | Self::Replace | Self::Refused | Self::Unreadable => Tone::Bad,
            Self::Settle | Self::Keep => Tone::Faint,
        }
    }
}

/// How many steps do what. Refused ones count as such alone: they change nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Created.
    pub create: usize,
    /// Changed in place.
    pub update: usize,
    /// Awaited and recorded; nothing is sent.
    pub settle: usize,
    /// Deleted and created anew.
    pub replace: usize,
    /// Deleted.
    pub delete: usize,
    /// Not done at all.
    pub refused: usize,
    /// Left as they are.
    pub unchanged: usize,
}

impl Counts {
    /// Counts the steps of a plan.
    pub fn of(plan: &Plan) -> Self {
        let mut counts = Self::default();
        for step in &plan.steps {
            *match step.action {
                _ if step.refused.is_some() => &mut counts.refused,
                Action::Create => &mut counts.create,
                Action::Settle => &mut counts.settle,
                Action::Update => &mut counts.update,
                Action::Replace => &mut counts.replace,
                Action::Delete => &mut counts.delete,
                Action::Noop => &mut counts.unchanged,
            } += 1;
        }
        counts
    }

    const fn is_quiet(self) -> bool {
        self.create + self.update + self.settle + self.replace + self.delete + self.refused == 0
    }
}

/// Lists the resources whose data a plan destroys.
pub fn losses(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(|it| it.loses_data && it.refused.is_none())
}

/// Says what the plan amounts to: `3 to change, 1 to create, 0 to delete (41 unchanged)`.
fn headline(plan: &Plan) -> String {
    let counts = Counts::of(plan);
    if counts.is_quiet() {
        return match counts.unchanged {
            0 => "nothing to do: there is nothing".to_owned(),
            it => format!("nothing to change ({} as defined)", human::plural(it, "resource")),
        };
    }
    let mut parts = vec![format!("{} to change", counts.update), format!("{} to create", counts.create)];
    parts.extend((counts.settle > 0).then(|| format!("{} to settle", counts.settle)));
    parts.extend((counts.replace > 0).then(|| format!("{} to replace", counts.replace)));
    parts.push(format!("{} to delete", counts.delete));
    parts.extend((counts.refused > 0).then(|| format!("{} refused", counts.refused)));
    format!("{} ({} unchanged)", parts.join(", "), counts.unchanged)
}

/// Says who applied the stack last, and when: `last applied 2 h ago by ci (a1b2c3d)`.
fn history(view: &View<'_>) -> String {
    match &view.last {
        None => "never applied".to_owned(),
        Some(last) => {
            let commit = last.commit.as_ref().map(|it| format!(" ({})", it.get(..7).unwrap_or(it)));
            format!("last applied {} by {}{}", human::ago(view.now, last.at), last.by, commit.unwrap_or_default())
        }
    }
}

/// Says what to do next.
fn closing(view: &View<'_>) -> Option<String> {
    let counts = Counts::of(view.plan);
    if counts.refused > 0 {
        return Some("Nothing is applied while anything is refused: mend the lines marked `!` first.".to_owned());
    }
    let apply = if view.exactly { "Apply exactly this" } else { "Apply this" };
    view.next.as_ref().filter(|_| !counts.is_quiet()).map(|it| format!("{apply}: {it}"))
}

/// Says which data a plan destroys.
fn doom(plan: &Plan) -> Option<String> {
    let doomed: Vec<_> = losses(plan).map(|it| it.address.to_string()).collect();
    (!doomed.is_empty()).then(|| format!("DATA LOSS: the data of {} cannot be brought back.", doomed.join(", ")))
}

/// Returns the lines of a plan, in its own order.
fn rows(plan: &Plan, verbose: bool) -> Vec<Row> {
    plan.steps.iter().flat_map(|it| of_step(it, plan, verbose)).collect()
}

fn of_step(step: &Step, plan: &Plan, verbose: bool) -> Vec<Row> {
    let row = |mark, details| Row { mark, address: step.address.clone(), details };
    let (drift, edits): (Vec<_>, Vec<_>) = step.changes.iter().partition(|it| it.cause == Cause::Drift);
    let mut details = Vec::new();
    if step.resumes {
        details.push((Tone::Plain, "finishes what an earlier run began".to_owned()));
    }
    if step.found && step.action != Action::Delete {
        details.push((Tone::Plain, "found by its name and tags, and recorded".to_owned()));
    }
    if step.adopts {
        details.push((Tone::Plain, format!("taken over: {} is nobody's so far", step.physical)));
    }
    details.extend(step.moved_from.iter().map(|it| (Tone::Plain, format!("was {it}"))));
    details.extend(step.awaits.iter().map(|it| (Tone::Plain, format!("waits until it is ready: it is {it} now"))));
    if let Some(why) = &step.unreadable {
        let text = format!("cannot be read, looked at again once what it needs is done: {}", why.replace('\n', " "));
        details.push((Tone::Bad, text));
    }
    if let Some(refusal) = &step.refused {
        // What is not wanted any more, and is refused for it, is told by the reason.
        let told = |it: &&Change| it.to.is_null() && refusal.field.as_ref() == Some(&it.field);
        let (told, others): (Vec<_>, Vec<_>) = step.changes.iter().partition(told);
        details.extend(others.into_iter().map(changed));
        details.extend(told.into_iter().map(|it| (Tone::Plain, it.field.clone())));
        if step.action == Action::Delete {
            details.push((Tone::Plain, "delete".to_owned()));
        }
        let help = Some(human::sentence(&refusal.help)).filter(|_| !refusal.help.is_empty());
        let why = [Some(format!("REFUSED: {}", human::sentence(&refusal.reason))), help];
        let why = why.into_iter().flatten().collect::<Vec<_>>().join(" ");
        // The reason belongs to the change before it; no dot between them.
        let reason = details.pop().map_or_else(|| why.clone(), |(_, it)| format!("{it}  {why}"));
        details.push((Tone::Bad, reason));
        return vec![row(Mark::Refused, details)];
    }
    match step.action {
        Action::Noop => {
            let keep = verbose && step.kept.is_empty();
            return keep.then(|| row(Mark::Keep, details)).into_iter().chain(left(step)).collect();
        }
        Action::Create => {
            details.extend(
                summary(&step.desired, if verbose { usize::MAX } else { FIELDS })
                    .into_iter()
                    .map(|it| (Tone::Plain, it)),
            );
            details.extend(awaited(step).map(|it| (Tone::Faint, it)));
        }
        Action::Delete if step.forgets => details.push((Tone::Faint, format!("{} is left alone", step.physical))),
        Action::Delete => details.push((Tone::Faint, step.physical.clone())),
        Action::Replace => {
            details.push((Tone::Change, "deleted and created anew".to_owned()));
            details.extend(step.changes.iter().map(changed));
        }
        Action::Settle => details.extend(settles(step)),
        Action::Update if step.changes.is_empty() && !step.resumes => details.extend(follows(step, plan)),
        Action::Update => details.extend(edits.iter().map(|it| changed(it))),
    }
    if step.loses_data {
        details.insert(0, (Tone::Bad, "DATA LOSS".to_owned()));
    }
    if step.protects {
        let text = if step.action == Action::Create { "protected" } else { "protected from now on" };
        details.push((Tone::Faint, text.to_owned()));
    }
    let mut rows = Vec::new();
    if step.action != Action::Update || !details.is_empty() || drift.is_empty() {
        rows.push(row(mark(step), details));
    }
    if step.action == Action::Update && !drift.is_empty() {
        rows.push(row(Mark::Drift, drift.iter().map(|it| drifted(it)).collect()));
    }
    rows.extend(left(step));
    rows
}

/// Says what others changed and is left as it is.
fn left(step: &Step) -> Option<Row> {
    let details = step.kept.iter().map(|it| {
        let became = value::became(&it.to, &it.from);
        (Tone::Plain, format!("{} {became} changed outside ecomctl · left as it is", it.field))
    });
    (!step.kept.is_empty()).then(|| Row {
        mark: Mark::Drift,
        address: step.address.clone(),
        details: details.collect(),
    })
}

/// Says why a step that changes no field is there.
fn follows(step: &Step, plan: &Plan) -> Option<(Tone, String)> {
    let replaced = |it: &&Step| it.action == Action::Replace && step.after.contains(&it.address);
    let it = plan.steps.iter().find(replaced)?;
    Some((Tone::Faint, format!("looked at again, as {} is replaced", it.address)))
}

/// Says why a step that sends nothing is there, where nothing else says so.
fn settles(step: &Step) -> Option<(Tone, String)> {
    let told = step.found
        || step.adopts
        || step.moved_from.is_some()
        || step.awaits.is_some()
        || step.unreadable.is_some()
        || step.protects;
    (!told).then(|| (Tone::Faint, "recorded anew; nothing is sent".to_owned()))
}

const fn mark(step: &Step) -> Mark {
    match step.action {
        _ if step.unreadable.is_some() => Mark::Unreadable,
        Action::Settle => Mark::Settle,
        Action::Create => Mark::Create,
        Action::Delete => Mark::Delete,
        Action::Replace => Mark::Replace,
        Action::Update | Action::Noop => Mark::Update,
    }
}

fn changed(change: &Change) -> (Tone, String) {
    match &change.waits_for {
        Some(on) => (Tone::Plain, format!("{} known once {on} is ready", change.field)),
        None if change.to.is_null() && is_entry(change) => {
            (Tone::Plain, format!("{} {}→removed", change.field, value::show(&change.from)))
        }
        None => (Tone::Plain, format!("{} {}", change.field, value::became(&change.from, &change.to))),
    }
}

/// Says whether a change is of one entry of a map, which has no default.
fn is_entry(change: &Change) -> bool {
    change.field.contains('.')
}

fn drifted(change: &Change) -> (Tone, String) {
    let field = &change.field;
    if let Some(on) = &change.waits_for {
        return (Tone::Plain, format!("{field} changed outside ecomctl · will be set once {on} is ready"));
    }
    let became = match &change.from {
        Value::Null => format!("{}→unset", value::show(&change.to)),
        from => value::became(&change.to, from),
    };
    let back = match &change.to {
        Value::Null if is_entry(change) => "will be removed".to_owned(),
        Value::Null => "will be set back to the default".to_owned(),
        to => format!("will be set back to {}", value::show(to)),
    };
    (Tone::Plain, format!("{field} {became} changed outside ecomctl · {back}"))
}

/// Names the first fields of a new resource: `6 partitions`, `retention 7 d`.
fn summary(desired: &Value, most: usize) -> Vec<String> {
    let Some(fields) = desired.as_object() else { return Vec::new() };
    let plain = fields.iter().filter(|(_, it)| !it.is_null() && !is_empty(it));
    let texts = plain.map(|(field, it)| match it {
        Value::Number(_) if field.ends_with('s') && !field.contains('_') => format!("{it} {field}"),
        it => format!("{field} {}", value::show(it)),
    });
    let mut texts: Vec<_> = texts.collect();
    // Naming one more takes no more room than saying that there is one more.
    if texts.len() > most.saturating_add(1) {
        let more = texts.len() - most;
        texts.truncate(most);
        texts.push(format!("{more} more fields"));
    }
    texts
}

fn is_empty(it: &Value) -> bool {
    it.as_array().is_some_and(Vec::is_empty) || it.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Says which fields are not known yet, by what they wait for.
fn awaited(step: &Step) -> impl Iterator<Item = String> {
    let mut by_source: Vec<(&Address, Vec<&str>)> = Vec::new();
    for (field, on) in &step.unknown {
        match by_source.iter_mut().find(|it| it.0 == on) {
            Some((_, fields)) => fields.push(field),
            None => by_source.push((on, vec![field])),
        }
    }
    by_source.into_iter().map(|(on, fields)| format!("{} known once {on} is ready", fields.join(", ")))
}

#[cfg(test)]
mod tests;
