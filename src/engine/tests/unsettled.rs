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
