//! The execution of a plan: every step begins when its own needs are met, not when a level is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    Engine,
    event::{Cause, Event, Failure},
    plan::{Action, Plan, Step},
    step::Run,
};
use crate::{
    address::Address,
    resource::{self, kind},
    state::{self, Session},
};

/// How many steps are under way at most. Most of their time they wait, so this is wide.
const WIDTH: usize = 64;
/// How long what is under way is still awaited once the run is interrupted.
pub const GRACE: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Summary {
    /// The steps that are done and recorded, in the order in which they finished.
    pub done: Vec<(Address, Action, Duration)>,
    /// The steps that failed.
    pub failures: Vec<Failure>,
    /// The steps that were under way when the run was interrupted, each with what it was at. What was sent is recorded.
    pub unfinished: Vec<(Address, Action, String)>,
    /// The steps that were not begun.
    pub skipped: Vec<(Address, Action)>,
    /// Whether the user interrupted the run.
    pub interrupted: bool,
    /// Whether another run took over.
    pub lost: bool,
}

impl Summary {
    /// Says whether all that was planned is done.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.unfinished.is_empty() && self.skipped.is_empty()
    }
}

/// What a run may do, and whom it tells.
#[derive(Clone, Copy)]
pub struct Mandate<'a> {
    /// The hold on the stack.
    pub session: &'a Session,
    /// The resources whose data may be lost.
    pub consent: &'a BTreeSet<Address>,
    /// Who is told what happens.
    pub events: &'a UnboundedSender<Event>,
    /// Ends the run early: nothing new is begun, and what is under way is awaited for [`GRACE`] at most. A request that
    /// was sent is awaited until its answer: what came of it must be recorded.
    pub cancel: &'a CancellationToken,
}

impl Engine<'_> {
    /// Does what the plan says. A step that fails stops only those that need it.
    ///
    /// Steps that are refused, or lose data without consent, are failures; the caller asks beforehand.
    pub async fn apply(&self, plan: &Plan, mandate: Mandate<'_>) -> Summary {
        let Mandate { events, cancel, .. } = mandate;
        let mut waiting: BTreeMap<&Address, &Step> =
            plan.steps.iter().filter(|it| it.action != Action::Noop).map(|it| (&it.address, it)).collect();
        let mut open: BTreeSet<&Address> = waiting.keys().copied().collect();
        let mut broken: BTreeSet<&Address> = BTreeSet::new();
        let mut summary = Summary::default();
        let over = CancellationToken::new();
        let mut running = FuturesUnordered::new();
        let mut grace = std::pin::pin!(async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
            over.cancel();
            std::future::pending::<Infallible>().await
        });
        loop {
            let stop = cancel.is_cancelled() || summary.lost;
            // What needs something that failed is passed over, and then what needs that: a step may come before what it
            // awaits in the plan, as a replacement does that awaits a deletion.
            while let Some((step, because_of)) = plan.steps.iter().find_map(|step| {
                let because_of = step.after.iter().find(|it| broken.contains(it));
                let doomed = waiting.contains_key(&step.address) && (stop || because_of.is_some());
                doomed.then_some((step, because_of))
            }) {
                waiting.remove(&step.address);
                broken.insert(&step.address);
                open.remove(&step.address);
                summary.skipped.push((step.address.clone(), step.action));
                let (address, action, because_of) = (step.address.clone(), step.action, because_of.cloned());
                events.send(Event::Skipped { address, action, because_of }).ok();
            }
            let ready: Vec<&Step> =
                waiting.values().filter(|it| it.after.iter().all(|need| !open.contains(need))).copied().collect();
            for step in ready.into_iter().take(WIDTH.saturating_sub(running.len())) {
                waiting.remove(&step.address);
                events.send(Event::Started { address: step.address.clone(), action: step.action }).ok();
                let over = &over;
                running.push(async move {
                    let begun = Instant::now();
                    (step, self.step(step, mandate, over).await, begun.elapsed())
                });
            }
            let ended = tokio::select! {
                it = running.next() => it,
                never = &mut grace => match never {},
            };
            let Some((step, result, elapsed)) = ended else { break };
            open.remove(&step.address);
            let (address, action) = (step.address.clone(), step.action);
            match result {
                Ok(()) => {
                    events.send(Event::Finished { address: address.clone(), action, elapsed }).ok();
                    summary.done.push((address, action, elapsed));
                }
                Err(Cause::Interrupted(on)) => {
                    broken.insert(&step.address);
                    events.send(Event::Unfinished { address: address.clone(), action, on: on.clone() }).ok();
                    summary.unfinished.push((address, action, on));
                }
                Err(cause) => {
                    broken.insert(&step.address);
                    summary.lost |= matches!(cause, Cause::Session(state::SessionError::Lost));
                    events.send(Event::Failed { address: address.clone(), action, message: cause.to_string() }).ok();
                    summary.failures.push(Failure { action, address, cause });
                }
            }
        }
        summary.interrupted = cancel.is_cancelled();
        summary
    }

    async fn step(&self, step: &Step, mandate: Mandate<'_>, over: &CancellationToken) -> Result<(), Cause> {
        let refused =
            |message: String, help: &str| Err(resource::Error::Refused { message, help: help.to_owned() }.into());
        if let Some(refusal) = &step.refused {
            return refused(refusal.reason.clone(), &refusal.help);
        }
        if step.loses_data && !mandate.consent.contains(&step.address) {
            return refused("its data would be lost".to_owned(), "name it with --allow-data-loss if it shall be");
        }
        let Some(kind) = kind(self.kinds, &step.address.kind) else {
            return refused(format!("no kind is named {}", step.address.kind), "use the ecomctl that made the plan");
        };
        let recorded_as = step.moved_from.as_ref().unwrap_or(&step.address);
        let record = mandate.session.document().resources.get(recorded_as);
        let definition = self.stack.resources.get(&step.address);
        let renamed_from = definition.and_then(|it| it.renamed_from.as_ref());
        let definition = definition.filter(|_| step.action != Action::Delete);
        Run { kind, cx: self.cx, mandate, over, step, renamed_from, record }.run(definition).await
    }
}
