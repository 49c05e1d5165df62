//! What the journal is told of a run: each step by its address, never what it holds.

use crate::{
    address::Address,
    engine::{Action, Summary},
    state::{Account, Done, End, Outcome},
};

/// Describes what became of a plan.
pub fn account(summary: &Summary) -> Account {
    let done = summary.done.iter().map(|it| (&it.0, it.1, Outcome::Done, Some(it.2.as_secs_f64())));
    let failed = summary.failures.iter().map(|it| (&it.address, it.action, Outcome::Failed, None));
    let unfinished = summary.unfinished.iter().map(|it| (&it.0, it.1, Outcome::Unfinished, None));
    let skipped = summary.skipped.iter().map(|it| (&it.0, it.1, Outcome::Skipped, None));
    let steps = done.chain(failed).chain(unfinished).chain(skipped);
    let steps = steps.map(|(address, action, outcome, seconds): (_, Action, _, _)| Done {
        address: address.clone(),
        action: action.to_string(),
        outcome,
        seconds,
    });
    Account { end: if summary.is_complete() { End::Complete } else { End::Incomplete }, steps: steps.collect() }
}

/// Describes something that was done to the record of these resources at once.
pub fn done<'a>(action: &str, addresses: impl Iterator<Item = &'a Address>) -> Account {
    let done =
        |it: &Address| Done { address: it.clone(), action: action.to_owned(), outcome: Outcome::Done, seconds: None };
    Account { end: End::Complete, steps: addresses.map(done).collect() }
}
