//! What is done before there is a plan: builds, and the start of the local cloud. Standard error only.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::report::{Terminal, Tone, human};

/// How often a log is told what is going on, where that changes.
const REMIND: Duration = Duration::from_secs(15);
/// How often a log is told that the same is still going on.
const STILL: Duration = Duration::from_mins(1);
/// How often it is seen to whether a log is to be told.
const LOOK: Duration = Duration::from_secs(1);
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Shows what is going on before there is a plan.
#[derive(Debug)]
pub struct Preparing {
    terminal: Terminal,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Spinner(ProgressBar),
    Log(Log),
}

impl Preparing {
    /// Begins to show; on a terminal, a line that is drawn in place.
    pub fn new(terminal: Terminal) -> Self {
        if !terminal.live {
            return Self { terminal, shown: Shown::Log(Log::new(terminal)) };
        }
        let plain = ProgressStyle::default_spinner();
        let style = ProgressStyle::with_template("  {spinner} {msg} · {elapsed}").unwrap_or(plain);
        let spinner = ProgressBar::new_spinner().with_style(style).with_message("looking");
        spinner.enable_steady_tick(TICK);
        Self { terminal, shown: Shown::Spinner(spinner) }
    }

    /// Tells something that happened.
    pub fn say(&self, text: &str) {
        match &self.shown {
            Shown::Spinner(it) => it.println(self.terminal.err.paint(Tone::Faint, text)),
            Shown::Log(it) => it.tell(self.terminal, |pace, now| Some(pace.said(text, now))),
        }
    }

    /// Tells what is going on. A log is told at most every quarter of a minute, and now and then that it still is.
    pub fn busy(&self, text: &str) {
        match &self.shown {
            Shown::Spinner(it) => it.set_message(text.to_owned()),
            Shown::Log(it) => it.tell(self.terminal, |pace, now| pace.busy(text, now)),
        }
    }

    /// Tells what is going on from now on. A log is told at once.
    pub fn begin(&self, text: &str) {
        match &self.shown {
            Shown::Spinner(it) => it.set_message(text.to_owned()),
            Shown::Log(it) => it.tell(self.terminal, |pace, now| Some(pace.begun(text, now))),
        }
    }

    /// Tells how something ended that was going on.
    pub fn end(&self, text: &str) {
        self.say(text);
        match &self.shown {
            Shown::Spinner(it) => it.set_message("looking"),
            Shown::Log(it) => it.pace.lock().unwrap_or_else(PoisonError::into_inner).idle(),
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        if let Shown::Spinner(it) = &self.shown {
            it.finish_and_clear();
        }
    }
}

/// A log, and the thread that breaks its silence.
#[derive(Debug)]
struct Log {
    pace: Arc<Mutex<Pace>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    fn new(terminal: Terminal) -> Self {
        let pace = Arc::new(Mutex::new(Pace::new(Instant::now())));
        let (stop, stopped) = mpsc::channel::<()>();
        let shared = Arc::clone(&pace);
        let watch = move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                tell(&shared, terminal, |pace, now| pace.due(now));
            }
        };
        // Without the thread, a log is told less.
        let thread = thread::Builder::new().name("preparing".to_owned()).spawn(watch).ok();
        Self { pace, stop: Some(stop), thread }
    }

    fn tell(&self, terminal: Terminal, what: impl FnOnce(&mut Pace, Instant) -> Option<String>) {
        tell(&self.pace, terminal, what);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(it) = self.thread.take() {
            // Nothing is left to be told.
            it.join().ok();
        }
    }
}

/// Writes what is to be told now. Nobody else writes meanwhile: lines come in the order of what happened.
fn tell(pace: &Mutex<Pace>, terminal: Terminal, what: impl FnOnce(&mut Pace, Instant) -> Option<String>) {
    let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
    match what(&mut pace, Instant::now()) {
        Some(text) if terminal.json => {
            terminal.note(&json!({ "event": "preparing", "message": text }).to_string());
        }
        Some(text) => terminal.note(&text),
        None => (),
    }
}

/// Decides what a log is told, and when. Writes nothing, and reads no clock.
#[derive(Debug)]
struct Pace {
    /// When it was told something last.
    told: Instant,
    doing: Option<Doing>,
}

#[derive(Debug)]
struct Doing {
    text: String,
    since: Instant,
    told: bool,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { told: now, doing: None }
    }

    fn said(&mut self, text: &str, now: Instant) -> String {
        self.told = now;
        text.to_owned()
    }

    fn begun(&mut self, text: &str, now: Instant) -> String {
        self.doing = Some(Doing { text: text.to_owned(), since: now, told: true });
        self.said(text, now)
    }

    fn busy(&mut self, text: &str, now: Instant) -> Option<String> {
        if self.doing.as_ref().is_none_or(|it| it.text != text) {
            self.doing = Some(Doing { text: text.to_owned(), since: now, told: false });
        }
        self.due(now)
    }

    fn idle(&mut self) {
        self.doing = None;
    }

    /// Returns what is to be told by now: what was not told yet, or that the same is still going on.
    fn due(&mut self, now: Instant) -> Option<String> {
        let doing = self.doing.as_mut()?;
        let silent = now.saturating_duration_since(self.told);
        let text = match doing.told {
            false if silent >= REMIND => doing.text.clone(),
            true if silent >= STILL => {
                let seconds = now.saturating_duration_since(doing.since).as_secs();
                format!("still: {}, {}", doing.text, human::duration(Duration::from_secs(seconds - seconds % 60)))
            }
            _ => return None,
        };
        (doing.told, self.told) = (true, now);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a log: the second in which it does, and what is told then.
    fn told(pace: &mut Pace, start: Instant, seconds: std::ops::Range<u64>) -> Vec<(u64, String)> {
        let due = |it: u64| Some((it, pace.due(start + Duration::from_secs(it))?));
        seconds.filter_map(due).collect()
    }

    #[test]
    fn the_last_message_is_told_soon_and_silence_is_broken() {
        let start = Instant::now();
        let at = |it| start + Duration::from_secs(it);
        let mut pace = Pace::new(start);
        assert_eq!(pace.busy("compiled 1 of 2 crates", at(1)), None);
        assert_eq!(pace.busy("compiled 2 of 2 crates", at(15)).as_deref(), Some("compiled 2 of 2 crates"));
        assert_eq!(pace.busy("linking", at(16)), None);
        let expected = [(30, "linking"), (90, "still: linking, 1 min"), (150, "still: linking, 2 min")];
        assert_eq!(told(&mut pace, start, 17..200), expected.map(|(at, text)| (at, text.to_owned())));
        assert_eq!(pace.busy("linking", at(200)), None, "it is no news");
        assert_eq!(pace.said("built it", at(201)), "built it");
        pace.idle();
        assert_eq!(told(&mut pace, start, 202..900), [], "nothing goes on");
    }

    #[test]
    fn what_begins_is_told_at_once_and_once() {
        let start = Instant::now();
        let at = |it| start + Duration::from_secs(it);
        let mut pace = Pace::new(start);
        assert_eq!(pace.begun("building a", at(1)), "building a");
        assert_eq!(pace.busy("building a", at(20)), None);
        assert_eq!(told(&mut pace, start, 20..70), [(61, "still: building a, 1 min".to_owned())]);
    }
}
