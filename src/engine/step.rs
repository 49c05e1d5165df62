//! One step, from intent to record: the protocol that lets a run be killed at any instant.
//!
//! Intent → check that the lease outlives the request → request → identifier → ready → record. An answer that does not
//! say whether the request took effect is resolved by reading, never by sending again.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    apply::Mandate,
    diff::diff,
    event::{Cause, Event},
    kept,
    own::{self, Claim},
    plan::{Action, Step},
};
use crate::{
    address::{Address, Name, Owner},
    resource::{Cx, Desired, Error, Kind, Observation, Ownership, Phase, Reason},
    stack::Definition,
    state::{DEADLINE, Edit, Record, Status},
};

/// The shortest pause between two looks; none in unit tests, whose cloud is in memory.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 50 });
/// The longest wait for something else to get out of the way, such as IAM to propagate.
const BUSY: Duration = Duration::from_secs(300);
/// The longest pause between two looks at what is on trial: harm is to be seen soon.
const TRIAL: Duration = Duration::from_secs(5);
/// How many updates one step sends at most.
const ROUNDS: usize = 64;
/// How long what cannot be read is asked again: a function that was just mended may need a moment to reach its database.
const UNREADABLE: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(30) };

/// One step under way.
pub(super) struct Run<'a> {
    pub(super) kind: &'a dyn Kind,
    pub(super) cx: &'a Cx,
    pub(super) mandate: Mandate<'a>,
    /// Ends all waiting.
    pub(super) over: &'a CancellationToken,
    pub(super) step: &'a Step,
    /// The address that the stack file says it had before.
    pub(super) renamed_from: Option<&'a Address>,
    /// What the state knew of it when the plan was made.
    pub(super) record: Option<&'a Record>,
}

impl Run<'_> {
    /// Does the step. `definition` is there unless it is a deletion.
    pub(super) async fn run(&self, definition: Option<&Definition>) -> Result<(), Cause> {
        self.outlast(definition.is_some()).await?;
        match (self.step.action, definition) {
            (Action::Noop, _) => Ok(()),
            (Action::Delete, _) | (_, None) => {
                if !self.step.forgets {
                    self.delete(&self.name(), Status::Deleting).await?;
                }
                let forget = self.step.moved_from.iter().chain([&self.step.address]).cloned().map(Edit::Remove);
                self.mandate.session.record(forget.collect()).await.map_err(Cause::from)
            }
            (Action::Create, Some(it)) => self.create(&it.spec, self.name()).await,
            (Action::Settle | Action::Update, Some(it)) => self.update(&it.spec).await,
            (Action::Replace, Some(it)) => {
                self.delete(&self.name(), Status::Replacing).await?;
                let mut name = self.name();
                name.owner.nonce = uuid::Uuid::new_v4().simple().to_string();
                name.id = None;
                self.create(&it.spec, name).await
            }
        }
    }

    /// Waits where a run that died may have sent what was not heard of yet, and the opposite is wanted now: nothing can be
    /// recreated, or called unchanged, that is still to be deleted, and nothing forgotten that is still to be made.
    async fn outlast(&self, stays: bool) -> Result<(), Cause> {
        let unheard = |it: &Record| match it.status {
            Status::Deleting | Status::Replacing => stays,
            // Nothing would know any more of what is made after it was forgotten.
            Status::Creating => !stays,
            Status::Ready | Status::Updating => false,
        };
        let clear = self.mandate.session.clear_at().filter(|_| self.record.is_some_and(unheard));
        let (begun, name) = (Instant::now(), self.name());
        while let Some(left) = clear.map(|it| it.saturating_duration_since(Instant::now())).filter(|it| !it.is_zero()) {
            let on = match stays {
                true => "a run that died was deleting it: until nothing of that can be under way",
                false => "a run that died was creating it: until nothing of that can be under way",
            };
            self.wait(&name, on, begun, DEADLINE, left.min(Duration::from_secs(1))).await?;
        }
        Ok(())
    }

    fn name(&self) -> Name {
        let (stack, address) = (self.cx.scope.stack.clone(), self.step.address.clone());
        let owner = Owner { stack, address, nonce: self.step.nonce.clone() };
        Name { physical: self.step.physical.clone(), owner, id: self.step.id.clone() }
    }

    async fn create(&self, spec: &Value, name: Name) -> Result<(), Cause> {
        let desired = self.desired(spec)?;
        self.settle_gone(&name, true).await?;
        // Otherwise an earlier run may have made it, and was killed before it could be told from somebody else's.
        let first = self.record.is_none_or(|it| it.status != Status::Creating || it.nonce != name.owner.nonce);
        self.put(Status::Creating, &name, &Value::Null).await?;
        let made = self.make(spec, &name, first).await;
        if let (Err(Cause::NotOurs { .. }), true) = (&made, first) {
            // An intent would let the next run take it for ours.
            self.mandate.session.record(vec![Edit::Remove(self.step.address.clone())]).await?;
        }
        made?;
        let live = self.settle(&name, Some(Status::Creating)).await?;
        let changes = diff(self.kind.fields(), &desired, &desired.spec, &live.observed).changes;
        self.finish(spec, &name, &desired, live, changes).await
    }

    /// Sends what creates it. What came to be there since the plan was made is not ours, unless it says that it is.
    async fn make(&self, spec: &Value, name: &Name, first: bool) -> Result<(), Cause> {
        if first
            && self.kind.overwrites()
            && let Some(live) = self.read(name).await?
        {
            must_be_ours(&live, name, Claim { record: None, ..self.claim() })?;
        }
        let create = || self.kind.create(self.cx, name, spec);
        self.send(name, BUSY, create, |err| self.took_effect(name, first, err)).await
    }

    async fn update(&self, spec: &Value) -> Result<(), Cause> {
        let name = self.name();
        let mut desired = self.desired(spec)?;
        let applied = self.record.map_or(Value::Null, |it| it.applied.clone());
        let Some(live) = self.settle_if_there(&name, None).await? else { return self.create(spec, name).await };
        must_be_ours(&live, &name, self.claim())?;
        let spec = &kept::within(spec, &mut desired, &self.step.kept);
        let mut changes = diff(self.kind.fields(), &desired, &applied, &live.observed).changes;
        changes.extend(own::mark(&live, &name, self.claim()));
        if let (Action::Settle, Some(change)) = (self.step.action, changes.first()) {
            // Nobody has seen this change in a plan, and no kind was asked whether it can be made.
            return Err(Cause::Unplanned(change.field.clone()));
        }
        if !changes.is_empty() {
            self.put(Status::Updating, &name, &applied).await?;
        }
        self.finish(spec, &name, &desired, live, changes).await
    }

    /// Updates for as long as that leads to differences that were not there before, and records: a provider may take one
    /// change at a time, or in an order of its own. What differs all the same is the provider's view of it: the next plan
    /// shows it.
    async fn finish(
        &self,
        spec: &Value,
        name: &Name,
        desired: &Desired,
        mut live: Observation,
        mut changes: Vec<crate::resource::Change>,
    ) -> Result<(), Cause> {
        let mut seen = Vec::new();
        while !changes.is_empty() && !seen.contains(&changes) && seen.len() < ROUNDS {
            // Sending an update again is harmless: it names the whole of what is wanted.
            let update = || self.kind.update(self.cx, name, spec, &live, &changes);
            self.send(name, BUSY, update, |_| async { Ok(false) }).await?;
            live = self.settle(name, None).await?;
            seen.push(changes);
            changes = diff(self.kind.fields(), desired, &desired.spec, &live.observed).changes;
        }
        let name = Name { id: live.identity.id.clone(), ..name.clone() };
        // What is left as others changed it was not applied, and shows as their change again.
        let mut applied = desired.spec.clone();
        self.step.kept.iter().for_each(|it| kept::set(&mut applied, &it.field, &it.to));
        self.put(Status::Ready, &name, &applied).await?;
        self.cx.lives.set(&self.step.address, Some(live));
        Ok(())
    }

    async fn delete(&self, name: &Name, status: Status) -> Result<(), Cause> {
        let Some(live) = self.read(name).await? else { return Ok(()) };
        must_be_ours(&live, name, self.claim())?;
        self.cx.lives.set(&self.step.address, None);
        if live.phase != Phase::Deleting {
            self.may_lose()?;
            let applied = self.record.map_or(&Value::Null, |it| &it.applied);
            self.put(status, &Name { id: live.identity.id.clone(), ..name.clone() }, applied).await?;
            let delete = || self.kind.delete(self.cx, name, &live);
            // What others hold (a network's interfaces) may be held for as long as the kind takes for everything.
            let patience = BUSY.max(self.kind.patience());
            self.send(name, patience, delete, |_| async { Ok(self.read(name).await?.is_none()) }).await?;
        }
        self.settle_gone(name, false).await
    }

    /// Refuses to delete what nobody was asked about, as it was not there when the plan was made: the look may have been
    /// wrong, or somebody brought it back.
    fn may_lose(&self) -> Result<(), Cause> {
        let address = &self.step.address;
        let why = if self.step.protect {
            "it is protected"
        } else if self.kind.data_bearing() && !self.mandate.consent.contains(address) {
            "its data would be lost"
        } else {
            return Ok(());
        };
        let message = format!("{why}; it was not there when this was planned, and is there now");
        let help = "nothing was deleted; run the same command again: its plan says what would be lost".to_owned();
        Err(Error::Refused { message, help }.into())
    }

    fn desired(&self, spec: &Value) -> Result<Desired, Cause> {
        let desired = self.kind.desired(spec, self.cx)?;
        match desired.unknown.values().next() {
            Some(on) => Err(Error::NotReady(on.clone()).into()),
            None => Ok(desired),
        }
    }

    /// Says whether a create whose answer was lost took effect, or whether what exists already is ours.
    async fn took_effect(&self, name: &Name, first: bool, err: Reason) -> Result<bool, Cause> {
        let Some(live) = self.read(name).await? else { return Ok(false) };
        let intent = self.record_of(Status::Creating, name, &Value::Null);
        // What is made with its owner's tags, and has none, somebody else made.
        let strange = first && !self.kind.tagged_late() && live.identity.ownership == Ownership::Foreign;
        let record = Some(&intent).filter(|_| !strange);
        match must_be_ours(&live, name, Claim { record, ..self.claim() }) {
            Ok(()) => Ok(true),
            Err(not_ours) if err == Reason::Exists => Err(not_ours),
            Err(_) => Ok(false),
        }
    }

    fn claim(&self) -> Claim<'_> {
        Claim { record: self.record, former: self.renamed_from, adopts: self.step.adopts }
    }

    /// Sends a request. Waits where the provider says "not now"; asks `done` where its answer leaves it open whether
    /// the request took effect.
    async fn send<'f, F, D>(
        &self,
        name: &Name,
        patience: Duration,
        request: impl Fn() -> futures::future::BoxFuture<'f, Result<(), Error>>,
        done: F,
    ) -> Result<(), Cause>
    where
        F: Fn(Reason) -> D,
        D: Future<Output = Result<bool, Cause>>,
    {
        let (mut begun, mut pause, mut unclear, mut before) = (Instant::now(), PAUSE * 10, 0, String::new());
        loop {
            self.mandate.session.check().await?;
            let Err(err) = request().await else { return Ok(()) };
            let (reason, words) = match &err {
                Error::Client(err) => (err.reason, err.words()),
                _ => return Err(err.into()),
            };
            match reason {
                Reason::Exists | Reason::Missing | Reason::Unavailable if done(reason).await? => return Ok(()),
                Reason::Unavailable if unclear < 3 => unclear += 1,
                Reason::Busy | Reason::Throttled if begun.elapsed() < patience => (),
                _ => return Err(err.into()),
            }
            if reason == Reason::Busy && !before.is_empty() && before != words {
                // It gets on: what holds it, or what is left of it, is less by now.
                (begun, pause) = (Instant::now(), PAUSE);
            }
            self.wait(name, &words, begun, patience, pause).await?;
            (pause, before) = ((pause * 2).min(Duration::from_secs(5)), words);
        }
    }

    /// Looks until it is ready; what was just made may not be visible at once.
    async fn settle(&self, name: &Name, recording: Option<Status>) -> Result<Observation, Cause> {
        let (begun, patience, mut pause) = (Instant::now(), self.kind.patience(), PAUSE);
        loop {
            if let Some(live) = self.settle_if_there(name, recording).await? {
                return Ok(live);
            }
            self.wait(name, "not visible yet", begun, patience, pause).await?;
            pause = next_pause(pause, patience);
        }
    }

    /// Looks until it is ready, or is not there. Records the identifier as soon as it is known.
    async fn settle_if_there(&self, name: &Name, recording: Option<Status>) -> Result<Option<Observation>, Cause> {
        let (mut begun, patience, mut trial) = (Instant::now(), self.kind.patience(), None);
        let (mut pause, mut recorded, mut unreadable) = (PAUSE, name.id.is_some(), None);
        while let Some(live) = self.read(name).await? {
            let on = match &live.phase {
                Phase::OnTrial { on, left } => {
                    let trial = *trial.get_or_insert_with(Instant::now);
                    let whole = trial.elapsed() + (*left).max(Duration::from_secs(1));
                    self.wait(name, on, trial, whole, pause.min(TRIAL).min(*left)).await?;
                    // What is on trial works: that is no part of what it takes to get there.
                    (begun, pause) = (Instant::now(), next_pause(pause, patience));
                    continue;
                }
                Phase::Regressed(why) => return Err(self.take_back(name, &live, why).await?),
                Phase::Unreadable(why) => again(&mut unreadable, why)?,
                Phase::Ready => return Ok(Some(live)),
                Phase::Failed(why) => return Err(Cause::ProviderFailed(why.clone())),
                Phase::Pending(on) => on.clone(),
                Phase::Deleting => "being deleted".to_owned(),
            };
            if let (false, Some(status), Some(id)) = (recorded, recording, &live.identity.id) {
                self.put(status, &Name { id: Some(id.clone()), ..name.clone() }, &Value::Null).await?;
                recorded = true;
            }
            self.wait(name, &on, begun, patience, pause).await?;
            pause = next_pause(pause, patience);
        }
        Ok(None)
    }

    /// Puts back what was there before the last change, and returns why that was: the step has failed.
    async fn take_back(&self, name: &Name, live: &Observation, why: &str) -> Result<Cause, Cause> {
        must_be_ours(live, name, self.claim())?;
        if self.record.is_none_or(|it| it.status == Status::Ready) {
            let applied = self.record.map_or(&Value::Null, |it| &it.applied);
            self.put(Status::Updating, &Name { id: live.identity.id.clone(), ..name.clone() }, applied).await?;
        }
        let revert = || self.kind.revert(self.cx, name, live);
        self.send(name, BUSY, revert, |_| async { Ok(false) }).await?;
        Ok(Cause::Reverted(why.to_owned()))
    }

    /// Looks until it is gone; with `only_if_leaving`, returns at once unless it is on its way out.
    async fn settle_gone(&self, name: &Name, only_if_leaving: bool) -> Result<(), Cause> {
        if only_if_leaving && self.step.id.is_none() && self.record.is_none_or(|it| it.status == Status::Creating) {
            return Ok(());
        }
        let (begun, patience, mut pause, mut unreadable) = (Instant::now(), self.kind.patience(), PAUSE, None);
        while let Some(live) = self.read(name).await? {
            if only_if_leaving && live.phase != Phase::Deleting {
                return Ok(());
            }
            let on = match live.phase {
                Phase::Failed(why) => return Err(Cause::ProviderFailed(why)),
                Phase::Unreadable(why) => again(&mut unreadable, &why)?,
                _ => "being deleted".to_owned(),
            };
            self.wait(name, &on, begun, patience, pause).await?;
            pause = next_pause(pause, patience);
        }
        Ok(())
    }

    async fn wait(
        &self,
        name: &Name,
        on: &str,
        begun: Instant,
        patience: Duration,
        pause: Duration,
    ) -> Result<(), Cause> {
        let elapsed = begun.elapsed();
        if elapsed > patience {
            return Err(Cause::TimedOut { on: on.to_owned(), patience });
        }
        let address = name.owner.address.clone();
        // Nobody may be listening any more; that is no reason to stop.
        let usual = self.kind.usual().filter(|_| self.step.action == Action::Create);
        self.mandate.events.send(Event::Waiting { address, on: on.to_owned(), elapsed, patience, usual }).ok();
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.over.cancelled() => Err(Cause::Interrupted(on.to_owned())),
        }
    }

    async fn read(&self, name: &Name) -> Result<Option<Observation>, Cause> {
        Ok(self.kind.read(self.cx, std::slice::from_ref(name)).await?.into_iter().next().flatten())
    }

    async fn put(&self, status: Status, name: &Name, applied: &Value) -> Result<(), Cause> {
        let record = Box::new(self.record_of(status, name, applied));
        let moved = self.step.moved_from.iter().cloned().map(Edit::Remove);
        let edits = moved.chain([Edit::Put(self.step.address.clone(), record)]).collect();
        Ok(self.mandate.session.record(edits).await?)
    }

    fn record_of(&self, status: Status, name: &Name, applied: &Value) -> Record {
        Record {
            status,
            physical: name.physical.clone(),
            id: name.id.clone(),
            nonce: name.owner.nonce.clone(),
            applied: applied.clone(),
            refs: self.step.refs.clone(),
            protect: self.step.protect,
        }
    }
}

/// Refuses what is not this stack's.
fn must_be_ours(live: &Observation, name: &Name, claim: Claim<'_>) -> Result<(), Cause> {
    let Some(why) = own::stranger(live, name, claim) else { return Ok(()) };
    Err(Cause::NotOurs { physical: name.physical.clone(), why, help: own::advice(live, name) })
}

/// Says what is awaited while something cannot be read; an error once that has lasted.
fn again(since: &mut Option<Instant>, why: &str) -> Result<String, Cause> {
    match since.get_or_insert_with(Instant::now).elapsed() >= UNREADABLE {
        true => Err(Cause::Unreadable(why.to_owned())),
        false => Ok(format!("it cannot be read: {why}")),
    }
}

/// Looks ever less often, but often enough against what the kind may take.
fn next_pause(pause: Duration, patience: Duration) -> Duration {
    let most = (patience / 200).clamp(Duration::from_secs(1), Duration::from_secs(15));
    pause.mul_f64(1.6).min(most)
}
