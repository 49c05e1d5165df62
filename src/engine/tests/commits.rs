//! How often the state is written: seldom, however much is done at once.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::*;

/// A state that takes as long to write as one far away.
#[derive(Default)]
struct Slow {
    state: Memory,
    writes: AtomicUsize,
}

impl Store for Slow {
    fn load(&self) -> BoxFuture<'_, Result<Option<(Document, Etag)>, StoreError>> {
        self.state.load()
    }

    fn swap<'a>(
        &'a self,
        document: &'a Document,
        expected: Option<&'a Etag>,
    ) -> BoxFuture<'a, Result<Etag, StoreError>> {
        Box::pin(async move {
            self.writes.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.state.swap(document, expected).await
        })
    }

    fn place(&self) -> String {
        self.state.place()
    }
}

#[test]
fn five_hundred_steps_at_once_cost_few_writes() {
    const STEPS: usize = 500;
    let rig = Rig::new();
    let names: Vec<String> = (0..STEPS).map(|it| format!("j{it}")).collect();
    let parts: Vec<_> = names.iter().map(|it| ("job", it.as_str(), 1, 0, &[][..])).collect();
    let stack = stack(&sketch(&parts));
    let store = Arc::new(Slow::default());
    runtime().block_on(async {
        let begun = std::time::Instant::now();
        let summary = rig.run_on(store.clone(), &stack, Goal::Up, |_| false).await.expect("not killed");
        assert_eq!((summary.done.len(), summary.is_complete()), (STEPS, true));
        let (document, _) = store.load().await.expect("readable").expect("there");
        assert_eq!(document.resources.len(), STEPS);
        let writes = store.writes.load(Ordering::SeqCst);
        eprintln!("{STEPS} steps: {writes} writes, {:.2} s", begun.elapsed().as_secs_f32());
        // Each step is recorded at least twice. Written one by one, that were a thousand writes and 50 s.
        assert!(writes <= STEPS / 10, "{writes} writes");
    });
}

/// A state whose n-th write is the last thing that a run does, before it takes effect or after.
struct Deadly {
    state: Memory,
    left: AtomicUsize,
    after: bool,
    died: Notify,
}

impl Store for Deadly {
    fn load(&self) -> BoxFuture<'_, Result<Option<(Document, Etag)>, StoreError>> {
        self.state.load()
    }

    fn swap<'a>(
        &'a self,
        document: &'a Document,
        expected: Option<&'a Etag>,
    ) -> BoxFuture<'a, Result<Etag, StoreError>> {
        Box::pin(async move {
            let dies = self.left.fetch_sub(1, Ordering::SeqCst) == 0;
            if !dies {
                return self.state.swap(document, expected).await;
            }
            if self.after {
                self.state.swap(document, expected).await?;
            }
            self.died.notify_one();
            std::future::pending().await
        })
    }

    fn place(&self) -> String {
        self.state.place()
    }
}

/// Runs until the n-th write of the state; `None` when there was one.
async fn run_to_death(rig: &Rig, stack: &Stack, goal: Goal, (writes, after): (usize, bool)) -> Option<Summary> {
    let (left, died) = (AtomicUsize::new(writes), Notify::new());
    let deadly = Arc::new(Deadly { state: rig.state.clone(), left, after, died });
    tokio::select! {
        biased;
        () = deadly.died.notified() => None,
        it = rig.run_on(deadly.clone(), stack, goal, |_| false) => it,
    }
}

#[test]
fn killed_at_any_write_of_the_state_the_same_command_converges() {
    let parts = |size, flavour| {
        stack(&sketch(&[
            ("cluster", "c", 1, 0, &[]),
            ("topic", "a", size, 0, &["cluster.c"]),
            ("topic", "b", 1, 0, &["cluster.c"]),
            ("job", "j", 1, flavour, &["topic.a"]),
        ]))
    };
    let (before, after) = (parts(1, 0), parts(2, 1));
    let runs = [(&before, Goal::Up, false), (&after, Goal::Up, true), (&after, Goal::Teardown, true)];
    let mut visited = 0;
    for (wanted, goal, deployed) in runs {
        for (writes, after_effect) in (0..).flat_map(|it| [(it, false), (it, true)]) {
            let done = runtime().block_on(async {
                let rig = Rig::new();
                if deployed {
                    assert!(rig.run(&before, Goal::Up).await.expect("not killed").is_complete());
                }
                if let Some(summary) = run_to_death(&rig, wanted, goal, (writes, after_effect)).await {
                    assert!(summary.is_complete());
                    return true;
                }
                let again = rig.run(wanted, goal).await.expect("not killed");
                assert!(again.is_complete(), "{goal:?}, write {writes}, {after_effect}: {:?}", again.failures);
                let expected: Vec<Address> =
                    if goal == Goal::Up { wanted.resources.keys().cloned().collect() } else { Vec::new() };
                assert_eq!(rig.owned(), expected, "{goal:?}, write {writes}, {after_effect}");
                if goal == Goal::Up {
                    assert!(rig.plan(wanted).await.is_empty(), "{goal:?}, write {writes}, {after_effect}");
                }
                false
            });
            if done {
                break;
            }
            visited += 1;
        }
    }
    eprintln!("killed at {visited} writes of the state, before and after each took effect");
    assert!(visited > 30, "{visited}");
}
