//! How a new version of a function goes live: it is on trial for a while, and alarms may end that. What must be known of a
//! trial stands in the alias' description, so that whichever run comes next goes on with it.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Flaw, Phase};
use crate::{
    address::Mention,
    quantity::Span,
    resource::alarm::{self, Alarm},
};

/// The most alarms: as many as one request asks for.
const ALARMS: usize = 100;
/// How times are written: to the second.
const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";

/// How a new version of a function goes live: alarms are watched for a while, and when one goes off, the version before it
/// serves again.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The alarms to watch. One that is on already counts once it has been off.
    pub alarms: Vec<Mention<Alarm>>,
    /// How long a new version is on trial, in whole seconds up to `1h`. It should be longer than the alarms need to go off.
    /// Default: `5m`.
    #[serde(default = "five_minutes")]
    pub bake_time: Span,
}

const fn five_minutes() -> Span {
    Span::seconds(300)
}

impl Rollout {
    /// Says what is wrong with it.
    pub(super) fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if !(1..=ALARMS).contains(&self.alarms.len()) {
            let flaw = Flaw::new("/rollout/alarms", format!("a rollout watches 1 to {ALARMS} alarms"));
            flaws.push(flaw.help("name alarms of this stack, or leave out `rollout`"));
        }
        let seconds = self.bake_time.as_secs();
        if !(1..=3600).contains(&seconds) || self.bake_time != Span::seconds(seconds) {
            let flaw = Flaw::new("/rollout/bake_time", format!("a trial cannot last {}", self.bake_time));
            flaws.push(flaw.help("write `1s` to `1h`, in whole seconds"));
        }
        flaws
    }

    /// Begins a trial now, of the version that follows on `before`.
    pub(super) fn begin(&self, before: &str) -> Note {
        let since = Timestamp::now();
        let until = since.saturating_add(jiff::SignedDuration::from_secs(
            i64::try_from(self.bake_time.as_secs()).unwrap_or(i64::MAX),
        ));
        Note::Trial { since, until: until.unwrap_or(Timestamp::MAX), before: before.to_owned() }
    }
}

/// What an alias' description tells of the version that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Nothing that counts here.
    None,
    /// It is on trial.
    Trial {
        /// When it went live.
        since: Timestamp,
        /// When the trial ends.
        until: Timestamp,
        /// The version to go back to.
        before: String,
    },
    /// It serves again, since the one after it did harm.
    Back {
        /// The version that did harm.
        from: String,
        /// The alarm that told.
        alarm: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Trial { since, until, before } => {
                let (since, until) = (since.strftime(TIME), until.strftime(TIME));
                write!(f, "ecomctl: on trial since {since} until {until} before it {before}")
            }
            Self::Back { from, alarm } => write!(f, "ecomctl: moved back from {from} by {alarm}"),
        }
    }
}

impl From<&str> for Note {
    fn from(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["ecomctl:", "on", "trial", "since", since, "until", until, "before", "it", before] => {
                let times = Timestamp::from_str(since).ok().zip(Timestamp::from_str(until).ok());
                times.map_or(Self::None, |(since, until)| Self::Trial { since, until, before: (*before).to_owned() })
            }
            ["ecomctl:", "moved", "back", "from", from, "by", alarm] => {
                Self::Back { from: (*from).to_owned(), alarm: (*alarm).to_owned() }
            }
            _ => Self::None,
        }
    }
}

/// A trial, as it stood when it was looked at.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    /// The version to go back to.
    pub(super) before: String,
    /// When it was looked at.
    pub(super) now: Timestamp,
    /// Which alarms watch, by their names at the provider.
    pub(super) watched: Vec<String>,
    /// What was seen of those that are there.
    pub(super) seen: Vec<alarm::State>,
}

impl Trial {
    /// Returns the alarm that went off during the trial and is on still: one that went off earlier or later tells nothing
    /// of this version.
    pub(super) fn ended_by(&self) -> Option<&alarm::State> {
        let during = self.since.as_second()..=self.until.as_second();
        self.seen.iter().find(|it| it.on && during.contains(&it.since))
    }

    /// Says how far along it is; `version` is on trial.
    pub(super) fn phase(&self, version: &str) -> Phase {
        if let Some(it) = self.ended_by() {
            let at = Timestamp::from_second(it.since).unwrap_or(self.now).strftime("%H:%M:%S");
            return Phase::Regressed(format!(
                "the alarm {} went off at {at} UTC, while version {version} was on trial",
                it.name
            ));
        }
        let left = self.until.as_second() - self.now.as_second();
        // Without alarms there is nothing to wait for: the file does not name any more.
        if left <= 0 || self.watched.is_empty() {
            return Phase::Ready;
        }
        let until = self.until.strftime("%H:%M:%S");
        let mut on = format!("on trial until {until} UTC, watched by {}", self.watched.join(", "));
        for it in self.seen.iter().filter(|it| it.on) {
            on = format!("{on}; {} is on already, and counts once it has been off", it.name);
        }
        for it in self.watched.iter().filter(|it| !self.seen.iter().any(|seen| seen.name == **it)) {
            on = format!("{on}; {it} is not there yet");
        }
        Phase::OnTrial { on, left: Duration::from_secs(left.unsigned_abs()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn state(name: &str, on: bool, since: i64) -> alarm::State {
        alarm::State { name: name.into(), on, since: 1_800_000_000 + since }
    }

    fn phase(now: i64, seen: Vec<alarm::State>) -> Phase {
        let (since, until, before, watched) = (at(0), at(300), "3".into(), vec!["s-errors".into()]);
        Trial { since, until, before, now: at(now), watched, seen }.phase("4")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let trial = Note::Trial { since: at(0), until: at(300), before: "3".into() };
        let back = Note::Back { from: "4".into(), alarm: "s-errors".into() };
        for note in [Note::None, trial, back] {
            assert_eq!(Note::from(note.to_string().as_str()), note);
            assert!(note.to_string().len() <= 100, "Lambda keeps 256 characters, and alarms have names");
        }
        assert_eq!(Note::from("of somebody else's"), Note::None);
        assert_eq!(Note::from("ecomctl: on trial since then until when before it 3"), Note::None);
    }

    #[test]
    fn a_trial_ends_with_its_time_or_by_an_alarm_that_went_off_meanwhile() {
        let quiet = || vec![state("s-errors", false, -50)];
        let on = "on trial until 08:05:00 UTC, watched by s-errors";
        assert_eq!(phase(10, quiet()), Phase::OnTrial { on: on.into(), left: Duration::from_secs(290) });
        assert_eq!(phase(300, quiet()), Phase::Ready);
        let why = "the alarm s-errors went off at 08:00:40 UTC, while version 4 was on trial";
        assert_eq!(phase(41, vec![state("s-errors", true, 40)]), Phase::Regressed(why.into()));
        assert_eq!(
            phase(9000, vec![state("s-errors", true, 40)]),
            Phase::Regressed(why.into()),
            "nobody looked meanwhile"
        );
        assert_eq!(phase(9000, vec![state("s-errors", true, 400)]), Phase::Ready, "it went off later");
    }

    #[test]
    fn what_was_on_before_or_is_not_there_is_told_and_counts_for_nothing() {
        let told = |seen| match phase(10, seen) {
            Phase::OnTrial { on, .. } => on,
            other => panic!("{other:?}"),
        };
        assert!(
            told(vec![state("s-errors", true, -1)])
                .ends_with("; s-errors is on already, and counts once it has been off")
        );
        assert!(told(vec![]).ends_with("; s-errors is not there yet"));
    }
}
