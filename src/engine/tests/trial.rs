//! What is on trial after a change: it counts when the trial is over, and is taken back when it does harm, whichever run sees it.

use super::*;

fn one(size: u32) -> Stack {
    stack(&sketch(&[("topic", "a", size, 0, &[]), ("job", "next", 1, 0, &["topic.a"])]))
}

impl Rig {
    /// Makes a rig with what is of size 1, and everything that is changed from now on is on trial for so many looks.
    async fn trying(looks: u32, harms: u32) -> Self {
        let rig = Self::new();
        assert!(rig.run(&one(1), Goal::Up).await.expect("not killed").is_complete());
        rig.log();
        let mut world = rig.world.lock().expect("not poisoned");
        (world.trials, world.harms) = (looks, harms);
        drop(world);
        rig
    }

    fn dies_after_the_next_request(&self) {
        let mut world = self.world.lock().expect("not poisoned");
        let next = world.requests + 1;
        world.faults.insert(next, Fault::KilledAfter);
    }
}

fn told(summary: &Summary) -> Vec<String> {
    summary.failures.iter().map(|it| format!("{it}: {}", it.cause)).collect()
}

const HARM: &str = "cannot update topic.a: taken back, as it does harm";

#[test]
fn what_is_on_trial_counts_when_that_is_over() {
    runtime().block_on(async {
        let rig = Rig::trying(3, 0).await;
        assert!(rig.run(&one(2), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["update topic.a", "update topic.a"], "the change, and the end of its trial");
        assert!(rig.plan(&one(2)).await.is_empty());
    });
}

#[test]
fn what_does_harm_is_taken_back_and_the_run_says_so() {
    runtime().block_on(async {
        let rig = Rig::trying(3, 1).await;
        let summary = rig.run(&one(2), Goal::Up).await.expect("not killed");
        assert_eq!(
            (told(&summary), rig.log()),
            (vec![HARM.to_owned()], vec!["update topic.a".into(), "revert topic.a".into()])
        );
        let plan = rig.plan(&one(2)).await;
        assert_eq!(lines(&plan), ["update topic.a (resumes)"]);
        let changes = &plan.steps[0].changes;
        assert_eq!((changes.len(), &changes[0].from, &changes[0].to), (1, &json!(1), &json!(2)), "what it truly is");
        // The file may go back, too: then nothing is left to do but to say so.
        assert!(rig.run(&one(1), Goal::Up).await.expect("not killed").is_complete());
        assert!(rig.log().is_empty() && rig.plan(&one(1)).await.is_empty());
        assert!(rig.run(&one(2), Goal::Up).await.expect("not killed").is_complete(), "it does no harm any more");
    });
}

#[test]
fn whoever_comes_after_a_kill_goes_on_with_the_trial() {
    runtime().block_on(async {
        let rig = Rig::trying(3, 0).await;
        rig.dies_after_the_next_request();
        assert!(rig.run(&one(2), Goal::Up).await.is_none());
        assert_eq!(rig.plan(&one(2)).await.steps[0].awaits.as_deref(), Some("on trial"));
        assert!(rig.run(&one(2), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["update topic.a", "update topic.a"], "it was not changed again");
        assert!(rig.plan(&one(2)).await.is_empty());
    });
}

#[test]
fn harm_that_nobody_saw_is_taken_back_by_the_next_run_before_anything_else() {
    runtime().block_on(async {
        let rig = Rig::trying(3, 1).await;
        rig.dies_after_the_next_request();
        assert!(rig.run(&one(2), Goal::Up).await.is_none());
        let told_of =
            "topic.a: it does harm; what was there before is put back first, and what this plan changes of it waits";
        assert_eq!(rig.plan(&one(3)).await.notes, [told_of]);
        rig.log();
        let summary = rig.run(&one(3), Goal::Up).await.expect("not killed");
        assert_eq!((told(&summary), rig.log()), (vec![HARM.to_owned()], vec!["revert topic.a".to_owned()]));
        assert!(rig.run(&one(3), Goal::Up).await.expect("not killed").is_complete());
    });
}

#[test]
fn harm_of_what_is_not_ours_is_left_alone() {
    runtime().block_on(async {
        let rig = Rig::trying(3, 0).await;
        {
            let mut world = rig.world.lock().expect("not poisoned");
            let id = world.things.iter().find(|it| it.1.physical.starts_with("topic")).expect("there").0.clone();
            world.things.get_mut(&id).expect("there").owner.as_mut().expect("ours").stack = "other".into();
            world.on_trial.insert(id, (json!({ "size": 0 }), 9));
            world.harms = 1;
        }
        let summary = rig.run(&one(2), Goal::Up).await.expect("not killed");
        assert!(!summary.is_complete() && rig.log().is_empty(), "{summary:?}");
    });
}

#[test]
fn an_interrupted_trial_is_unfinished_and_no_failure() {
    runtime().block_on(async {
        let rig = Rig::trying(u32::MAX, 0).await;
        let waits = |it: &Event| matches!(it, Event::Waiting { .. });
        let summary = rig.run_until(&one(2), Goal::Up, waits).await.expect("not killed");
        assert!(summary.interrupted && summary.failures.is_empty() && summary.unfinished.len() == 1, "{summary:?}");
        rig.world.lock().expect("not poisoned").on_trial.values_mut().for_each(|it| it.1 = 1);
        assert!(rig.run(&one(2), Goal::Up).await.expect("not killed").is_complete());
    });
}
