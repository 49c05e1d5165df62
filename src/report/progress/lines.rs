//! Progress as lines that are never taken back: what a CI log holds, and what scrolls up on a terminal.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    address::Address,
    engine::{Action, Event},
    report::{Style, Tone, human},
};

/// How often a wait is mentioned while nothing about it changes.
const REMIND: Duration = Duration::from_secs(15);

/// A wait shorter than this is not worth a line.
const SILENCE: Duration = Duration::from_secs(2);

/// Writes events as lines, and leaves out those that say nothing new.
#[derive(Debug)]
pub(super) struct Lines {
    style: Style,
    widest: usize,
    total: usize,
    settled: usize,
    /// What each waits for, and when that was said last.
    waits: BTreeMap<Address, (String, Duration)>,
}

impl Lines {
    pub(super) fn new(total: usize, widest: usize, style: Style) -> Self {
        Self { style, widest, total, settled: 0, waits: BTreeMap::new() }
    }

    /// Returns the line for an event, if there is anything to say.
    pub(super) fn event(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Started { address, action } => Some(self.line("…", Tone::Faint, address, begin(*action))),
            Event::Waiting { address, on, elapsed, patience, usual } => {
                let said = self.waits.get(address);
                if said.is_none() && *elapsed < SILENCE {
                    return None;
                }
                if said.is_some_and(|(what, when)| what == on && elapsed.saturating_sub(*when) < REMIND) {
                    return None;
                }
                self.waits.insert(address.clone(), (on.clone(), *elapsed));
                Some(self.line("…", Tone::Faint, address, &waiting(on, *elapsed, *usual, *patience)))
            }
            Event::Finished { address, action, elapsed } => {
                self.settle(address);
                let text = format!("{} in {}", done(*action), human::duration(*elapsed));
                Some(self.line("✓", Tone::Good, address, &text))
            }
            Event::Failed { address, action, message } => {
                self.settle(address);
                let text = format!("FAILED, cannot {action}: {}", message.replace('\n', "\n    "));
                Some(self.line("✗", Tone::Bad, address, &text))
            }
            Event::Unfinished { address, on, .. } => {
                self.settle(address);
                Some(self.line("·", Tone::Change, address, &format!("left unfinished: {on}")))
            }
            Event::Skipped { address, because_of, .. } => {
                self.settle(address);
                let why = because_of.as_ref().map_or_else(|| "interrupted".to_owned(), |it| format!("needs {it}"));
                Some(self.line("·", Tone::Change, address, &format!("not begun: {why}")))
            }
        }
    }

    fn settle(&mut self, address: &Address) {
        self.settled += 1;
        self.waits.remove(address);
    }

    fn line(&self, mark: &str, tone: Tone, address: &Address, text: &str) -> String {
        let digits = self.total.to_string().len();
        let count = format!("[{:digits$}/{}]", self.settled, self.total);
        let (count, mark) = (self.style.paint(Tone::Faint, &count), self.style.paint(tone, mark));
        format!("{count} {mark} {:widest$}  {text}", address.to_string(), widest = self.widest)
    }
}

/// Says what a step waits for: `waiting: CREATING, for 15 s of usually 25 min and at most 45 min`.
fn waiting(on: &str, elapsed: Duration, usual: Option<Duration>, patience: Duration) -> String {
    format!("waiting: {on}, for {} of {}", human::duration(elapsed), limits(usual, patience))
}

/// Says how long something takes: `usually 25 min and at most 45 min`.
pub(super) fn limits(usual: Option<Duration>, patience: Duration) -> String {
    let usual = usual.map(|it| format!("usually {} and ", human::duration(it))).unwrap_or_default();
    format!("{usual}at most {}", human::duration(patience))
}

/// Says what a step is at.
pub(super) const fn begin(action: Action) -> &'static str {
    match action {
        Action::Noop => "looking",
        Action::Settle => "waiting until it is ready",
        Action::Update => "changing",
        Action::Replace => "replacing",
        Action::Create => "creating",
        Action::Delete => "deleting",
    }
}

/// Says what a step did.
const fn done(action: Action) -> &'static str {
    match action {
        Action::Noop => "as it was",
        Action::Settle => "ready and recorded",
        Action::Update => "changed",
        Action::Replace => "replaced",
        Action::Create => "created",
        Action::Delete => "deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_says_what_is_new_and_reminds_now_and_then() {
        let (shop, topic) = (Address::new("database", "shop"), Address::new("topic", "orders"));
        let (ingest, trigger) = (Address::new("function", "ingest"), Address::new("trigger", "orders"));
        let wait = |seconds, on: &str| Event::Waiting {
            address: shop.clone(),
            on: on.to_owned(),
            elapsed: Duration::from_secs(seconds),
            patience: Duration::from_mins(30),
            usual: (on == "creating").then_some(Duration::from_mins(10)),
        };
        let message = "lambda CreateFunction: AccessDenied: not allowed (request 0f3a)".to_owned();
        let events = [
            Event::Started { address: topic.clone(), action: Action::Create },
            Event::Started { address: shop.clone(), action: Action::Update },
            Event::Finished { address: topic, action: Action::Create, elapsed: Duration::from_millis(840) },
            wait(1, "modifying"),
            wait(9, "modifying"),
            wait(16, "modifying"),
            wait(18, "rebooting"),
            wait(30, "rebooting"),
            wait(40, "creating"),
            Event::Failed { address: ingest.clone(), action: Action::Create, message },
            Event::Skipped { address: trigger, action: Action::Create, because_of: Some(ingest) },
            Event::Unfinished { address: shop.clone(), action: Action::Update, on: "rebooting".to_owned() },
        ];
        let mut lines = Lines::new(4, 15, Style::PLAIN);
        let log: Vec<_> = events.iter().filter_map(|it| lines.event(it)).collect();
        insta::assert_snapshot!(log.join("\n"), @r"
        [0/4] … topic.orders     creating
        [0/4] … database.shop    changing
        [1/4] ✓ topic.orders     created in 0.8 s
        [1/4] … database.shop    waiting: modifying, for 9.0 s of at most 30 min
        [1/4] … database.shop    waiting: rebooting, for 18 s of at most 30 min
        [1/4] … database.shop    waiting: creating, for 40 s of usually 10 min and at most 30 min
        [2/4] ✗ function.ingest  FAILED, cannot create: lambda CreateFunction: AccessDenied: not allowed (request 0f3a)
        [3/4] · trigger.orders   not begun: needs function.ingest
        [4/4] · database.shop    left unfinished: rebooting
        ");
    }
}
