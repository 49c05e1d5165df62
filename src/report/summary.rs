//! What became of a plan, and what the user may now use.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    address::Address,
    engine::{Action, Event},
    report::{Style, Tone, human, terminal::table},
};

/// How many steps came to which end, as the events told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Created.
    pub created: usize,
    /// Changed in place.
    pub changed: usize,
    /// Awaited and recorded; nothing was sent.
    pub settled: usize,
    /// Deleted and created anew.
    pub replaced: usize,
    /// Deleted.
    pub deleted: usize,
    /// Left as they were.
    pub unchanged: usize,
    /// Failed.
    pub failed: usize,
    /// Interrupted while under way.
    pub unfinished: usize,
    /// Not begun.
    pub skipped: usize,
}

impl Tally {
    /// Counts an event.
    pub fn count(&mut self, event: &Event) {
        *match event {
            Event::Started { .. } | Event::Waiting { .. } => return,
            Event::Failed { .. } => &mut self.failed,
            Event::Unfinished { .. } => &mut self.unfinished,
            Event::Skipped { .. } => &mut self.skipped,
            Event::Finished { action, .. } => match action {
                Action::Noop => &mut self.unchanged,
                Action::Settle => &mut self.settled,
                Action::Update => &mut self.changed,
                Action::Replace => &mut self.replaced,
                Action::Create => &mut self.created,
                Action::Delete => &mut self.deleted,
            },
        } += 1;
    }

    /// Counts the steps that came to an end, whichever.
    pub const fn ended(&self) -> usize {
        let Self { created, changed, settled, replaced, deleted, failed, unfinished, skipped, unchanged: _ } = *self;
        created + changed + settled + replaced + deleted + failed + unfinished + skipped
    }

    /// Says whether everything was done.
    pub const fn is_complete(&self) -> bool {
        self.failed + self.unfinished + self.skipped == 0
    }
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// The stack.
    pub stack: &'a str,
    /// What it was meant to become: `is up to date`, or `is gone`.
    pub goal: &'a str,
    /// The counts.
    pub tally: Tally,
    /// How long it took, from the command's start.
    pub elapsed: Duration,
}

/// What users may read of each resource.
pub type Outputs = BTreeMap<Address, BTreeMap<&'static str, String>>;

/// Says in one line what became of a run, also of one that failed.
pub fn text(it: &Outcome<'_>, style: Style) -> String {
    let Tally { created, changed, settled, replaced, deleted, unchanged, failed, unfinished, skipped } = it.tally;
    let counts = [
        (created, "created", Tone::Plain),
        (changed, "changed", Tone::Plain),
        (settled, "settled", Tone::Plain),
        (replaced, "replaced", Tone::Plain),
        (deleted, "deleted", Tone::Plain),
        (unchanged, "unchanged", Tone::Plain),
        (failed, "failed", Tone::Bad),
        (unfinished, "left unfinished", Tone::Change),
        (skipped, "not begun", Tone::Change),
    ];
    let parts = counts.into_iter().filter(|it| it.0 > 0);
    let mut parts: Vec<_> = parts.map(|(it, what, tone)| style.paint(tone, &format!("{it} {what}"))).collect();
    if parts.is_empty() {
        parts.push("there was nothing to do".to_owned());
    }
    let (goal, tone) = if it.tally.is_complete() { (it.goal, Tone::Good) } else { ("is incomplete", Tone::Bad) };
    format!(
        "{} {}: {} · {}",
        style.paint(Tone::Strong, it.stack),
        style.paint(tone, goal),
        parts.join(", "),
        human::duration(it.elapsed)
    )
}

/// Lists what a user may need: addresses to connect to and names to look for. Identifiers that only programs use are
/// left out here; the JSON has them all.
pub fn outputs(outputs: &Outputs, style: Style) -> Option<String> {
    let mut rows = Vec::new();
    for (address, values) in outputs {
        let useful = values.iter().filter(|(name, it)| {
            // A name that is the address's own says nothing new.
            !it.is_empty() && !is_internal(name) && **it != address.name
        });
        rows.extend(useful.map(|(name, it)| vec![address.to_string(), (*name).to_owned(), it.clone()]));
    }
    (!rows.is_empty()).then(|| table(&["resource", "output", "value"], rows, style))
}

fn is_internal(output: &str) -> bool {
    let internal: BTreeSet<_> = ["arn", "id", "uuid", "version", "sha256"].into();
    output.split('_').any(|it| internal.contains(it))
}

/// Writes what became of a run as JSON: the result of `up --json` and `teardown --json`.
///
/// ```json
/// { "stack": "local", "complete": true, "counts": { "created": 17, … }, "elapsed_ms": 24000,
///   "outputs": { "cluster.events": { "brokers": "…" } } }
/// ```
pub fn json(it: &Outcome<'_>, outputs: &Outputs) -> Value {
    json!({
        "stack": it.stack,
        "complete": it.tally.is_complete(),
        "counts": it.tally,
        "elapsed_ms": u64::try_from(it.elapsed.as_millis()).unwrap_or(u64::MAX),
        "outputs": outputs.iter().map(|(address, it)| (address.to_string(), json!(it))).collect::<serde_json::Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_how_it_went() {
        let tally = Tally { created: 12, unchanged: 3, ..Tally::default() };
        let done = Outcome { stack: "local", goal: "is up to date", tally, elapsed: Duration::from_secs(24) };
        insta::assert_snapshot!(text(&done, Style::PLAIN), @"local is up to date: 12 created, 3 unchanged · 24 s");
        let tally = Tally { failed: 1, skipped: 3, replaced: 1, ..tally };
        insta::assert_snapshot!(text(&Outcome { tally, ..done }, Style::PLAIN), @"local is incomplete: 12 created, 1 replaced, 3 unchanged, 1 failed, 3 not begun · 24 s");
    }

    #[test]
    fn outputs_are_those_a_user_needs() {
        let cluster =
            BTreeMap::from([("arn", "arn:aws:kafka:…".to_owned()), ("brokers", "127.0.0.1:19092".to_owned())]);
        let bucket = BTreeMap::from([("name", "local-lake".to_owned())]);
        let all = [(Address::new("cluster", "events"), cluster), (Address::new("bucket", "lake"), bucket)];
        insta::assert_snapshot!(outputs(&all.into(), Style::PLAIN).unwrap_or_default(), @r"
        resource        output   value
        bucket.lake     name     local-lake
        cluster.events  brokers  127.0.0.1:19092
        ");
        assert_eq!(outputs(&Outputs::new(), Style::PLAIN), None);
    }
}
