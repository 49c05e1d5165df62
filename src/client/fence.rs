//! Until when requests that change something may be sent: as long as the run holds its stack.
//!
//! Whoever renews the hold moves the [`Fence`]; the clients ask it before each attempt of a request, so that a process that
//! stood still for a while, with requests yet to send, sends none of them. Decides nothing about who holds what.

use std::{
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef, dyn_dispatch_hint},
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

/// The longest that one request may take, its retries included. What was sent while the fence was open is over when
/// this has passed.
pub const LONGEST: Duration = Duration::from_secs(40);

/// A moment by two clocks: one stands still while the machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    /// Returns this moment.
    pub fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns how long ago it was, by the clock that says longer.
    pub fn elapsed(&self) -> Duration {
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

/// A limit in time that is moved on while things go well.
#[derive(Debug)]
pub struct Fence(RwLock<Option<(Moment, Duration)>>);

impl Fence {
    /// Stands at this long after this moment.
    pub fn new(from: Moment, lasting: Duration) -> Self {
        Self(RwLock::new(Some((from, lasting))))
    }

    /// Moves on.
    pub fn extend(&self, from: Moment, lasting: Duration) {
        let mut limit = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if limit.is_some() {
            *limit = Some((from, lasting));
        }
    }

    /// Closes for good.
    pub fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns how far off the limit is; `None` once it is closed for good.
    pub fn remaining(&self) -> Option<Duration> {
        let limit = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        limit.map(|(from, lasting)| lasting.saturating_sub(from.elapsed()))
    }
}

/// A client's gate: open to everything until a fence is set, then to what that lets through.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<OnceLock<Arc<Fence>>>);

/// Says that a request was not sent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the hold on the stack has run out or is about to; the request was not sent")]
pub struct Closed;

impl Gate {
    /// Sets the fence. The first one stays: a process holds one stack.
    pub fn obey(&self, fence: Arc<Fence>) {
        self.0.set(fence).ok();
    }

    /// Lets a request through that is over within [`LONGEST`].
    ///
    /// # Errors
    /// [`Closed`] when the fence may not stand for that long.
    pub fn pass(&self) -> Result<(), Closed> {
        let remaining = self.0.get().map(|it| it.remaining());
        if remaining.is_none_or(|it| it.is_some_and(|it| it >= LONGEST)) { Ok(()) } else { Err(Closed) }
    }
}

/// Asks before each attempt, the SDK's own retries included, unless the operation only reads.
#[dyn_dispatch_hint]
impl Intercept for Gate {
    fn name(&self) -> &'static str {
        "Gate"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let reads = ["Get", "List", "Describe", "Head", "BatchGet"];
        match config.load::<Metadata>() {
            Some(it) if reads.iter().any(|verb| it.name().starts_with(verb)) => Ok(()),
            _ => Ok(self.pass()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_until_its_fence_is_near() {
        let gate = Gate::default();
        gate.pass().expect("nobody set a fence");
        let fence = Arc::new(Fence::new(Moment::now(), LONGEST * 2));
        gate.obey(Arc::clone(&fence));
        gate.pass().expect("far off");
        fence.extend(Moment::now(), LONGEST / 2);
        gate.pass().expect_err("near");
        fence.extend(Moment::now(), LONGEST * 2);
        gate.pass().expect("moved on");
        fence.close();
        fence.extend(Moment::now(), LONGEST * 2);
        gate.pass().expect_err("closed for good");
        assert_eq!(fence.remaining(), None);
    }

    #[test]
    fn sleep_of_the_machine_counts_and_a_clock_that_was_set_back_does_not() {
        let (now, hour) = (Moment::now(), Duration::from_secs(3600));
        let slept = Moment { wall: now.wall - hour, ..now };
        assert!(slept.elapsed() >= hour);
        let set_back = Moment { wall: now.wall + hour, ..now };
        assert!(set_back.elapsed() < hour);
        assert_eq!(Fence::new(slept, hour / 2).remaining(), Some(Duration::ZERO));
    }
}
