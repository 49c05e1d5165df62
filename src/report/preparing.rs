//! What is done before there is a plan: builds, and the start of the local cloud. Standard error only.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::report::{Terminal, Tone};

/// How often a log is told that something is still going on.
const REMIND: Duration = Duration::from_secs(15);
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Shows what is going on before there is a plan.
#[derive(Debug)]
pub struct Preparing {
    terminal: Terminal,
    spinner: Option<ProgressBar>,
    told: Mutex<Instant>,
}

impl Preparing {
    /// Begins to show; on a terminal, a line that is drawn in place.
    pub fn new(terminal: Terminal) -> Self {
        let spinner = terminal.live.then(|| {
            let plain = ProgressStyle::default_spinner();
            let style = ProgressStyle::with_template("  {spinner} {msg} · {elapsed}").unwrap_or(plain);
            let spinner = ProgressBar::new_spinner().with_style(style).with_message("looking");
            spinner.enable_steady_tick(TICK);
            spinner
        });
        Self { terminal, spinner, told: Mutex::new(Instant::now()) }
    }

    /// Tells something that happened.
    pub fn say(&self, text: &str) {
        match &self.spinner {
            Some(it) => it.println(self.terminal.err.paint(Tone::Faint, text)),
            None if self.terminal.json => {
                self.terminal.note(&json!({ "event": "preparing", "message": text }).to_string());
            }
            None => self.terminal.note(text),
        }
    }

    /// Tells what is going on; a log is told now and then.
    pub fn busy(&self, text: &str) {
        if let Some(it) = &self.spinner {
            it.set_message(text.to_owned());
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= REMIND {
            *told = Instant::now();
            self.say(text);
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        if let Some(it) = &self.spinner {
            it.finish_and_clear();
        }
    }
}
