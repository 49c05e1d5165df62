//! The sweep: a run is killed at every request that it sends, and the same command again always gets further.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    asked::Asked,
    place::Place,
    proxy::{Mode, Moment, Point},
    share::Share,
    work::Work,
};

/// The longest that the sweep of one command may take.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// How often the cloud may fail to answer during a sweep.
const STALLS: usize = 2;
/// The most worlds that are begun. A request that is sent only when nothing went wrong before it, such as the tagging of a
/// bucket that was just created, is met once per world and bucket.
const WORLDS: usize = 10;

/// Kills a command before every request, after its effect, and after its answer. Requests are told apart by what they ask
/// for rather than by number, as steps run side by side. Each run dies at the first point that none died at before, so the
/// kills of one world follow each other until nothing new is asked and the run succeeds; what it made is then compared
/// with a world that was made in one go.
///
/// `clean` is what such a run asks for; every bit of it that is in the share must have been visited.
pub(crate) async fn any_request(place: &Place, work: Work, clean: &[Asked], deployed: &[String], share: Share) {
    let begun = Instant::now();
    let wanted = wanted(clean, share);
    place.proxy.begin();
    for world in 0..WORLDS {
        if world > 0 {
            work.reset(place).await;
        }
        work.begin(place).await;
        until_complete(place, work, Mode::Kill(share), begun).await;
        work.check(place, deployed).await;
        if wanted.is_subset(&place.proxy.visited()) {
            break;
        }
    }
    work.leave(place).await;
    let points = place.proxy.visited();
    let missing: Vec<_> = wanted.difference(&points).map(ToString::to_string).collect();
    assert!(missing.is_empty(), "{work:?}: never killed at {missing:#?}");
    let mutating = points.iter().filter(|it| it.0.mutating).count();
    points.iter().for_each(|it| eprintln!("  {it}"));
    eprintln!(
        "{work:?}: killed at {} points of requests, {mutating} of them mutating, in {:.0} s; none of {} was left out",
        points.len(),
        begun.elapsed().as_secs_f32(),
        wanted.len()
    );
}

/// Runs until a run gets to its end.
pub(crate) async fn until_complete(place: &Place, work: Work, mode: Mode, begun: Instant) {
    let args = work.args(place).await;
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut unanswered = 0;
    loop {
        let ended = place.run_as(mode, &args).await;
        assert!(begun.elapsed() < PATIENCE, "the sweep takes longer than {PATIENCE:?}");
        // The emulator that is behind it all stalls once in a long while. The run then says so, and the next one gets on.
        if ended.code == Some(5) && unanswered < STALLS {
            unanswered += 1;
            eprintln!("no answer came; it was to die at {:?}\n{}", ended.point, ended.err);
            ended.point.inspect(|it| place.proxy.unvisit(it));
            continue;
        }
        if ended.code.is_some() {
            assert_eq!(ended.point, None, "it outlived what it was to die at: {:#?}\n{}", ended.asked, ended.err);
            ended.exits(0);
            return;
        }
    }
}

/// Lists the points of what a run asks for that is left alone.
fn wanted(clean: &[Asked], share: Share) -> BTreeSet<Point> {
    let points = |it: &Asked| Moment::ALL.map(|moment| Point(it.clone(), moment));
    clean.iter().flat_map(points).filter(|it| share.holds(it)).collect()
}
