//! A run is killed at every write of its state where that lies in a bucket: before the cloud hears of it, after its
//! effect, and after its answer.

use std::{collections::BTreeMap, time::Instant};

use crate::{
    kills,
    place::Place,
    proxy::{Mode, Moment},
    share::Share,
    work::Work,
};

/// Kills a command at every write of its state, and runs it again.
pub(crate) async fn every_one(place: &Place, work: Work, deployed: &[String], share: Share) {
    let begun = Instant::now();
    place.proxy.begin();
    work.begin(place).await;
    kills::until_complete(place, work, Mode::Write(share), begun).await;
    work.check(place, deployed).await;
    work.leave(place).await;
    let points = place.proxy.visited();
    let mut visited: BTreeMap<Moment, usize> = BTreeMap::new();
    points.iter().for_each(|it| *visited.entry(it.1).or_default() += 1);
    points.iter().for_each(|it| eprintln!("  {it}"));
    assert!(Moment::ALL.iter().all(|it| visited.contains_key(it)), "{work:?}: {visited:?}");
    eprintln!(
        "{work:?}, its state in a bucket: killed at writes of different records {visited:?}, in {:.0} s",
        begun.elapsed().as_secs_f32()
    );
}
