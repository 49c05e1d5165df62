//! Progress on a terminal: a line per running step, drawn in place, and a total below; what is done scrolls up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    address::Address,
    engine::Event,
    report::progress::lines::{self, Lines},
};

/// So many running steps are drawn; a taller picture than the terminal could not be drawn anew.
const DRAWN: usize = 12;
/// How often the picture is drawn anew.
const TICK: Duration = Duration::from_millis(120);

#[derive(Debug)]
pub(super) struct Bars {
    lines: Lines,
    widest: usize,
    multi: MultiProgress,
    total: ProgressBar,
    drawn: BTreeMap<Address, ProgressBar>,
    /// Those that run and found no room.
    hidden: BTreeSet<Address>,
}

impl Bars {
    pub(super) fn new(total: usize, widest: usize, lines: Lines) -> Self {
        let multi = MultiProgress::new();
        let total = multi.add(ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX)));
        total.set_style(style("{bar:24.━╸─} {pos} of {len} · {elapsed}{msg}").progress_chars("━╸─"));
        total.enable_steady_tick(TICK);
        Self { lines, widest, multi, total, drawn: BTreeMap::new(), hidden: BTreeSet::new() }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Started { address, action } => self.draw(address, lines::begin(*action)),
            Event::Waiting { address, on, patience, usual, .. } => {
                if let Some(bar) = self.drawn.get(address) {
                    bar.set_message(format!("{on} ({})", lines::limits(*usual, *patience)));
                }
            }
            Event::Finished { address, .. }
            | Event::Failed { address, .. }
            | Event::Unfinished { address, .. }
            | Event::Skipped { address, .. } => {
                if let Some(bar) = self.drawn.remove(address) {
                    bar.finish_and_clear();
                    self.multi.remove(&bar);
                }
                self.hidden.remove(address);
                self.total.inc(1);
                if let Some(line) = self.lines.event(event) {
                    self.say(&line);
                }
                if let Some(next) = self.hidden.pop_first() {
                    self.draw(&next, "at work");
                }
            }
        }
        let more = self.hidden.len();
        self.total.set_message(if more > 0 { format!(" · {more} more at work") } else { String::new() });
    }

    fn draw(&mut self, address: &Address, doing: &'static str) {
        if self.drawn.len() >= DRAWN {
            self.hidden.insert(address.clone());
            return;
        }
        let bar = self.multi.insert_before(&self.total, ProgressBar::new_spinner());
        bar.set_style(style("  {spinner} {prefix}  {msg} · {elapsed}"));
        bar.set_prefix(format!("{:widest$}", address.to_string(), widest = self.widest));
        bar.set_message(doing);
        bar.enable_steady_tick(TICK);
        self.drawn.insert(address.clone(), bar);
    }

    /// Writes a line above the picture.
    pub(super) fn say(&self, text: &str) {
        // The terminal may be gone; that is no reason to stop working.
        self.multi.println(text).ok();
    }

    pub(super) fn clear(&self) {
        self.drawn.values().for_each(ProgressBar::finish_and_clear);
        self.total.finish_and_clear();
    }
}

/// Reads a template; they are constants, and one that is wrong falls back to the plain one.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
