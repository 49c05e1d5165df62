//! The planner: from what is wanted, what was applied and what is there to what will be done. Pure: no request, no
//! clock, no chance.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Engine,
    diff::{Difference, diff},
    observe::{Error, Observed},
    own,
    plan::{Action, Plan, Refusal, Step},
};
use crate::{
    address::{Address, Name},
    resource::{self, Cx, Desired, Kind, Observation, Phase},
    stack::Definition,
    state::{Document, Record, Status},
};

/// What the plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Everything is as the stack file says.
    Up,
    /// Nothing is left.
    Teardown,
}

impl Engine<'_> {
    /// Makes the plan that leads from what is there to the goal.
    ///
    /// # Errors
    /// [`Error::Unresolved`] when a template or an artifact is missing or wrong.
    pub fn plan(&self, document: &Document, observed: &Observed, goal: Goal) -> Result<Plan, Error> {
        let Self { cx, stack, .. } = *self;
        let mut plan = Plan {
            stack: cx.scope.stack.clone(),
            lineage: document.lineage,
            serial: document.serial,
            definition: stack.hash.clone(),
            steps: Vec::new(),
            notes: Vec::new(),
        };
        let mut kept = BTreeSet::new();
        if goal == Goal::Up {
            for address in super::order::sorted(&stack.resources) {
                let definition = &stack.resources[&address];
                let kind = self.kind(&address)?;
                let desired = kind
                    .desired(&definition.spec, cx)
                    .map_err(|cause| Error::Unresolved { address: address.clone(), cause })?;
                let known = Known::of(kind, &address, document, observed);
                let mut step = known.wanted(definition, desired);
                plan.notes.extend(known.protected_against_the_file(definition));
                known
                    .object(&mut step, definition, cx)
                    .map_err(|cause| Error::Unresolved { address: address.clone(), cause })?;
                follow(&plan.steps, &mut step);
                kept.insert(address);
                plan.steps.push(step);
            }
        }
        let mut leaving = Vec::new();
        for (address, name) in &observed.names {
            if kept.contains(address) {
                continue;
            }
            let kind = self.kind(address)?;
            let known = Known::of(kind, address, document, observed);
            leaving.extend(known.unwanted(stack.resources.get(address), name, &mut plan.notes));
        }
        order_deletions(&mut leaving, &mut plan.steps);
        plan.steps.append(&mut leaving);
        let stateless = document.definition.is_none() && document.resources.is_empty();
        if stateless && plan.steps.iter().any(|it| it.found) {
            let stack = &cx.scope.stack;
            plan.notes.push(format!(
                "there is no state: what the stack's file no longer names is not known, and is neither shown nor deleted; \
                 look for it at the provider by the tag `ecomctl:stack` with the value `{stack}`"
            ));
        }
        Ok(plan)
    }
}

/// What is known of one resource.
struct Known<'a> {
    kind: &'a dyn Kind,
    address: &'a Address,
    name: &'a Name,
    record: Option<&'a Record>,
    live: Option<&'a Observation>,
}

impl<'a> Known<'a> {
    fn of(kind: &'a dyn Kind, address: &'a Address, document: &'a Document, observed: &'a Observed) -> Self {
        Self {
            kind,
            address,
            name: &observed.names[address],
            record: document.resources.get(address),
            live: observed.found.get(address),
        }
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
        step.after = definition.needs.iter().filter(|it| !it.weak).map(|it| it.to.clone()).collect();
        if step.action == Action::Noop
            && self.record.is_some_and(|it| it.protect != step.protect || it.refs != step.refs)
        {
            // Nothing to send; the record alone is brought up to date.
            step.action = Action::Settle;
        }
        step
    }

    /// Says that the file does not end a protection.
    fn protected_against_the_file(&self, definition: &Definition) -> Option<String> {
        let still = self.record.is_some_and(|it| it.protect) && !definition.protect;
        let help = self.protected("").help;
        still.then(|| {
            format!("{} is still protected, though the file no longer says so; to end it: {help}", self.address)
        })
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
            if self.kind.data_bearing() {
                step.refused = Some(Refusal {
                    field: None,
                    reason: format!("the provider reports that it failed: {why}"),
                    help: "mend it at the provider; a resource that bears data is never replaced".to_owned(),
                });
            }
            return step;
        }
        let applied = self.record.map_or(&Value::Null, |it| &it.applied);
        let found = match live.phase {
            // Nothing is known to differ; what does will be seen once it can be read.
            Phase::Unreadable(_) => Difference::default(),
            _ => diff(self.kind.fields(), desired, applied, &live.observed),
        };
        let mut step = self.step(found.action());
        match &live.phase {
            Phase::Pending(on) => step.awaits = Some(on.clone()),
            Phase::Unreadable(why) => step.unreadable = Some(why.clone()),
            _ => (),
        }
        // What is not recorded as ready, or is not ready, is never taken for unchanged.
        if step.found || live.phase != Phase::Ready {
            step.action = step.action.max(Action::Settle);
        }
        if status.is_some_and(|it| it != Status::Ready) {
            step.resumes = true;
            step.action = step.action.max(Action::Update);
        }
        if status == Some(Status::Replacing) {
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
        } else if let (Action::Replace, true) = (step.action, step.protect) {
            step.refused = Some(self.protected("replaced"));
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
        step.id = ours.and_then(|it| it.identity.id.clone());
        step.refs =
            self.record.map_or_else(|| definition.map(Definition::needed).unwrap_or_default(), |it| it.refs.clone());
        step.loses_data = ours.is_some() && self.kind.data_bearing();
        step.protect |= definition.is_some_and(|it| it.protect);
        step.resumes = self.record.is_some_and(|it| it.status == Status::Deleting);
        if ours.is_some() && step.protect {
            step.refused = Some(self.protected("deleted"));
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
        let why = own::stranger(live, self.name, self.record)?;
        Some(Refusal {
            field: None,
            reason: format!("{} exists already and is not ours: {why}", self.name.physical),
            help: own::LEFT_ALONE.to_owned(),
        })
    }
}

/// What needs something that is replaced is looked at again once that is there.
fn follow(steps: &[Step], step: &mut Step) {
    let moved = |it: &Step| it.action == Action::Replace && step.after.contains(&it.address);
    if step.action <= Action::Settle && steps.iter().any(moved) {
        step.action = Action::Update;
    }
}

/// Puts deletions in the order in which nothing is deleted that another still refers to, after everything else; but
/// what refers to something that is replaced leaves before that is.
fn order_deletions(leaving: &mut [Step], others: &mut [Step]) {
    let busy: BTreeSet<Address> =
        others.iter().filter(|it| it.action != Action::Noop).map(|it| it.address.clone()).collect();
    let users = |of: &Address| {
        let users = leaving.iter().filter(|user| user.refs.contains(of) && user.address != *of);
        users.map(|it| it.address.clone()).collect::<BTreeSet<_>>()
    };
    let graph: BTreeMap<Address, BTreeSet<Address>> =
        leaving.iter().map(|it| (it.address.clone(), users(&it.address))).collect();
    let mut first = BTreeSet::new();
    for step in others.iter_mut().filter(|it| it.action == Action::Replace) {
        let mut open: Vec<Address> = users(&step.address).into_iter().collect();
        step.after.extend(open.iter().cloned());
        while let Some(it) = open.pop() {
            open.extend(graph[&it].iter().cloned());
            first.insert(it);
        }
    }
    for step in leaving.iter_mut() {
        step.after = graph[&step.address].clone();
        if !first.contains(&step.address) {
            step.after.extend(busy.iter().cloned());
        }
    }
    let order = super::order::by_needs(&graph);
    leaving.sort_by_key(|it| order.iter().position(|address| *address == it.address));
}
