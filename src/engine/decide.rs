//! The planner: from what is wanted, what was applied and what is there to what will be done. Pure: no request, no
//! clock, no chance.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Aim, Engine, Goal,
    diff::{Difference, diff},
    kept,
    observe::{Error, Observed, unresolved},
    own::{self, Claim},
    plan::{Action, Plan, Refusal, Step},
};
use crate::{
    address::{Address, Name},
    resource::{self, Cx, Desired, Kind, Observation, Phase},
    stack::{Definition, Stack},
    state::{Document, Record, Status},
};

impl Engine<'_> {
    /// Makes the plan that leads from what is there to the goal.
    ///
    /// # Errors
    /// [`Error::Unresolved`] when a template or an artifact is missing or wrong.
    pub fn plan(&self, document: &Document, observed: &Observed, aim: impl Into<Aim>) -> Result<Plan, Error> {
        let Self { cx, stack, .. } = *self;
        let aim = &aim.into();
        let chosen = aim.chosen(stack, document);
        let is_chosen = |it: &Address| chosen.as_ref().is_none_or(|all| all.contains(it));
        let mut plan = Plan {
            stack: cx.scope.stack.clone(),
            lineage: document.lineage,
            serial: document.serial,
            definition: stack.hash.clone(),
            steps: Vec::new(),
            notes: Vec::new(),
        };
        let twins = self.twins(observed);
        let mut kept = BTreeSet::new();
        if aim.goal == Goal::Up {
            for address in super::order::sorted(&stack.resources).into_iter().filter(is_chosen) {
                let definition = &stack.resources[&address];
                let kind = self.kind(&address)?;
                let desired = kind.desired(&definition.spec, cx).map_err(unresolved(&address))?;
                let known = Known::of(kind, &address, self, document, observed, aim);
                let mut step = known.wanted(definition, desired);
                plan.notes.extend(known.protected_against_the_file(definition));
                plan.notes.extend(known.interruptions(&step));
                plan.notes.extend(known.regression());
                known.object(&mut step, definition, cx).map_err(unresolved(&address))?;
                if step.refused.is_none() {
                    step.refused = known.moved_away(&step, stack, &self.computed(&address)?);
                }
                twins.refuse(&mut step, document);
                follow(&plan.steps, &mut step);
                kept.insert(address);
                plan.steps.push(step);
            }
        }
        let mut leaving = Vec::new();
        for (address, name) in &observed.names {
            if kept.contains(address) || !is_chosen(address) || aim.adopt.is_some() {
                continue;
            }
            let kind = self.kind(address)?;
            let known = Known::of(kind, address, self, document, observed, aim);
            let mut notes = Vec::new();
            let Some(mut step) = known.unwanted(stack.resources.get(address), name, &mut notes) else { continue };
            twins.forget(&mut step, &kept, &mut notes);
            plan.notes.append(&mut notes);
            leaving.push(unless_older(step, aim));
        }
        if let Some(chosen) = chosen.filter(|_| aim.adopt.is_none()) {
            let others = observed.names.keys().filter(|it| !chosen.contains(it)).count();
            plan.notes
                .push(format!("{others} more of the stack's resources are left out, as --only does not need them"));
        }
        let mut last = BTreeSet::new();
        for step in &leaving {
            if self.kind(&step.address)?.leaves_last() {
                last.insert(step.address.clone());
            }
        }
        order_deletions(&mut leaving, &mut plan.steps, &last);
        plan.steps.append(&mut leaving);
        if aim.adopt.is_none() {
            plan.notes.extend(of_strays(stack, observed));
        }
        let stateless = document.definition.is_none() && document.resources.is_empty();
        if stateless && aim.adopt.is_none() && (plan.steps.iter().any(|it| it.found) || !observed.strays.is_empty()) {
            plan.notes.push(self.without_state(observed));
        }
        Ok(plan)
    }
}

impl Engine<'_> {
    /// Says what is not known without a state, and where nobody looked for it.
    fn without_state(&self, observed: &Observed) -> String {
        let dark = observed.unsearched.iter().map(|it| it.0.as_str());
        let unlisted = self.kinds.iter().filter(|it| !it.listed()).map(|it| it.name());
        let mut dark: Vec<&str> = dark.chain(unlisted).collect();
        dark.sort_unstable();
        dark.dedup();
        format!(
            "there is no state: what the stack's file no longer names is told of as far as its name and its tags say that it is \
             the stack's, and is not deleted; it was not looked for among these kinds: {}; all that can carry tags is found at \
             the provider by `ecomctl:stack` with the value `{}`",
            dark.join(", "),
            self.cx.scope.stack
        )
    }
}

/// Tells what carries the stack's tags though nothing names it, and is never guessed to be anything.
fn of_strays(stack: &Stack, observed: &Observed) -> Vec<String> {
    let told = observed.strays.iter().map(|(address, physical)| match stack.resources.contains_key(address) {
        true => format!(
            "a second {address} exists as {physical}, with this stack's tags: it is left alone; delete it at the provider if \
             nobody needs it"
        ),
        false => format!(
            "{physical} carries this stack's tags as {address}, which its file does not name: it is left alone; to delete it, \
             put {address} into the file, run this once, and take it out again"
        ),
    });
    let named = |it: &&(String, String)| stack.resources.keys().any(|address| address.kind == it.0);
    let dark = observed.unsearched.iter().filter(named).map(|(kind, why)| {
        format!("what the file no longer names could not be looked for among the {kind}s: {}", why.replace('\n', " "))
    });
    told.chain(dark).collect()
}

/// What is known of one resource.
struct Known<'a> {
    kind: &'a dyn Kind,
    address: &'a Address,
    name: &'a Name,
    /// The address under which it is recorded, where that is another.
    former: Option<&'a Address>,
    /// The address that the file says it had before.
    renamed_from: Option<&'a Address>,
    record: Option<&'a Record>,
    live: Option<&'a Observation>,
    /// Whether its drift is left as it is.
    keeps_drift: bool,
    /// Whether it is taken over where it is nobody's.
    adopts: bool,
}

impl<'a> Known<'a> {
    fn of(
        kind: &'a dyn Kind,
        address: &'a Address,
        engine: &Engine<'a>,
        document: &'a Document,
        observed: &'a Observed,
        aim: &Aim,
    ) -> Self {
        let former = observed.moved.get(address);
        Self {
            kind,
            address,
            name: &observed.names[address],
            former,
            renamed_from: engine.stack.resources.get(address).and_then(|it| it.renamed_from.as_ref()),
            record: document.resources.get(former.unwrap_or(address)),
            live: observed.found.get(address),
            keeps_drift: aim.keep_drift.contains(address),
            adopts: aim.adopt.as_ref() == Some(address),
        }
    }

    fn claim(&self) -> Claim<'a> {
        Claim { record: self.record, former: self.renamed_from, adopts: self.adopts }
    }

    fn step(&self, action: Action) -> Step {
        Step {
            address: self.address.clone(),
            action,
            physical: self.name.physical.clone(),
            id: self.live.and_then(|it| it.identity.id.clone()),
            nonce: self.name.owner.nonce.clone(),
            changes: Vec::new(),
            desired: Value::Null,
            unknown: BTreeMap::new(),
            after: BTreeSet::new(),
            refs: BTreeSet::new(),
            resumes: false,
            found: self.live.is_some() && self.record.is_none(),
            adopts: false,
            forgets: false,
            moved_from: self.former.cloned(),
            kept: Vec::new(),
            awaits: None,
            unreadable: None,
            protects: false,
            protect: self.record.is_some_and(|it| it.protect),
            loses_data: false,
            refused: None,
        }
    }

    /// Plans a resource that the stack defines.
    fn wanted(&self, definition: &Definition, desired: Desired) -> Step {
        let mut step = self.compare(&desired);
        step.desired = desired.spec;
        step.unknown = desired.unknown;
        step.refs = definition.needed();
        step.protect |= definition.protect;
        step.protects = definition.protect && self.record.is_none_or(|it| !it.protect);
        if step.action == Action::Replace && step.protect && step.refused.is_none() {
            step.refused = Some(self.protected("replaced"));
        }
        step.after = definition.needs.iter().filter(|it| !it.weak).map(|it| it.to.clone()).collect();
        if step.action == Action::Noop
            && (self.former.is_some()
                || self.record.is_some_and(|it| it.protect != step.protect || it.refs != step.refs))
        {
            // Nothing to send; the record alone is brought up to date.
            step.action = Action::Settle;
        }
        step
    }

    /// Says which changes of what is in use interrupt its users, once for each field.
    fn interruptions(&self, step: &Step) -> Vec<String> {
        let changed = step.changes.iter().filter(|_| step.action == Action::Update);
        let fields: BTreeSet<&str> = changed.filter_map(|it| it.field.split('.').next()).collect();
        let told = |field: &str| Some(format!("{}: `{field}` {}", self.address, self.kind.interrupts(field)?));
        fields.into_iter().filter_map(told).collect()
    }

    /// Says that what an earlier run changed does harm.
    fn regression(&self) -> Option<String> {
        let Phase::Regressed(why) = &self.live?.phase else { return None };
        Some(format!(
            "{}: {why}; what was there before is put back first, and what this plan changes of it waits",
            self.address
        ))
    }

    /// Says that the file does not end a protection.
    fn protected_against_the_file(&self, definition: &Definition) -> Option<String> {
        let still = self.record.is_some_and(|it| it.protect) && !definition.protect;
        let help = self.protected("").help;
        still.then(|| format!("{} is protected, though the file does not say so; to end that: {help}", self.address))
    }

    /// Asks the kind whether it can do what the step says.
    fn object(&self, step: &mut Step, definition: &Definition, cx: &Cx) -> Result<(), resource::Error> {
        if step.refused.is_some() {
            return Ok(());
        }
        if step.action == Action::Create {
            let flaw = self.kind.check_name(&self.name.physical).into_iter().next();
            step.refused = flaw.map(|it| Refusal {
                field: None,
                reason: format!("its name would be {}: {}", self.name.physical, it.message),
                help: it.help.unwrap_or_else(|| "choose a shorter name for the stack or the resource".to_owned()),
            });
        } else if let (Some(live), false) = (self.live, step.changes.is_empty()) {
            let objection = self.kind.objections(&definition.spec, cx, live, &step.changes)?.into_iter().next();
            step.refused = objection.map(|it| Refusal { field: Some(it.field), reason: it.reason, help: it.help });
        }
        Ok(())
    }

    fn compare(&self, desired: &Desired) -> Step {
        let status = self.record.map(|it| it.status);
        let Some(live) = self.live.filter(|it| it.phase != Phase::Deleting) else {
            let mut step = self.step(Action::Create);
            step.resumes = matches!(status, Some(Status::Creating | Status::Replacing));
            step.found = false;
            step.id = None;
            return step;
        };
        if let Some(refused) = self.stranger(live) {
            return Step { refused: Some(refused), found: false, ..self.step(Action::Update) };
        }
        if let Phase::Failed(why) = &live.phase {
            let mut step = self.step(Action::Replace);
            if self.kind.data_bearing() || self.adopts {
                step.refused = Some(Refusal {
                    field: None,
                    reason: format!("the provider reports that it failed: {why}"),
                    help: "mend it at the provider; what bears data or is to be taken over is never replaced"
                        .to_owned(),
                });
            }
            return step;
        }
        let applied = self.record.map_or(&Value::Null, |it| &it.applied);
        let mut found = match live.phase {
            // Nothing is known to differ; what does will be seen once it can be read.
            Phase::Unreadable(_) => Difference::default(),
            _ => diff(self.kind.fields(), desired, applied, &live.observed),
        };
        let mut both = None;
        let mut drift = Vec::new();
        if self.keeps_drift {
            match kept::part(found.changes.clone()) {
                Ok((made, left)) => (found.changes, drift) = (made, left),
                Err(field) => both = Some(field),
            }
            both = both.or_else(|| kept::overwritten(&found.changes, applied));
            let left = |it: &String| drift.iter().any(|change| change.is(it));
            found.replaces = found.replaces.filter(|it| !left(it));
            found.shrinks = found.shrinks.filter(|it| !left(&it.0));
        }
        if !matches!(live.phase, Phase::Unreadable(_)) {
            found.changes.extend(own::mark(live, self.name, self.claim()));
        }
        let mut step = self.step(found.action());
        step.kept = drift;
        step.adopts = self.adopts && self.record.is_none() && own::stranger(live, self.name, unasked(self)).is_some();
        step.found &= !step.adopts;
        match &live.phase {
            Phase::Pending(on) | Phase::OnTrial { on, .. } => step.awaits = Some(on.clone()),
            Phase::Unreadable(why) => step.unreadable = Some(why.clone()),
            _ => (),
        }
        // What is not recorded as ready, or is not ready, is never taken for unchanged.
        if step.found || step.adopts || live.phase != Phase::Ready {
            step.action = step.action.max(Action::Settle);
        }
        if status.is_some_and(|it| it != Status::Ready) {
            // What an earlier run left half done is nobody else's doing.
            found.changes.iter_mut().for_each(|it| it.cause = resource::Cause::Edit);
            step.resumes = true;
            step.action = step.action.max(Action::Update);
        }
        // What bears data is never replaced, whatever a record says.
        if status == Some(Status::Replacing) && !self.kind.data_bearing() {
            step.action = Action::Replace;
        }
        if let Some((field, text)) = found.shrinks {
            step.refused = Some(Refusal { field: Some(field), reason: text, help: String::new() });
        } else if let (Some(field), true) = (&found.replaces, self.kind.data_bearing()) {
            step.refused = Some(Refusal {
                field: Some(field.clone()),
                reason: format!("`{field}` cannot be changed in place, and replacing it would lose its data"),
                help: format!("put the old value back, or define a second {} and move the data", self.address.kind),
            });
        } else if let (Action::Replace, true) = (step.action, step.adopts) {
            step.refused = Some(Refusal {
                field: found.replaces.clone(),
                reason: "it cannot be made as the file says without creating it anew".to_owned(),
                help: "let the file say what is there, then adopt it".to_owned(),
            });
        } else if let Some(field) = both {
            step.refused = Some(Refusal {
                reason: format!("`{field}` was changed outside ecomctl, and the file changes the same field"),
                help: "leave out --keep-drift, or put the file back".to_owned(),
                field: Some(field),
            });
        }
        step.changes = found.changes;
        step
    }

    /// Plans a resource that shall go; `None` where there is nothing of ours.
    fn unwanted(&self, definition: Option<&Definition>, name: &Name, notes: &mut Vec<String>) -> Option<Step> {
        let ours = self.live.filter(|it| self.stranger(it).is_none());
        if ours.is_none() && self.record.is_none() {
            return None;
        }
        if let (Some(_), None) = (self.live, ours) {
            notes.push(format!(
                "{} exists as {} but is not ours any more: it is forgotten, not deleted",
                self.address, name.physical
            ));
        }
        let mut step = self.step(Action::Delete);
        step.found = ours.is_some() && self.record.is_none();
        step.forgets = self.live.is_some() && ours.is_none();
        step.id = ours.and_then(|it| it.identity.id.clone());
        step.refs =
            self.record.map_or_else(|| definition.map(Definition::needed).unwrap_or_default(), |it| it.refs.clone());
        step.loses_data = ours.is_some() && self.kind.data_bearing();
        step.protect |= definition.is_some_and(|it| it.protect);
        step.resumes = self.record.is_some_and(|it| it.status == Status::Deleting);
        if ours.is_some() && step.protect {
            step.refused = Some(self.protected("deleted"));
        } else if let Some(left) = ours.and_then(|it| self.kind.leaves_behind(name, it)) {
            notes.push(format!("{} leaves behind {left}", self.address));
        }
        Some(step)
    }

    fn protected(&self, done: &str) -> Refusal {
        Refusal {
            field: None,
            reason: format!("it is protected, and would be {done}"),
            help: format!("ecomctl unprotect {} {}", self.name.owner.stack, self.address),
        }
    }

    fn stranger(&self, live: &Observation) -> Option<Refusal> {
        let why = own::stranger(live, self.name, self.claim())?;
        Some(Refusal {
            field: None,
            reason: format!("{} exists already and is not ours: {why}", self.name.physical),
            help: own::advice(live, self.name),
        })
    }

    /// Refuses a new address where that would mean another name at the provider: what exists keeps its name, and those
    /// that refer to it would look for the new one.
    fn moved_away(&self, step: &Step, stack: &Stack, computed: &str) -> Option<Refusal> {
        let former = self.former?;
        let users = stack.resources.iter().filter(|(_, it)| it.needs.iter().any(|need| need.to == *self.address));
        let users: Vec<String> = users.map(|it| it.0.to_string()).collect();
        let stays = step.action == Action::Create || self.kind.renames() || computed == self.name.physical;
        (!stays && !users.is_empty()).then(|| Refusal {
            field: None,
            reason: format!(
                "it was {former} and is {} at the provider, which cannot rename it; {} would look for {computed}",
                self.name.physical,
                users.join(", ")
            ),
            help: format!(
                "keep the address {former}; or define {} beside it without `renamed_from`, and move what uses it",
                self.address
            ),
        })
    }
}

/// Refuses a deletion that an older definition asks for.
fn unless_older(mut step: Step, aim: &Aim) -> Step {
    if let (Goal::Up, Some(older), None) = (aim.goal, &aim.older, &step.refused) {
        step.refused = Some(Refusal {
            field: None,
            reason: format!(
                "it would be deleted, as this definition does not name it; but this definition {}",
                older.why
            ),
            help: older.help.clone(),
        });
    }
    step
}

/// The claim that a run has to something when nobody asks for it to be taken over.
fn unasked<'a>(known: &Known<'a>) -> Claim<'a> {
    Claim { adopts: false, ..known.claim() }
}

/// What needs something that is replaced is looked at again once that is there.
fn follow(steps: &[Step], step: &mut Step) {
    let moved = |it: &Step| it.action == Action::Replace && step.after.contains(&it.address);
    if step.action <= Action::Settle && steps.iter().any(moved) {
        step.action = Action::Update;
    }
}

/// Puts deletions in the order in which nothing is deleted that another still refers to, after everything else; but
/// what refers to something that is replaced leaves before that is. What leaves `last` is in the way of nothing else.
fn order_deletions(leaving: &mut [Step], others: &mut [Step], last: &BTreeSet<Address>) {
    let busy: BTreeSet<Address> =
        others.iter().filter(|it| it.action != Action::Noop).map(|it| it.address.clone()).collect();
    let users = |of: &Address| {
        let users = leaving.iter().filter(|user| user.refs.contains(of) && user.address != *of);
        users.map(|it| it.address.clone()).collect::<BTreeSet<_>>()
    };
    let users_of: BTreeMap<Address, BTreeSet<Address>> =
        leaving.iter().map(|it| (it.address.clone(), users(&it.address))).collect();
    let before = |(of, users): (&Address, &BTreeSet<Address>)| {
        let others = leaving.iter().map(|it| &it.address).filter(|it| last.contains(of) && !last.contains(*it));
        let users = users.iter().filter(|it| last.contains(of) || !last.contains(*it));
        (of.clone(), users.chain(others).cloned().collect())
    };
    let graph: BTreeMap<Address, BTreeSet<Address>> = users_of.iter().map(before).collect();
    let mut first = BTreeSet::new();
    for step in others.iter_mut().filter(|it| it.action == Action::Replace) {
        let mut open: Vec<Address> = users(&step.address).into_iter().collect();
        step.after.extend(open.iter().cloned());
        while let Some(it) = open.pop() {
            open.extend(users_of[&it].iter().cloned());
            first.insert(it);
        }
    }
    for step in leaving.iter_mut() {
        if first.contains(&step.address) {
            step.after = users_of[&step.address].clone();
        } else {
            step.after = &graph[&step.address] | &busy;
        }
    }
    let order = super::order::by_needs(&graph);
    leaving.sort_by_key(|it| order.iter().position(|address| *address == it.address));
}
