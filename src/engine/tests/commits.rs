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
