//! Alarms of a stack: which go off, since when and why, what the last hour was like, and what to look at next.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::report::{
    Style, Tone, human,
    terminal::{harmless, table},
};

/// What an alarm is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes off.
    Alarm,
    /// Nobody knows: there are no points.
    Unknown,
    /// It is in the stack's file, and not at the provider.
    Absent,
    /// All is well.
    Ok,
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Hundredths.
    Percent,
}

/// One alarm at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// Its name within the stack.
    pub name: String,
    /// What it is in.
    pub state: State,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Whether it stands for other alarms.
    pub composite: bool,
    /// What is wrong, in few words, when it goes off.
    pub title: String,
    /// The provider's own words for its state.
    pub reason: String,
    /// The command that shows more.
    pub next: Option<String>,
    /// What its values are compared with, such as `> 300`.
    pub limit: Option<String>,
    /// What its values are, where that is known and no count.
    pub unit: Option<Unit>,
    /// The values of the last hour, oldest first; none where there was no point.
    pub points: Vec<Option<f64>>,
    /// The threshold, for the drawing.
    pub threshold: Option<f64>,
}

/// The alarms of a stack at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarms {
    /// The stack.
    pub stack: String,
    /// The alarms: first those that go off, and among these first those that stand for others.
    pub alarms: Vec<Alarm>,
}

impl Alarms {
    /// Puts the alarms into their order.
    pub fn new(stack: String, mut alarms: Vec<Alarm>) -> Self {
        alarms.sort_by(|a, b| (a.state, !a.composite, &a.name).cmp(&(b.state, !b.composite, &b.name)));
        Self { stack, alarms }
    }

    /// Says how many go off.
    fn head(&self) -> String {
        let all = human::plural(self.alarms.len(), "alarm");
        match (self.alarms.len(), self.that(State::Alarm).count()) {
            (0, _) => "no alarms".to_owned(),
            (_, 0) => format!("none of {all} goes off"),
            (_, 1) => format!("1 of {all} goes off"),
            (_, off) => format!("{off} of {all} go off"),
        }
    }

    fn that(&self, state: State) -> impl Iterator<Item = &Alarm> {
        self.alarms.iter().filter(move |it| it.state == state)
    }
}

/// Writes alarms for programs.
///
/// ```json
/// { "stack": "local",
///   "alarms": [{ "name": "ingest_errors", "state": "alarm" | "unknown" | "absent" | "ok", "since": "<RFC 3339>" | null,
///                "composite": false, "title": "…", "reason": "…", "next": "ecomctl …" | null, "limit": ">= 1" | null,
///                "unit": "seconds" | "milliseconds" | "bytes" | "percent" | null, "points": [0.0, null], "threshold": 1.0 | null }] }
/// ```
pub fn json(it: &Alarms) -> Value {
    json!(it)
}

/// Writes alarms for people.
pub fn text(it: &Alarms, now: Timestamp, style: Style) -> String {
    let mut sections = vec![format!("{} · {}", style.paint(Tone::Strong, &it.stack), it.head())];
    sections.extend(it.that(State::Alarm).map(|it| problem(it, now, style)));
    let quiet: Vec<&Alarm> = it.alarms.iter().filter(|it| it.state != State::Alarm).collect();
    if !quiet.is_empty() {
        let rows = quiet.iter().map(|it| {
            let since = it.since.map(|it| human::ago(now, it)).unwrap_or_default();
            let last = last(it).unwrap_or_default();
            let limit = it.limit.clone().unwrap_or_default();
            vec![it.name.clone(), word(it.state).to_owned(), since, drawn(it), last, limit]
        });
        sections.push(table(&["alarm", "state", "since", "last hour", "now", "goes off at"], rows, style));
    }
    sections.join("\n\n")
}

/// Writes each alarm that goes off in one line, for the summary of a stack; nothing where there are no alarms.
pub fn summary(it: &Alarms, now: Timestamp, style: Style) -> Option<String> {
    let mut lines: Vec<String> = it.that(State::Alarm).map(|it| headline(it, now, style)).collect();
    let more = if lines.is_empty() { String::new() } else { format!(": `ecomctl alarms {}` shows more", it.stack) };
    lines.push(format!("{}{more}", it.head()));
    (!it.alarms.is_empty()).then(|| lines.join("\n"))
}

fn problem(it: &Alarm, now: Timestamp, style: Style) -> String {
    let mut lines = vec![headline(it, now, style)];
    if it.points.iter().any(Option::is_some) {
        let last = last(it).unwrap_or_default();
        let limit = it.limit.as_ref().map(|it| format!(", goes off at {it}")).unwrap_or_default();
        lines.push(format!("  last hour {} now {last}{limit}", drawn(it)));
    }
    if !it.reason.is_empty() {
        // Whoever can set an alarm's state writes this, and a metric's name may be anything.
        lines.push(format!("  why: {}", one_line(&named(&it.reason))));
    }
    lines.extend(it.next.as_ref().map(|it| format!("  next: {}", style.paint(Tone::Strong, &one_line(it)))));
    lines.join("\n")
}

fn headline(it: &Alarm, now: Timestamp, style: Style) -> String {
    let since = it.since.and_then(|it| (now - it).try_into().ok());
    let since = since.map(|it| format!(", for {}", human::duration(it))).unwrap_or_default();
    format!("{} {}: {}{since}", style.paint(Tone::Bad, word(it.state)), it.name, one_line(&it.title))
}

/// Names alarms as people do where a reason has their ARNs.
fn named(reason: &str) -> String {
    let name = |word: &'_ str| match word.split_once(":alarm:") {
        Some((arn, name)) if arn.starts_with("arn:") => name.to_owned(),
        _ => word.to_owned(),
    };
    reason.split(' ').map(name).collect::<Vec<_>>().join(" ")
}

/// Keeps a text from steering the terminal, and from looking like more than one line of ours.
fn one_line(text: &str) -> String {
    harmless(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned()
}

const fn word(state: State) -> &'static str {
    match state {
        State::Alarm => "ALARM",
        State::Unknown => "unknown",
        State::Absent => "not deployed",
        State::Ok => "ok",
    }
}

/// Writes a value with few digits.
fn number(it: f64) -> String {
    let (value, suffix) = match it.abs() {
        size if size >= 1e9 => (it / 1e9, "G"),
        size if size >= 1e6 => (it / 1e6, "M"),
        size if size >= 1e4 => (it / 1e3, "k"),
        _ => (it, ""),
    };
    let text = format!("{value:.1}");
    format!("{}{suffix}", text.strip_suffix(".0").unwrap_or(&text))
}

/// Writes the newest value.
fn last(it: &Alarm) -> Option<String> {
    it.points.iter().rev().find_map(|it| *it).map(|last| amount(last, it.unit))
}

/// Writes a value with what it is.
fn amount(it: f64, unit: Option<Unit>) -> String {
    let time = |seconds: f64| match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) | Err(_) => format!("{} s", number(seconds)),
        Ok(it) => human::duration(it),
    };
    match unit {
        None => number(it),
        Some(Unit::Seconds) => time(it),
        Some(Unit::Milliseconds) => time(it / 1000.0),
        Some(Unit::Percent) => format!("{} %", number(it)),
        Some(Unit::Bytes) => {
            let (value, unit) = match it.abs() {
                size if size >= 1_073_741_824.0 => (it / 1_073_741_824.0, "GiB"),
                _ => (it / 1_048_576.0, "MiB"),
            };
            format!("{} {unit}", number(value))
        }
    }
}

/// Writes what values are compared with.
pub fn limit(compare: &str, threshold: f64, unit: Option<Unit>) -> String {
    format!("{compare} {}", amount(threshold, unit))
}

/// The heights of a drawing, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many values stand side by side.
const WIDTH: usize = 20;

fn drawn(it: &Alarm) -> String {
    sparkline(&it.points, it.threshold, it.limit.as_ref().is_some_and(|it| it.starts_with('<')), WIDTH)
}

/// Draws values in a line of fixed width, each bar the worst of its share: the least where low is bad. Zero is the lowest
/// bar unless there is less; the threshold is within the drawing, so that a bar's height tells how near it is.
fn sparkline(points: &[Option<f64>], threshold: Option<f64>, low_is_bad: bool, width: usize) -> String {
    let known = || points.iter().flatten().copied().chain(threshold);
    if points.iter().all(Option::is_none) {
        return String::new();
    }
    let (least, most) = known().fold((0.0_f64, 0.0_f64), |(a, b), it| (a.min(it), b.max(it)));
    // Few values are drawn wider, so that all drawings end now.
    let share = |n: usize| n * points.len() / width..((n + 1) * points.len() / width).max(n * points.len() / width + 1);
    let worst = |a: f64, b: f64| if low_is_bad { a.min(b) } else { a.max(b) };
    let bar = |share: &[Option<f64>]| match share.iter().flatten().copied().reduce(worst) {
        None => ' ',
        Some(_) if most <= least => BARS[0],
        Some(it) => {
            let height = (it - least) / (most - least);
            let step = BARS
                .iter()
                .enumerate()
                .rev()
                .find(|(i, _)| height * 7.0 + 0.5 >= f64::from(u8::try_from(*i).unwrap_or(0)));
            step.map_or(BARS[0], |it| *it.1)
        }
    };
    (0..width).map(|n| bar(&points[share(n)])).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn alarm(name: &str, state: State) -> Alarm {
        Alarm {
            name: name.to_owned(),
            state,
            since: "2026-01-02T03:00:00Z".parse().ok(),
            composite: false,
            title: "function.ingest fails".to_owned(),
            reason: String::new(),
            next: None,
            limit: Some(limit(">=", 1.0, None)),
            unit: None,
            points: Vec::new(),
            threshold: Some(1.0),
        }
    }

    #[test]
    fn what_goes_off_comes_first() {
        let down = Alarm {
            composite: true,
            title: "Ingest is down".to_owned(),
            reason: "arn:aws:cloudwatch:eu-central-1:1:alarm:s-ingest-errors transitioned to ALARM".to_owned(),
            next: Some("ecomctl alarms s".to_owned()),
            limit: None,
            ..alarm("zz_ingest_down", State::Alarm)
        };
        let errors = Alarm {
            points: (0..60).map(|it| (it > 5).then_some(if it > 50 { 4.0 } else { 0.0 })).collect(),
            reason: "Threshold Crossed: 3 out of the last 5 datapoints were >= 1.0".to_owned(),
            next: Some("ecomctl logs s function.ingest".to_owned()),
            ..alarm("ingest_errors", State::Alarm)
        };
        let quiet = Alarm { points: vec![Some(1234.0), None], ..alarm("orders_lag", State::Ok) };
        let unknown = Alarm { since: None, ..alarm("silent", State::Unknown) };
        let all = Alarms::new("s".to_owned(), vec![quiet, unknown, errors, down]);
        let now = "2026-01-02T03:12:00Z".parse().expect("a time");
        insta::assert_snapshot!(text(&all, now, Style::PLAIN), @"
        s · 2 of 4 alarms go off

        ALARM zz_ingest_down: Ingest is down, for 12 min
          why: s-ingest-errors transitioned to ALARM
          next: ecomctl alarms s

        ALARM ingest_errors: function.ingest fails, for 12 min
          last hour   ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁███ now 4, goes off at >= 1
          why: Threshold Crossed: 3 out of the last 5 datapoints were >= 1.0
          next: ecomctl logs s function.ingest

        alarm       state    since       last hour             now   goes off at
        silent      unknown                                          >= 1
        orders_lag  ok       12 min ago  ██████████            1234  >= 1
        ");
        let short = summary(&all, now, Style::PLAIN).expect("alarms");
        assert!(short.starts_with("ALARM zz_ingest_down: Ingest is down, for 12 min\nALARM ingest_errors"), "{short}");
        assert!(short.ends_with("\n2 of 4 alarms go off: `ecomctl alarms s` shows more"), "{short}");
        assert_eq!(json(&all)["alarms"][1]["state"], "alarm");
        assert_eq!(text(&Alarms::new("s".to_owned(), Vec::new()), now, Style::PLAIN), "s · no alarms");
    }

    #[test]
    fn a_reason_steers_no_terminal() {
        let spoilt = Alarm {
            title: "up\u{1b}[2J".to_owned(),
            reason: "why \u{1b}]0;owned\u{7}\nALARM other".to_owned(),
            next: Some("ecomctl\r\nrm".to_owned()),
            ..alarm("one", State::Alarm)
        };
        let all = Alarms::new("s".to_owned(), vec![spoilt]);
        let now = "2026-01-02T03:12:00Z".parse().expect("a time");
        insta::assert_snapshot!(text(&all, now, Style::PLAIN), @r"
        s · 1 of 1 alarm goes off

        ALARM one: up\u001b[2J, for 12 min
          why: why \u001b]0;owned\u0007 ALARM other
          next: ecomctl rm
        ");
    }

    #[test]
    fn a_drawing_shows_the_worst_and_how_near_the_threshold_is() {
        let points = |them: &[f64]| them.iter().map(|it| Some(*it)).collect::<Vec<_>>();
        assert_eq!(sparkline(&points(&[0.0, 5.0, 10.0]), Some(10.0), false, 3), "▁▅█");
        assert_eq!(sparkline(&points(&[0.0, 5.0]), Some(50.0), false, 2), "▁▂");
        assert_eq!(sparkline(&[Some(1.0), None, Some(1.0)], None, false, 6), "██  ██");
        assert_eq!(sparkline(&points(&[0.0, 0.0]), None, false, 2), "▁▁");
        assert_eq!(sparkline(&[None, None], Some(1.0), false, 2), "");
        let dip = |low| {
            sparkline(&(0..40).map(|it| Some(if it == 7 { 0.0 } else { 9.0 })).collect::<Vec<_>>(), None, low, WIDTH)
        };
        assert_eq!(dip(true).chars().filter(|it| *it == '▁').count(), 1);
        assert_eq!(dip(false).chars().filter(|it| *it == '▁').count(), 0);
        assert_eq!(dip(true).chars().count(), 20);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1.0, 2.34, -3.0, 9_999.0, 12_345.0, 2.5e6, 1.6e10].map(number);
        assert_eq!(texts, ["0", "1", "2.3", "-3", "9999", "12.3k", "2.5M", "16G"]);
        for (value, unit, text) in [
            (0.0, Unit::Seconds, "0 s"),
            (172_800.0, Unit::Seconds, "2 d"),
            (1326.0, Unit::Seconds, "22 min 6 s"),
            (48_000.0, Unit::Milliseconds, "48 s"),
            (479.5, Unit::Milliseconds, "0.5 s"),
            (21_474_836_480.0, Unit::Bytes, "20 GiB"),
            (85.0, Unit::Percent, "85 %"),
            (-1.0, Unit::Seconds, "-1 s"),
        ] {
            assert_eq!(amount(value, Some(unit)), text);
        }
    }
}
