//! What is held on to, for every kind: a new address keeps it, protection outlives its block, tags come back, and what is
//! another stack's is never taken over.

use ecomctl::{
    address::Address,
    engine::{Action, Aim, Goal},
    resource::Kind,
    stack::Stack,
};

use crate::{no_drift, place::Stage};

/// Says what was not held on to.
pub(crate) async fn holds_on(stage: &mut Stage, kind: &dyn Kind) -> Vec<String> {
    let mut offences = adopts_nothing_of_others(stage, kind).await;
    offences.extend(protection_outlives_its_block(stage, kind).await);
    offences.extend(keeps_what_is_renamed(stage, kind).await);
    offences
}

fn of_kind(stack: &Stack, kind: &dyn Kind) -> Vec<Address> {
    stack.resources.keys().filter(|it| it.kind == kind.name()).cloned().collect()
}

/// Looks at what is there with the eyes of another stack that would have it under the same name.
async fn adopts_nothing_of_others(stage: &Stage, kind: &dyn Kind) -> Vec<String> {
    let mut observed = stage.observe().await;
    observed.names.values_mut().for_each(|it| "somebody-else".clone_into(&mut it.owner.stack));
    let mut offences = Vec::new();
    for address in of_kind(&stage.stack, kind) {
        for aim in [Aim::adopt(address.clone()), Goal::Up.into()] {
            let plan = stage.plan_without_state(&observed, aim);
            let step = plan.steps.iter().find(|it| it.address == address).expect("planned");
            let said = step.refused.as_ref().map(|it| it.reason.clone()).unwrap_or_default();
            if !said.contains(&format!("belongs to the stack {}", stage.stack.name)) {
                offences.push(format!("{address} would be taken from its stack: {} {said:?}", step.action));
            }
        }
    }
    offences
}

async fn protection_outlives_its_block(stage: &mut Stage, kind: &dyn Kind) -> Vec<String> {
    let whole = stage.stack.clone();
    let own = of_kind(&whole, kind);
    let mut protected = whole.clone();
    own.iter().for_each(|it| protected.resources.get_mut(it).expect("defined").protect = true);
    let mut without = whole.clone();
    // What refers to it would be wrong without it.
    without.resources.clear();
    let mut offences = Vec::new();
    stage.switch(protected);
    offences.extend(stage.up().await.map_err(|err| format!("protecting: {err}")).err());
    stage.switch(without);
    let plan = stage.plan().await;
    for address in &own {
        let step = plan.steps.iter().find(|it| it.address == *address);
        if !step.is_some_and(|it| it.action == Action::Delete && it.refused.is_some()) {
            offences.push(format!("{address} loses its protection with its block: {step:?}"));
        }
    }
    stage.switch(whole);
    stage.unprotect().await;
    offences.extend(no_drift(stage, "after the protection ended").await);
    offences
}

/// Gives a new address to everything of the kind that nothing refers to, and back.
async fn keeps_what_is_renamed(stage: &mut Stage, kind: &dyn Kind) -> Vec<String> {
    let before = stage.stack.clone();
    let mut after = before.clone();
    let used = |it: &Address| before.resources.values().any(|other| other.needs.iter().any(|need| need.to == *it));
    let free: Vec<Address> = of_kind(&before, kind).into_iter().filter(|it| !used(it)).collect();
    for address in &free {
        let mut definition = after.resources.remove(address).expect("defined");
        definition.renamed_from = Some(address.clone());
        after.resources.insert(Address::new(&address.kind, format!("{}_new", address.name)), definition);
    }
    let mut back = before.clone();
    for address in &free {
        let former = Address::new(&address.kind, format!("{}_new", address.name));
        back.resources.get_mut(address).expect("defined").renamed_from = Some(former);
    }
    let mut offences = Vec::new();
    for (way, stack) in [("renamed", after), ("renamed back", back)] {
        stage.switch(stack);
        let plan = stage.plan().await;
        let anew = |it: &&ecomctl::engine::Step| it.action >= Action::Replace || it.refused.is_some();
        offences.extend(
            plan.steps.iter().filter(anew).map(|it| format!("{way}: {} {} {:?}", it.action, it.address, it.refused)),
        );
        if offences.is_empty() {
            offences.extend(stage.up().await.map_err(|err| format!("{way}: {err}")).err());
            offences.extend(no_drift(stage, way).await);
        }
    }
    stage.switch(before);
    offences
}
