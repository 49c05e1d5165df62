//! The protocol, explored: the engine's own code, killed or lied to at every request and at every write of its state, and
//! at every pair of them; then run again. Counts the states that it passes through.
//!
//! What is checked is what a bounded model checker would check of the protocol alone: exactly what is defined exists, once;
//! the record says so; nothing foreign was touched; the same command always gets to its end.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::*;

/// What goes wrong at one point.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Request(usize, Fault),
    /// The process dies at a write: before it, or after.
    Write(usize, bool),
}

/// What a request meets. What is told plainly comes last: it is of interest alone, not after something else.
const FAULTS: [Fault; 6] =
    [Fault::AnswerLost, Fault::RequestLost, Fault::KilledBefore, Fault::KilledAfter, Fault::Refused, Fault::Busy];

/// A way from one world to another.
struct Way {
    name: &'static str,
    from: Stack,
    to: Stack,
    goal: Goal,
    /// For how many looks a change is on trial, and how many of these do harm.
    trial: (u32, u32),
}

fn ways() -> Vec<Way> {
    let pair = |size, flavour| sketch(&[("cluster", "c", 1, 0, &[]), ("topic", "t", size, flavour, &["cluster.c"])]);
    let jobs = |flavour| sketch(&[("job", "a", 1, flavour, &[]), ("job", "b", 1, 0, &["job.a"])]);
    let nothing = || stack(&sketch(&[]));
    let mut moved = stack(&sketch(&[("topic", "u", 2, 0, &[])]));
    moved.resources.values_mut().for_each(|it| it.renamed_from = Some(Address::new("topic", "t")));
    let way = |name, from, to, goal| Way { name, from, to, goal, trial: (0, 0) };
    vec![
        way("create", nothing(), stack(&pair(1, 0)), Goal::Up),
        way("create what tags alone tell apart", nothing(), stack(&jobs(0)), Goal::Up),
        way("update", stack(&pair(1, 0)), stack(&pair(2, 0)), Goal::Up),
        Way { trial: (1, 0), ..way("update on trial", stack(&pair(1, 0)), stack(&pair(2, 0)), Goal::Up) },
        Way { trial: (1, 1), ..way("update that does harm", stack(&pair(1, 0)), stack(&pair(2, 0)), Goal::Up) },
        way("replace", stack(&jobs(0)), stack(&jobs(1)), Goal::Up),
        way("replace and leave", stack(&jobs(0)), stack(&sketch(&[("job", "a", 1, 1, &[])])), Goal::Up),
        way("rename", stack(&sketch(&[("topic", "t", 1, 0, &[])])), moved, Goal::Up),
        way("leave", stack(&jobs(0)), stack(&sketch(&[("topic", "t", 1, 0, &[])])), Goal::Up),
        way("teardown", stack(&pair(1, 0)), stack(&pair(1, 0)), Goal::Teardown),
        way("teardown of what tags alone tell apart", stack(&jobs(0)), stack(&jobs(0)), Goal::Teardown),
    ]
}

/// What the explorer has seen.
#[derive(Default)]
struct Seen {
    runs: usize,
    states: HashSet<u64>,
}

impl Rig {
    /// Describes the world and the record of it, without what is made up anew each time.
    fn state_of_all(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let world = self.world.lock().expect("not poisoned");
        for it in world.things.values() {
            let owner = it.owner.as_ref().map(|it| it.address.to_string());
            (it.physical.as_str(), owner, it.spec["size"].as_u64(), it.spec["flavour"].as_u64(), it.pending)
                .hash(&mut hasher);
        }
        if let Some(document) = self.state.0.lock().expect("not poisoned").as_ref() {
            document.lease.is_some().hash(&mut hasher);
            for (address, it) in &document.resources {
                (
                    address,
                    format!("{:?}", it.status),
                    it.physical.as_str(),
                    it.id.is_some(),
                    it.applied["size"].as_u64(),
                )
                    .hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    fn do_wrong(&self, wrong: &[Wrong]) {
        let mut world = self.world.lock().expect("not poisoned");
        let mut writes = self.state.1.lock().expect("not poisoned");
        let (requests, written) = (world.requests, writes.count);
        for it in wrong {
            match it {
                Wrong::Request(at, fault) => drop(world.faults.insert(requests + at, *fault)),
                Wrong::Write(at, before) => drop(writes.deadly.insert(written + at, *before)),
            }
        }
    }
}

/// Goes one way with these things going wrong, and checks where it ends. Returns how many requests and writes that took.
async fn go(way: &Way, wrong: &[Wrong], seen: &mut Seen) -> (usize, usize) {
    let rig = Rig::new();
    let foreign = Thing { physical: "topic/x".into(), owner: None, spec: json!({ "size": 9 }), pending: 0 };
    rig.world.lock().expect("not poisoned").things.insert("x".into(), foreign.clone());
    rig.run(&way.from, Goal::Up).await.expect("not killed");
    {
        let mut world = rig.world.lock().expect("not poisoned");
        (world.trials, world.harms) = way.trial;
    }
    let expected: Vec<Address> = match way.goal {
        Goal::Up => way.to.resources.keys().cloned().collect(),
        Goal::Teardown => Vec::new(),
    };
    rig.world.lock().expect("not poisoned").kept = expected.iter().cloned().collect();
    let counts = || {
        let requests = rig.world.lock().expect("not poisoned").requests;
        (requests, rig.state.1.lock().expect("not poisoned").count)
    };
    let before = counts();
    rig.do_wrong(wrong);
    let mut complete = false;
    for _ in 0..8 {
        seen.runs += 1;
        complete = rig.run(&way.to, way.goal).await.is_some_and(|it| it.is_complete());
        seen.states.insert(rig.state_of_all());
        if complete {
            break;
        }
    }
    let told = || format!("{} with {wrong:?}", way.name);
    assert!(complete, "{} does not get to its end", told());
    let after = counts();
    assert_eq!(rig.owned(), expected, "{}", told());
    let world = rig.world.lock().expect("not poisoned").things.get("x").cloned();
    assert_eq!(world, Some(foreign), "{} touches what is not ours", told());
    let document = rig.store().load().await.expect("readable").expect("there").0;
    assert!(document.lease.is_none(), "{} keeps the lease", told());
    assert_eq!(document.resources.keys().cloned().collect::<Vec<_>>(), expected, "{}", told());
    if way.goal == Goal::Up {
        let again = rig.plan(&way.to).await;
        assert!(again.is_empty(), "{}: still to do: {:?}", told(), lines(&again));
    }
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn whatever_goes_wrong_at_any_two_points_the_same_command_gets_to_its_end() {
    let mut seen = Seen::default();
    runtime().block_on(async {
        for way in &ways() {
            let (requests, writes) = go(way, &[], &mut seen).await;
            // What goes wrong first may add requests and writes.
            let points = |slack: usize, faults: usize| -> Vec<Wrong> {
                let faults = &FAULTS[..faults];
                let requests =
                    (1..=requests + slack).flat_map(|at| faults.iter().map(move |it| Wrong::Request(at, *it)));
                let writes = (1..=writes + slack).flat_map(|at| [true, false].map(|before| Wrong::Write(at, before)));
                requests.chain(writes).collect()
            };
            for first in points(0, 6) {
                for second in points(2, 4) {
                    go(way, &[first, second], &mut seen).await;
                }
            }
        }
    });
    eprintln!("explored {} runs, which left {} different states behind", seen.runs, seen.states.len());
    assert!(seen.runs > 10_000 && seen.states.len() > 50, "{} runs, {} states", seen.runs, seen.states.len());
}
