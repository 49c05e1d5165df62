//! One thing at the provider has one address; and what is used does not leave before its users, whatever is asked for.

use super::*;

fn topic(name: &str) -> Address {
    Address::new("topic", name)
}

fn defined(names: &[&str]) -> Stack {
    stack(&names.iter().map(|it| (topic(it), (1, 0, Vec::new()))).collect())
}

impl Rig {
    async fn reach(&self, stack: &Stack, goal: Goal) {
        let summary = self.run(stack, goal).await.expect("not killed");
        assert!(summary.is_complete(), "{summary:?}");
    }

    fn things(&self) -> usize {
        self.world.lock().expect("not poisoned").things.len()
    }
}

/// What cannot carry tags keeps its name when its address changes; the old address is then free for something else.
#[test]
fn a_new_resource_under_an_old_address_is_no_second_owner() {
    let rig = Rig::new();
    rig.world.lock().expect("not poisoned").inherits = true;
    let mut renamed = defined(&["new"]);
    renamed.resources.get_mut(&topic("new")).expect("defined").renamed_from = Some(topic("old"));
    let mut both = renamed.clone();
    both.resources.extend(defined(&["old"]).resources);
    runtime().block_on(async {
        rig.reach(&defined(&["old"]), Goal::Up).await;
        rig.reach(&renamed, Goal::Up).await;
        rig.log();
        let told = lines(&rig.plan(&both).await);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("settle topic.old refused") && told[0].ends_with("is topic.new of this stack already"),
            "{told:?}"
        );
        assert!(!rig.run(&both, Goal::Up).await.expect("not killed").is_complete());
        assert!(rig.log().is_empty());
        assert!(rig.plan(&renamed).await.is_empty(), "and nothing is recorded of it");
    });
}

#[test]
fn of_two_records_of_one_thing_neither_deletes_the_others() {
    let rig = Rig::new();
    rig.world.lock().expect("not poisoned").inherits = true;
    runtime().block_on(async {
        rig.reach(&defined(&["new"]), Goal::Up).await;
        // As a program did that did not know better.
        if let Some(document) = rig.state.0.lock().expect("not poisoned").as_mut() {
            let record = document.resources[&topic("new")].clone();
            document.resources.insert(topic("old"), record);
        }
        rig.log();
        let plan = rig.plan(&defined(&["new"])).await;
        assert_eq!((lines(&plan), plan.steps[1].forgets), (vec!["delete topic.old".to_owned()], true));
        assert!(plan.notes[0].contains("topic.old is topic.new, too"), "{plan:?}");
        rig.reach(&defined(&["new"]), Goal::Up).await;
        assert!(rig.log().is_empty() && rig.things() == 1);
        rig.reach(&defined(&[]), Goal::Teardown).await;
        assert_eq!((rig.log(), rig.things()), (vec!["delete topic.new".to_owned()], 0));
    });
}

#[test]
fn what_leaves_alone_takes_its_users_along() {
    let rig = Rig::new();
    let both =
        stack(&sketch(&[("topic", "a", 1, 0, &[]), ("job", "j", 1, 0, &["topic.a"]), ("topic", "b", 1, 0, &[])]));
    runtime().block_on(async {
        rig.reach(&both, Goal::Up).await;
        rig.log();
        let aim = || Aim { only: [topic("a")].into(), ..Goal::Up.into() };
        let summary = rig.run(&stack(&sketch(&[])), aim()).await.expect("not killed");
        assert!(summary.is_complete(), "{summary:?}");
        assert_eq!(rig.log(), ["delete job.j", "delete topic.a"]);
        assert_eq!(rig.owned(), [topic("b")]);
    });
}
