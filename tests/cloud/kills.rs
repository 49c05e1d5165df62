//! The sweep: a run is killed at every request that it sends, and the same command again always gets further.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    asked::Asked,
    place::{Place, STACK},
    proxy::{Moment, Point},
    teardown_leaves_nothing, world,
};

/// The longest that the sweep may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// The most worlds that are begun. A request that is sent only when nothing went wrong before it, such as the tagging of a
/// bucket that was just created, is met once per world and bucket.
const WORLDS: usize = 8;

/// Kills `up` before and after every request, told apart by what it asks for rather than by number, as steps run side by
/// side. Each run dies at the first request that none died at before, so the kills of one world follow each other until
/// nothing new is asked and the run succeeds; what it made is then compared with a world that was made in one go.
///
/// `clean` is what such a run asks for; every bit of it must have been visited.
pub(crate) async fn up_killed_at_any_request_converges(place: &Place, clean: &[Asked], deployed: &[String]) {
    let begun = Instant::now();
    for _ in 0..WORLDS {
        let before = place.proxy.visited().len();
        until_complete(place, begun).await;
        place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff after the kills");
        assert_eq!(world::everything(place).await, deployed, "the same world, and nothing twice");
        let points = place.proxy.visited();
        eprintln!("killed at {} points, {:.0} s", points.len() - before, begun.elapsed().as_secs_f32());
        if missing(clean, &points).is_empty() {
            break;
        }
        teardown_leaves_nothing(place).await;
    }
    let points = place.proxy.visited();
    for it in &points {
        eprintln!("  {it}");
    }
    let mutating = points.iter().filter(|it| it.0.mutating).count();
    assert_eq!(missing(clean, &points), BTreeSet::new(), "never killed at");
    eprintln!("killed at {} points in all, {mutating} of them mutating; none was left out", points.len());
}

/// Runs until a run gets to its end.
async fn until_complete(place: &Place, begun: Instant) {
    loop {
        let ended = place.run_to_death(&["up", STACK]).await;
        assert!(begun.elapsed() < PATIENCE, "the sweep takes longer than {PATIENCE:?}");
        match ended.code {
            None => (),
            Some(_) => {
                ended.exits(0);
                return;
            }
        }
    }
}

fn missing(clean: &[Asked], points: &BTreeSet<Point>) -> BTreeSet<Point> {
    let both = |it: &Asked| [Moment::Before, Moment::After].map(|moment| Point(it.clone(), moment));
    clean.iter().flat_map(both).filter(|it| !points.contains(it)).collect()
}
