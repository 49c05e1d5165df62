//! What is not ready, cannot be read, or has no record: it is never taken for unchanged, and nothing unseen is sent.

use super::*;

fn one(size: u32) -> Stack {
    stack(&sketch(&[("topic", "a", size, 0, &[])]))
}

fn topic() -> Address {
    Address::new("topic", "a")
}

impl Rig {
    async fn up(&self, stack: &Stack) {
        assert!(self.run(stack, Goal::Up).await.expect("not killed").is_complete());
        self.log();
    }

    /// Makes a resource unreadable for so many looks.
    fn darken(&self, looks: u32) {
        self.world.lock().expect("not poisoned").unreadable.insert(topic(), looks);
    }

    /// Makes everything busy for so many looks.
    fn busy(&self, looks: u32) {
        self.world.lock().expect("not poisoned").things.values_mut().for_each(|it| it.pending = looks);
    }

    fn forget(&self) {
        *self.state.0.lock().expect("not poisoned") = None;
    }
}

fn causes(summary: &Summary) -> Vec<String> {
    summary.failures.iter().map(|it| format!("{it}: {}", it.cause)).collect()
}

#[test]
fn what_cannot_be_read_is_not_called_unchanged() {
    let rig = Rig::new();
    runtime().block_on(async {
        rig.up(&one(1)).await;
        rig.darken(u32::MAX);
        let plan = rig.plan(&one(1)).await;
        assert_eq!(lines(&plan), ["settle topic.a"]);
        assert_eq!(plan.steps[0].unreadable.as_deref(), Some("nobody answers"));
        let summary = rig.run(&one(1), Goal::Up).await.expect("not killed");
        assert_eq!(causes(&summary), ["cannot settle topic.a: cannot tell what it is like: nobody answers"]);
        rig.darken(1);
        assert!(rig.run(&one(1), Goal::Up).await.expect("not killed").is_complete(), "it answered the second time");
        assert!(rig.log().is_empty(), "nothing was sent all the while");
        assert!(rig.plan(&one(1)).await.is_empty());
    });
}

#[test]
fn what_nobody_saw_in_a_plan_is_not_sent() {
    let rig = Rig::new();
    runtime().block_on(async {
        rig.up(&one(1)).await;
        rig.darken(1);
        let summary = rig.run(&one(2), Goal::Up).await.expect("not killed");
        assert!(matches!(&summary.failures[0].cause, Cause::Unplanned(field) if field == "size"), "{summary:?}");
        assert!(rig.log().is_empty());
        assert_eq!(lines(&rig.plan(&one(2)).await), ["update topic.a"]);
        assert!(rig.run(&one(2), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["update topic.a"]);
    });
}

#[test]
fn what_is_busy_is_awaited_and_nothing_is_sent() {
    let rig = Rig::new();
    runtime().block_on(async {
        rig.up(&one(1)).await;
        rig.busy(3);
        let plan = rig.plan(&one(1)).await;
        assert_eq!(
            (lines(&plan), plan.steps[0].awaits.as_deref()),
            (vec!["settle topic.a".to_owned()], Some("CREATING"))
        );
        assert!(rig.run(&one(1), Goal::Up).await.expect("not killed").is_complete());
        assert!(rig.log().is_empty());
        assert!(rig.plan(&one(1)).await.is_empty());
    });
}

#[test]
fn what_is_found_without_a_record_resumes_nothing_and_is_told() {
    let rig = Rig::new();
    runtime().block_on(async {
        rig.up(&one(1)).await;
        rig.forget();
        let plan = rig.plan(&one(1)).await;
        assert_eq!(lines(&plan), ["settle topic.a"], "nothing was begun that could be resumed");
        assert!(plan.steps[0].found);
        assert!(plan.notes[0].contains("there is no state") && plan.notes[0].contains("`ecomctl:stack`"), "{plan:?}");
        rig.up(&one(1)).await;
        let plan = rig.plan(&one(1)).await;
        assert!(plan.is_empty() && plan.notes.is_empty(), "{plan:?}");
        assert!(rig.plan(&stack(&sketch(&[]))).await.notes.is_empty());
    });
}

#[test]
fn a_file_that_no_longer_protects_is_told_that_it_still_does() {
    let rig = Rig::new();
    let mut protected = one(1);
    protected.resources.get_mut(&topic()).expect("defined").protect = true;
    runtime().block_on(async {
        rig.up(&one(1)).await;
        let plan = rig.plan(&protected).await;
        assert_eq!((lines(&plan), plan.steps[0].protects), (vec!["settle topic.a".to_owned()], true));
        rig.up(&protected).await;
        assert!(rig.plan(&protected).await.notes.is_empty());
        let notes = rig.plan(&one(1)).await.notes;
        assert_eq!(
            notes,
            ["topic.a is protected, though the file does not say so; to end that: ecomctl unprotect s topic.a"]
        );
    });
}

/// A look that does not see what is there, and a deletion that is planned from it.
#[test]
fn what_was_not_seen_in_a_plan_is_not_deleted_without_a_question() {
    for protect in [true, false] {
        let rig = Rig::new();
        let mut defined = one(1);
        defined.resources.get_mut(&topic()).expect("defined").protect = protect;
        let unseen = || rig.world.lock().expect("not poisoned").unseen.insert(topic(), 1);
        runtime().block_on(async {
            rig.up(&defined).await;
            for (stack, goal) in [(stack(&sketch(&[])), Goal::Up), (defined.clone(), Goal::Teardown)] {
                unseen();
                let summary = rig.run(&stack, goal).await.expect("not killed");
                let why = if protect { "it is protected" } else { "its data would be lost" };
                let told =
                    format!("cannot delete topic.a: {why}; it was not there when this was planned, and is there now");
                assert_eq!(causes(&summary), [told]);
                assert_eq!((rig.log(), rig.owned()), (Vec::new(), vec![topic()]), "it is there, and nothing was sent");
            }
            if !protect {
                assert!(rig.run(&defined, Goal::Teardown).await.expect("not killed").is_complete());
                assert_eq!(rig.log(), ["delete topic.a"], "once it was seen, and somebody was asked");
            }
        });
    }
}

/// A run is killed while it deletes, and the next one wants the thing to stay.
#[test]
fn what_a_run_that_died_was_deleting_is_awaited_before_it_stays() {
    for (stack, waits) in [(one(1), true), (stack(&sketch(&[])), false)] {
        let rig = Rig::new();
        runtime().block_on(async {
            rig.up(&one(1)).await;
            let next = rig.world.lock().expect("not poisoned").requests + 1;
            rig.world.lock().expect("not poisoned").faults.insert(next, Fault::KilledBefore);
            assert!(rig.run(&one(1), Goal::Teardown).await.is_none(), "killed");
            let told = Mutex::new(Vec::new());
            crate::state::LINGERS.set(std::time::Duration::from_secs(1));
            let summary = rig.run_until(&stack, Goal::Up, |it| {
                if let Event::Waiting { on, .. } = it {
                    told.lock().expect("not poisoned").push(on.clone());
                }
                false
            });
            assert!(summary.await.expect("not killed").is_complete());
            let told = told.into_inner().expect("not poisoned");
            assert_eq!(told.iter().any(|it| it.contains("a run that died was deleting it")), waits, "{told:?}");
            assert_eq!(rig.owned().is_empty(), !waits);
        });
    }
}

/// Somebody makes a thing of the same name between the plan and the step, also where the provider would let it be written over.
#[test]
fn what_came_since_the_plan_is_not_taken_over() {
    for section in ["topic", "right"] {
        let rig = Rig::new();
        let defined = stack(&sketch(&[(section, "a", 1, 0, &[])]));
        let foreign =
            || Thing { physical: format!("{section}/s-a"), owner: None, spec: json!({ "size": 7 }), pending: 0 };
        let begins = |it: &Event| {
            if matches!(it, Event::Started { .. }) {
                rig.world.lock().expect("not poisoned").things.insert("theirs".to_owned(), foreign());
            }
            false
        };
        runtime().block_on(async {
            let summary = rig.run_until(&defined, Goal::Up, begins).await.expect("not killed");
            assert!(matches!(summary.failures[0].cause, Cause::NotOurs { .. }), "{summary:?}");
            let theirs = rig.world.lock().expect("not poisoned").things.get("theirs").cloned();
            assert_eq!(theirs, Some(foreign()), "it is as it was");
            let again = rig.plan(&defined).await;
            let refused = again.steps[0].refused.as_ref().expect("refused");
            assert!(refused.reason.contains("exists already and is not ours"), "nothing says that it is: {refused:?}");
            assert!(rig.run(&defined, Goal::Teardown).await.expect("not killed").is_complete());
            assert_eq!(rig.world.lock().expect("not poisoned").things.len(), 1, "and it outlives the stack");
        });
    }
}

/// A slow thing, one that needs it, and one that nothing needs.
fn three() -> Stack {
    stack(&sketch(&[("cluster", "slow", 1, 0, &[]), ("job", "next", 1, 0, &["cluster.slow"])]))
}

#[test]
fn an_interrupt_begins_nothing_more_and_lets_what_is_nearly_done_finish() {
    let rig = Rig::new();
    let waits = |it: &Event| matches!(it, Event::Waiting { .. });
    runtime().block_on(async {
        let summary = rig.run_until(&three(), Goal::Up, waits).await.expect("not killed");
        assert!(summary.interrupted && summary.failures.is_empty() && summary.unfinished.is_empty(), "{summary:?}");
        assert_eq!((summary.done.len(), summary.skipped.len()), (1, 1));
        assert!(rig.run(&three(), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["create cluster.slow", "create job.next"]);
    });
}

#[test]
fn what_an_interrupt_leaves_unfinished_has_not_failed() {
    let rig = Rig::new();
    let waits = |it: &Event| matches!(it, Event::Waiting { .. });
    runtime().block_on(async {
        rig.run_until(&three(), Goal::Up, |it| {
            // It never becomes ready while this run looks.
            rig.busy(u32::MAX);
            waits(it)
        })
        .await
        .map(|summary| {
            assert!(summary.interrupted && summary.failures.is_empty() && !summary.is_complete(), "{summary:?}");
            let left: Vec<_> = summary.unfinished.iter().map(|it| format!("{} {}: {}", it.1, it.0, it.2)).collect();
            assert_eq!(left, ["create cluster.slow: CREATING"]);
            assert_eq!(summary.skipped.len(), 1);
        })
        .expect("not killed");
        rig.busy(0);
        assert!(rig.run(&three(), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["create cluster.slow", "create job.next"]);
    });
}
