//! The planner over made-up inputs: whatever is defined, recorded and there, what it plans keeps these promises.

use super::*;
use crate::{
    address::{Name, Owner},
    resource::{Identity, Observation, Ownership, Phase},
    state::{Record, Status},
};

const SECTIONS: [&str; 3] = ["cluster", "job", "topic"];

/// One address, as the file, the state and the provider have it, each or not.
#[derive(Clone, Debug)]
struct Case {
    /// Size, flavour, whether it is protected.
    defined: Option<(u32, u8, bool)>,
    /// The same as last applied, and how far that got.
    recorded: Option<(u32, u8, bool, Status)>,
    /// Size and flavour, whose it is, and how it does.
    live: Option<(u32, u8, Whose, Phase)>,
    /// The positions of what it needs, all before its own.
    needs: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    Nobodys,
    AnotherStacks,
    AnotherAddresss,
}

/// What a case is made of: the engine's three inputs.
struct Input {
    stack: Stack,
    document: Document,
    observed: Observed,
}

fn at_position(position: usize) -> Address {
    Address::new(SECTIONS[position / 3], format!("n{}", position % 3))
}

fn any_case(position: usize) -> impl Strategy<Value = Case> {
    let status = prop_oneof![
        4 => Just(Status::Ready), 1 => Just(Status::Creating), 1 => Just(Status::Updating),
        1 => Just(Status::Replacing), 1 => Just(Status::Deleting),
    ];
    let whose = prop_oneof![
        6 => Just(Whose::Ours), 1 => Just(Whose::Nobodys), 1 => Just(Whose::AnotherStacks),
        1 => Just(Whose::AnotherAddresss),
    ];
    let phase = prop_oneof![
        6 => Just(Phase::Ready), 1 => Just(Phase::Pending("busy".into())), 1 => Just(Phase::Deleting),
        1 => Just(Phase::Failed("broken".into())), 1 => Just(Phase::Unreadable("dark".into())),
    ];
    let defined = proptest::option::of((1u32..4, 0u8..2, any::<bool>()));
    let recorded = proptest::option::of((1u32..4, 0u8..2, any::<bool>(), status));
    let live = proptest::option::of((1u32..4, 0u8..2, whose, phase));
    let needs = proptest::collection::btree_set(0..position.max(1), 0..3);
    (defined, recorded, live, needs).prop_map(move |(defined, recorded, live, needs)| {
        let needs = needs.into_iter().filter(|it| *it < position).collect();
        Case { defined, recorded, live, needs }
    })
}

fn any_cases() -> impl Strategy<Value = Vec<Case>> {
    (0..9).map(any_case).collect::<Vec<_>>()
}

/// Makes the inputs of the addresses that are meant.
fn input(cases: &[Case], meant: impl Fn(usize) -> bool) -> Input {
    let sketch: Sketch = cases
        .iter()
        .enumerate()
        .filter(|it| meant(it.0))
        .filter_map(|(at, case)| {
            let (size, flavour, _) = case.defined?;
            let there = |it: &&usize| meant(**it) && cases[**it].defined.is_some();
            let needs = case.needs.iter().filter(there).map(|it| at_position(*it)).collect();
            Some((at_position(at), (size, flavour, needs)))
        })
        .collect();
    let mut stack = stack(&sketch);
    let mut input = Input { stack: stack.clone(), document: Document::new(), observed: Observed::default() };
    for (at, case) in cases.iter().enumerate().filter(|it| meant(it.0)) {
        let address = at_position(at);
        let physical = format!("{}/s-{}", address.kind, address.name);
        let spec = |size: u32, flavour: u8| {
            let there = case.needs.iter().filter(|it| cases[**it].defined.is_some() && meant(**it));
            let ids: Vec<String> = there.clone().map(|it| format!("id-{it}")).collect();
            let uses: Vec<String> = there.map(|it| at_position(*it).name).collect();
            json!({ "size": size, "flavour": flavour, "uses": uses, "ids": ids })
        };
        if let Some(it) = stack.resources.get_mut(&address) {
            it.protect = case.defined.is_some_and(|it| it.2);
        }
        let nonce = format!("nonce-{at}");
        let owner = Owner { stack: "s".into(), address: address.clone(), nonce: nonce.clone() };
        if let Some((size, flavour, protect, status)) = case.recorded {
            let record = Record {
                status,
                physical: physical.clone(),
                id: Some(format!("id-{at}")),
                nonce,
                applied: if status == Status::Creating { Value::Null } else { spec(size, flavour) },
                refs: case.needs.iter().filter(|it| meant(**it)).map(|it| at_position(*it)).collect(),
                protect,
            };
            input.document.resources.insert(address.clone(), record);
        }
        if case.defined.is_none() && case.recorded.is_none() {
            continue;
        }
        input.observed.names.insert(address.clone(), Name { physical, owner: owner.clone(), id: None });
        if let Some((size, flavour, whose, phase)) = &case.live {
            let ownership = match whose {
                Whose::Ours => Ownership::Tagged(owner),
                Whose::Nobodys => Ownership::Foreign,
                Whose::AnotherStacks => Ownership::Tagged(Owner { stack: "t".into(), ..owner }),
                Whose::AnotherAddresss => {
                    let (address, nonce) = (Address::new("topic", "other"), "another".to_owned());
                    Ownership::Tagged(Owner { address, nonce, ..owner })
                }
            };
            let observation = Observation {
                observed: if matches!(phase, Phase::Unreadable(_)) { json!({}) } else { spec(*size, *flavour) },
                identity: Identity { id: Some(format!("id-{at}")), ownership },
                phase: phase.clone(),
                outputs: [("id", format!("id-{at}"))].into(),
                live: Arc::new(()),
            };
            input.observed.found.insert(address, observation);
        }
    }
    input.stack = stack;
    input
}

fn planned(input: &Input, goal: Goal) -> Plan {
    let rig = Rig::new();
    let fakes = rig.kinds();
    let kinds: Vec<&dyn Kind> = fakes.iter().map(|it| it as &dyn Kind).collect();
    let cx = cx();
    for (address, it) in input.observed.found.iter().filter(|it| it.1.phase == Phase::Ready) {
        cx.lives.set(address, Some(it.clone()));
    }
    Engine { kinds: &kinds, cx: &cx, stack: &input.stack }
        .plan(&input.document, &input.observed, goal)
        .expect("resolvable")
}

fn text(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|it| serde_json::to_string(it).expect("JSON")).collect()
}

/// Whether a step sends anything that changes its resource.
fn acts(step: &Step) -> bool {
    step.refused.is_none() && step.action > Action::Settle
}

fn is_ours(input: &Input, step: &Step) -> bool {
    let live = input.observed.found.get(&step.address);
    let recorded = input.document.resources.contains_key(&step.address);
    live.is_none_or(|it| match &it.identity.ownership {
        Ownership::Tagged(owner) => owner.stack == "s" && owner.address == step.address,
        _ => recorded,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn plans_keep_their_promises(cases in any_cases()) {
        let input = input(&cases, |_| true);
        for goal in [Goal::Up, Goal::Teardown] {
            let plan = planned(&input, goal);
            prop_assert_eq!(text(&plan), text(&planned(&input, goal)), "the same inputs, another plan");
            let place: BTreeMap<&Address, usize> = plan.steps.iter().enumerate().map(|(at, it)| (&it.address, at)).collect();
            prop_assert_eq!(place.len(), plan.steps.len(), "an address twice");
            for step in &plan.steps {
                let record = input.document.resources.get(&step.address);
                let defined = input.stack.resources.get(&step.address);
                let live = input.observed.found.get(&step.address);
                if step.action == Action::Create {
                    // What another has under that name is on its way out, or the provider says that it exists.
                    prop_assert!(live.is_none_or(|it| it.phase == Phase::Deleting), "{} exists", step.address);
                } else if acts(step) {
                    prop_assert!(is_ours(&input, step) || step.forgets,
                        "{} {} though it is another's", step.action, step.address);
                }
                if step.action == Action::Delete {
                    prop_assert!(record.is_some() || live.is_some(), "{} was never there", step.address);
                    prop_assert!(goal == Goal::Teardown || defined.is_none(), "{} is wanted", step.address);
                    prop_assert!(!step.loses_data || step.address.kind == "topic");
                }
                let protected = record.is_some_and(|it| it.protect) || defined.is_some_and(|it| it.protect);
                if protected && acts(step) && live.is_some() && is_ours(&input, step) && step.action != Action::Create {
                    prop_assert!(step.action == Action::Update, "{} {} though protected", step.action, step.address);
                }
                if step.address.kind == "topic" {
                    prop_assert!(step.action != Action::Replace || step.refused.is_some(), "data would be lost");
                }
                // Minimal: what is as it was applied and as it is wanted is left alone, unless it follows a replacement.
                let same = cases.iter().enumerate().find(|it| at_position(it.0) == step.address).is_some_and(|(_, it)| {
                    match (it.defined, it.recorded, &it.live) {
                        (Some(want), Some(had), Some(has)) => {
                            (want.0, want.1) == (had.0, had.1) && (had.0, had.1) == (has.0, has.1)
                                && had.3 == Status::Ready && has.2 == Whose::Ours && has.3 == Phase::Ready
                        }
                        _ => false,
                    }
                });
                if goal == Goal::Up && same && step.unknown.is_empty() {
                    let follows = step.after.iter().any(|it| {
                        plan.steps.iter().any(|other| other.address == *it && other.action == Action::Replace)
                    });
                    prop_assert!(step.action <= Action::Settle || follows, "{step:?}");
                }
                for need in &step.after {
                    let replaces = step.action == Action::Replace;
                    prop_assert!(replaces || place.get(need).is_none_or(|it| *it < place[&step.address]),
                        "{} comes before {need}", step.address);
                }
            }
            // Nothing waits for itself, however far around.
            let waits: BTreeMap<&Address, &BTreeSet<Address>> = plan.steps.iter().map(|it| (&it.address, &it.after)).collect();
            let mut left: BTreeSet<&Address> = waits.keys().copied().collect();
            while let Some(next) = left.iter().copied().find(|it| waits[*it].iter().all(|need| !left.contains(need))) {
                left.remove(next);
            }
            prop_assert!(left.is_empty(), "wait for each other: {left:?}");
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// What has nothing to do with each other is planned alike whether it is planned together or apart.
    #[test]
    fn steps_depend_on_what_they_need_alone(mut cases in any_cases(), apart in proptest::collection::vec(any::<bool>(), 9)) {
        for (at, case) in cases.iter_mut().enumerate() {
            case.needs.retain(|need| apart[*need] == apart[at]);
        }
        let whole = planned(&input(&cases, |_| true), Goal::Up);
        for side in [false, true] {
            let part = planned(&input(&cases, |at| apart[at] == side), Goal::Up);
            for step in &part.steps {
                let same = whole.steps.iter().find(|it| it.address == step.address);
                // Deletions wait for everything else.
                let bare = |it: &Step| text(&Plan { steps: vec![Step { after: [].into(), ..it.clone() }], ..whole.clone() });
                prop_assert_eq!(same.map(bare), Some(bare(step)));
            }
        }
    }
}
