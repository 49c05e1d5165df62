//! Every request fails once in every way: the command converges, or stops with a word on what to do; then it is run
//! again. What is denied is never taken for gone.

use std::time::Instant;

use crate::{
    fault::Fault,
    place::Place,
    proxy::Mode,
    work::{Work, told_clearly},
};

/// The most runs until nothing new is asked.
const RUNS: usize = 400;

/// Lets each request of a command fail once in one way, told apart by what it asks for.
pub(crate) async fn any_request(place: &Place, work: Work, fault: Fault, deployed: &[String]) {
    let begun = Instant::now();
    place.proxy.begin();
    work.begin(place).await;
    let args = work.args(place).await;
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut stopped = 0;
    for run in 0.. {
        assert!(run < RUNS, "{work:?} does not get past {fault:?}");
        let ended = place.run_as(Mode::Fail(fault), &args).await;
        told_clearly(&ended);
        stopped += usize::from(ended.code != Some(0));
        if ended.code == Some(0) && ended.failures == 0 {
            break;
        }
    }
    work.check(place, deployed).await;
    work.leave(place).await;
    let failed = place.proxy.failed().len();
    assert!(failed > 0, "nothing failed");
    eprintln!(
        "{work:?}: {failed} requests failed as {fault:?}, {stopped} runs stopped; converged in {:.0} s",
        begun.elapsed().as_secs_f32()
    );
}
