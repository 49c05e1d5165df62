//! What happens while a plan is applied, as it happens: drawn in place on a terminal, as plain lines in a log, or as
//! one JSON object per line.
//!
//! All three go to standard error: standard output belongs to the result.

mod bars;
mod json;
mod lines;

use std::collections::BTreeSet;

use crate::{
    address::Address,
    engine::{Action, Event, GRACE, Plan},
    report::{Terminal, human, summary::Tally},
};

use self::{bars::Bars, lines::Lines};

/// Shows events, and counts what became of the steps.
#[derive(Debug)]
pub struct Progress {
    terminal: Terminal,
    view: View,
    tally: Tally,
    total: usize,
    running: BTreeSet<Address>,
}

#[derive(Debug)]
enum View {
    Bars(Bars),
    Lines(Lines),
    Json,
}

impl Progress {
    /// Begins to show what becomes of a plan.
    pub fn new(terminal: Terminal, plan: &Plan) -> Self {
        let steps = plan.steps.iter().filter(|it| it.action != Action::Noop);
        let total = steps.clone().count();
        let widest = steps.map(|it| it.address.to_string().chars().count()).max().unwrap_or_default();
        let lines = Lines::new(total, widest, terminal.err);
        let view = match (terminal.json, terminal.live) {
            (true, _) => View::Json,
            (false, true) => View::Bars(Bars::new(total, widest, lines)),
            (false, false) => View::Lines(lines),
        };
        let tally = Tally { unchanged: plan.count(Action::Noop), ..Tally::default() };
        Self { terminal, view, tally, total, running: BTreeSet::new() }
    }

    /// Shows an event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Started { address, .. } => {
                self.running.insert(address.clone());
            }
            Event::Finished { address, .. } | Event::Failed { address, .. } | Event::Unfinished { address, .. } => {
                self.running.remove(address);
            }
            Event::Waiting { .. } | Event::Skipped { .. } => (),
        }
        self.tally.count(event);
        match &mut self.view {
            View::Bars(bars) => bars.event(event),
            View::Lines(lines) => lines.event(event).into_iter().for_each(|it| self.terminal.note(&it)),
            View::Json => self.terminal.note(&json::line(event, self.tally.ended(), self.total).to_string()),
        }
    }

    /// Says that the run ends early, and what is still under way.
    pub fn interrupted(&self) {
        let names: Vec<_> = self.running.iter().map(ToString::to_string).collect();
        let text = if names.is_empty() {
            "Interrupted: nothing more is begun.".to_owned()
        } else {
            let names = names.join(", ");
            let grace = human::duration(GRACE);
            format!(
                "Interrupted: nothing more is begun; {names} may finish within {grace}. Interrupt again to stop at once."
            )
        };
        match &self.view {
            View::Bars(bars) => bars.say(&text),
            View::Lines(_) => self.terminal.note(&text),
            View::Json => {
                self.terminal.note(&serde_json::json!({ "event": "interrupted", "running": self.running }).to_string());
            }
        }
    }

    /// Clears what was drawn in place.
    pub fn clear(&self) {
        if let View::Bars(bars) = &self.view {
            bars.clear();
        }
    }

    /// Clears what was drawn in place, and returns the counts.
    pub fn finish(self) -> Tally {
        self.clear();
        self.tally
    }
}
