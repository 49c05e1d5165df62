//! What a run may be asked for beside "all of it": a part, a saved plan, to take something over, to let drift be.

use super::*;
use crate::{address::Owner, state};

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn one(size: u32) -> Stack {
    stack(&sketch(&[("topic", "a", size, 0, &[])]))
}

fn renamed(parts: &Sketch, to: &str, from: &str) -> Stack {
    let mut stack = stack(parts);
    stack.resources.get_mut(&address(to)).expect("defined").renamed_from = Some(address(from));
    stack
}

impl Rig {
    async fn done(&self, stack: &Stack, aim: impl Into<Aim>) {
        let summary = self.run(stack, aim).await.expect("not killed");
        assert!(summary.is_complete(), "{summary:?}");
    }

    /// Changes the one thing there is behind the engine's back.
    fn meddle(&self, change: impl Fn(&mut Thing)) {
        self.world.lock().expect("not poisoned").things.values_mut().for_each(change);
    }

    fn put(&self, thing: Thing) {
        self.world.lock().expect("not poisoned").things.insert("x".into(), thing);
    }

    fn records(&self) -> BTreeMap<Address, state::Record> {
        self.state.0.lock().expect("not poisoned").as_ref().map(|it| it.resources.clone()).unwrap_or_default()
    }
}

fn nobodys(size: u32) -> Thing {
    Thing { physical: "topic/s-a".into(), owner: None, spec: json!({ "size": size, "flavour": 0 }), pending: 0 }
}

#[test]
fn what_is_nobodys_is_taken_over_when_asked_and_made_as_the_file_says() {
    let rig = Rig::new();
    rig.put(nobodys(3));
    runtime().block_on(async {
        let (plan, _) = rig.aimed(&one(4), Goal::Up).await;
        let help = &plan.steps[0].refused.as_ref().expect("refused").help;
        assert!(help.contains("ecomctl adopt s topic.a"), "{help}");
        let (plan, _) = rig.aimed(&one(4), Aim::adopt(address("topic.a"))).await;
        assert!(plan.steps[0].adopts && plan.steps[0].action == Action::Update, "{plan:?}");
        let fields: Vec<_> = plan.steps[0].changes.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["size", "tags.ecomctl:stack"]);
        rig.done(&one(4), Aim::adopt(address("topic.a"))).await;
        assert_eq!(rig.log(), ["update topic.a"]);
        assert_eq!(rig.owned(), [address("topic.a")]);
        assert!(rig.plan(&one(4)).await.is_empty());
    });
}

#[test]
fn what_another_stack_has_or_what_would_be_made_anew_is_not_taken_over() {
    let rig = Rig::new();
    let theirs = Owner { stack: "t".into(), address: address("topic.a"), nonce: "n".into() };
    rig.put(Thing { owner: Some(theirs), ..nobodys(3) });
    let adopt = || Aim::adopt(address("topic.a"));
    runtime().block_on(async {
        let refused = lines(&rig.aimed(&one(4), adopt()).await.0);
        assert!(refused[0].contains("it belongs to the stack t"), "{refused:?}");
        assert!(!rig.run(&one(4), adopt()).await.expect("not killed").is_complete());
        rig.meddle(|it| it.owner = None);
        let refused = lines(&rig.aimed(&one(2), adopt()).await.0);
        assert_eq!(refused, ["update topic.a refused: Keep 3."]);
        let other = stack(&sketch(&[("topic", "a", 3, 1, &[])]));
        let refused = lines(&rig.aimed(&other, adopt()).await.0);
        assert!(refused[0].contains("refused: `flavour` cannot be changed in place"), "{refused:?}");
        assert!(rig.log().is_empty(), "nothing was sent all the while");
    });
}

#[test]
fn a_take_over_that_is_killed_is_finished_by_the_next_run() {
    for fault in [Fault::KilledBefore, Fault::KilledAfter] {
        let rig = Rig::new();
        rig.put(nobodys(3));
        rig.world.lock().expect("not poisoned").faults.insert(1, fault);
        runtime().block_on(async {
            assert!(rig.run(&one(4), Aim::adopt(address("topic.a"))).await.is_none());
            rig.done(&one(4), Goal::Up).await;
            assert!(rig.plan(&one(4)).await.is_empty());
        });
        assert_eq!(rig.owned(), [address("topic.a")]);
    }
}

#[test]
fn tags_that_somebody_removed_are_set_again() {
    let rig = Rig::new();
    runtime().block_on(async {
        rig.done(&one(1), Goal::Up).await;
        rig.meddle(|it| it.owner = None);
        let plan = rig.plan(&one(1)).await;
        let changes: Vec<_> = plan.steps[0].changes.iter().map(|it| (it.field.as_str(), it.cause)).collect();
        assert_eq!(changes, [("tags.ecomctl:stack", resource::Cause::Drift)]);
        rig.done(&one(1), Goal::Up).await;
        assert_eq!(rig.owned(), [address("topic.a")]);
        assert!(rig.plan(&one(1)).await.is_empty());
    });
}

#[test]
fn a_new_address_is_a_new_record_and_new_tags_and_nothing_is_made_anew() {
    let rig = Rig::new();
    let before = sketch(&[("topic", "a", 1, 0, &[])]);
    let after = renamed(&sketch(&[("topic", "b", 2, 0, &[])]), "topic.b", "topic.a");
    runtime().block_on(async {
        rig.done(&stack(&before), Goal::Up).await;
        rig.log();
        let plan = rig.plan(&after).await;
        assert_eq!(lines(&plan), ["update topic.b"]);
        assert_eq!(plan.steps[0].moved_from, Some(address("topic.a")));
        rig.done(&after, Goal::Up).await;
        assert_eq!(rig.log(), ["update topic.b"]);
        assert_eq!(rig.owned(), [address("topic.b")]);
        let records = rig.records();
        assert_eq!(records.keys().map(ToString::to_string).collect::<Vec<_>>(), ["topic.b"]);
        assert_eq!(records[&address("topic.b")].physical, "topic/s-a", "the name at the provider stays");
        assert!(rig.plan(&after).await.is_empty());
        rig.done(&after, Goal::Teardown).await;
        assert!(rig.owned().is_empty() && rig.records().is_empty());
    });
}

#[test]
fn a_new_address_that_others_would_look_for_in_vain_is_refused() {
    let rig = Rig::new();
    let before = sketch(&[("cluster", "a", 1, 0, &[]), ("topic", "t", 1, 0, &["cluster.a"])]);
    let after = renamed(
        &sketch(&[("cluster", "b", 1, 0, &[]), ("topic", "t", 1, 0, &["cluster.b"])]),
        "cluster.b",
        "cluster.a",
    );
    runtime().block_on(async {
        rig.done(&stack(&before), Goal::Up).await;
        rig.log();
        let refused = lines(&rig.plan(&after).await);
        assert!(refused[0].contains("topic.t would look for cluster/s-b"), "{refused:?}");
        rig.run(&after, Goal::Up).await;
        assert!(rig.log().iter().all(|it| !it.contains("cluster")), "it is left alone");
    });
}

#[test]
fn a_teardown_knows_what_has_a_new_address() {
    let rig = Rig::new();
    let after = renamed(&sketch(&[("topic", "b", 1, 0, &[])]), "topic.b", "topic.a");
    runtime().block_on(async {
        rig.done(&one(1), Goal::Up).await;
        rig.done(&after, Goal::Teardown).await;
        assert!(rig.owned().is_empty() && rig.records().is_empty());
    });
}

#[test]
fn a_part_is_done_with_what_it_needs_and_the_rest_is_left() {
    let rig = Rig::new();
    let parts = stack(&sketch(&[
        ("cluster", "c", 1, 0, &[]),
        ("topic", "t", 1, 0, &["cluster.c"]),
        ("job", "j", 1, 0, &["topic.t"]),
        ("job", "k", 1, 0, &[]),
    ]));
    let only = |it: &str| Aim { only: [address(it)].into(), ..Goal::Up.into() };
    runtime().block_on(async {
        let (plan, _) = rig.aimed(&parts, only("topic.t")).await;
        assert_eq!(lines(&plan), ["create cluster.c", "create topic.t"]);
        assert!(plan.notes[0].starts_with("2 more"), "{:?}", plan.notes);
        rig.done(&parts, only("topic.t")).await;
        assert_eq!(rig.log(), ["create cluster.c", "create topic.t"]);
        rig.done(&parts, Goal::Up).await;
        // What has left the file is deleted only when it is named, or when all is meant.
        let fewer = stack(&sketch(&[("cluster", "c", 1, 0, &[]), ("topic", "t", 1, 0, &["cluster.c"])]));
        assert!(rig.aimed(&fewer, only("topic.t")).await.0.is_empty());
        assert_eq!(lines(&rig.aimed(&fewer, only("job.k")).await.0), ["delete job.k"]);
        assert_eq!(lines(&rig.plan(&fewer).await).len(), 2);
    });
}

#[test]
fn drift_that_is_kept_stays_and_is_shown_again() {
    let rig = Rig::new();
    let keep = || Aim { keep_drift: [address("topic.a")].into(), ..Goal::Up.into() };
    runtime().block_on(async {
        rig.done(&one(1), Goal::Up).await;
        rig.log();
        rig.meddle(|it| it.spec["size"] = json!(7));
        let (plan, _) = rig.aimed(&one(1), keep()).await;
        assert!(plan.is_empty(), "{plan:?}");
        assert_eq!(plan.steps[0].kept.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["size"]);
        rig.done(&one(1), keep()).await;
        assert!(rig.log().is_empty());
        let drifted = rig.plan(&one(1)).await.steps[0].changes.clone();
        assert_eq!(drifted[0].cause, resource::Cause::Drift, "accepted for that run alone");
        // Nor is it set back by the way, when something else of the resource is changed.
        let mut other = one(1);
        other.resources.get_mut(&address("topic.a")).expect("defined").spec["label"] = json!("x");
        rig.done(&other, keep()).await;
        assert_eq!(rig.log(), ["update topic.a"]);
        rig.meddle(|it| assert_eq!((&it.spec["size"], &it.spec["label"]), (&json!(7), &json!("x"))));
        let left = rig.plan(&other).await.steps[0].changes.clone();
        assert_eq!(
            left.iter().map(|it| (it.field.as_str(), it.cause)).collect::<Vec<_>>(),
            [("size", resource::Cause::Drift)]
        );
        // What both changed is for the user to decide.
        let refused = lines(&rig.aimed(&one(9), keep()).await.0);
        assert!(refused.is_empty() || refused[0].starts_with("update topic.a"), "{refused:?}");
    });
}

#[test]
fn what_left_the_file_while_the_state_was_lost_is_told_and_left_alone() {
    let rig = Rig::new();
    let both = stack(&sketch(&[("topic", "a", 1, 0, &[]), ("topic", "b", 1, 0, &[])]));
    runtime().block_on(async {
        rig.done(&both, Goal::Up).await;
        *rig.state.0.lock().expect("not poisoned") = None;
        rig.put(Thing { physical: "topic/s-x".into(), ..nobodys(1) });
        rig.log();
        let notes = rig.plan(&one(1)).await.notes;
        assert!(notes[0].starts_with("topic/s-b carries this stack's tags as topic.b"), "{notes:?}");
        assert!(notes.iter().all(|it| !it.contains("s-x")), "nobody's are nobody's: {notes:?}");
        rig.done(&one(1), Goal::Up).await;
        assert!(rig.log().is_empty());
        assert_eq!(rig.owned(), [address("topic.a"), address("topic.b")]);
        // The recipe works.
        rig.done(&both, Goal::Up).await;
        rig.done(&one(1), Goal::Up).await;
        assert_eq!(rig.owned(), [address("topic.a")]);
    });
}

#[test]
fn what_another_stack_took_over_is_forgotten_and_left_alone() {
    let rig = Rig::new();
    runtime().block_on(async {
        rig.done(&one(1), Goal::Up).await;
        rig.log();
        rig.meddle(|it| it.owner.as_mut().expect("owned").stack = "t".into());
        let nothing = stack(&sketch(&[]));
        let plan = rig.plan(&nothing).await;
        assert_eq!((lines(&plan), plan.steps[0].forgets), (vec!["delete topic.a".to_owned()], true));
        rig.done(&nothing, Goal::Up).await;
        assert!(rig.log().is_empty() && rig.records().is_empty());
        rig.meddle(|it| assert_eq!(it.owner.as_ref().map(|it| it.stack.as_str()), Some("t")));
    });
}

#[test]
fn an_older_definition_may_change_but_not_delete() {
    let rig = Rig::new();
    let both = stack(&sketch(&[("topic", "a", 1, 0, &[]), ("job", "j", 1, 0, &[])]));
    let older = || {
        let older = Older { why: "is old".into(), help: "use the new one".into() };
        Aim { older: Some(older), ..Goal::Up.into() }
    };
    runtime().block_on(async {
        rig.done(&both, Goal::Up).await;
        let (plan, _) = rig.aimed(&one(2), older()).await;
        let told = lines(&plan);
        assert_eq!(told[0], "update topic.a");
        assert!(
            told[1].starts_with("delete job.j refused") && told[1].ends_with("but this definition is old"),
            "{told:?}"
        );
        let teardown = Aim { goal: Goal::Teardown, ..older() };
        assert!(rig.aimed(&one(2), teardown).await.0.refused().next().is_none(), "whoever tears down means it");
    });
}

#[test]
fn a_saved_plan_is_the_same_until_something_moves() {
    let rig = Rig::new();
    runtime().block_on(async {
        let (_, first) = rig.aimed(&one(1), Goal::Up).await;
        let read = Saved::read(&first.text().expect("JSON")).expect("a plan");
        assert_eq!(read, first);
        let (_, again) = rig.aimed(&one(1), Goal::Up).await;
        assert_eq!(first.moved(&again), [""; 0], "though each attempt has a nonce of its own");
        let (_, edited) = rig.aimed(&Stack { hash: "i".into(), ..one(2) }, Goal::Up).await;
        assert!(
            first.moved(&edited)[0].starts_with("the definition in the stack's files"),
            "{:?}",
            first.moved(&edited)
        );

        rig.done(&one(1), Goal::Up).await;
        let (_, done) = rig.aimed(&one(1), Goal::Up).await;
        let moved = first.moved(&done);
        assert!(moved.iter().any(|it| it.starts_with("what the state records")), "{moved:?}");
        assert!(moved.contains(&"topic.a exists now".to_owned()), "{moved:?}");

        // A run that looks and changes nothing moves the state's number alone.
        rig.done(&one(1), Goal::Up).await;
        let (_, looked) = rig.aimed(&one(1), Goal::Up).await;
        assert!(looked.serial > done.serial);
        assert_eq!(done.moved(&looked), [""; 0]);

        rig.meddle(|it| it.spec["size"] = json!(7));
        let (_, drifted) = rig.aimed(&one(1), Goal::Up).await;
        assert_eq!(done.moved(&drifted), ["topic.a was changed at the provider: size"]);
        let mut forged = done.clone();
        forged.steps[0]["action"] = json!("delete");
        assert_eq!(forged.moved(&done), ["what is to be done to topic.a: delete then, noop now"]);
    });
}
