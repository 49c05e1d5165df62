//! The rules of composite alarms: parsed, and evaluated over the states of other alarms. Pure.
//!
//! Grammar: `PutCompositeAlarm` in the CloudWatch API reference, with `AT_LEAST(n, STATE, (alarm, …))` of the user
//! guide.

use std::collections::BTreeSet;

use super::State;

/// The most elements of a rule.
const MOST: usize = 500;

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::local::gateway::cloudwatch) enum Logic {
    /// Always, or never.
    Always(bool),
    /// An alarm, by name or ARN, is in a state.
    Is(State, String),
    /// So many, or so many percent, of these alarms are in a state.
    AtLeast {
        /// How many.
        count: usize,
        /// Whether that is a percentage.
        percent: bool,
        /// The state; `false` with it means any other state.
        state: (State, bool),
        /// The alarms.
        alarms: Vec<String>,
    },
    /// Not so.
    Not(Box<Self>),
    /// Both.
    And(Box<Self>, Box<Self>),
    /// Either.
    Or(Box<Self>, Box<Self>),
}

impl Logic {
    /// Reads a rule.
    ///
    /// # Errors
    /// In words, with what was found instead.
    pub(in crate::local::gateway::cloudwatch) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.trim() != text {
            return Err("AlarmRule must not contain leading or trailing whitespace or be null".to_owned());
        }
        if text.chars().count() > 10_240 {
            return Err("AlarmRule must have at most 10240 characters".to_owned());
        }
        let words = words(text)?;
        if words.len() > MOST * 4 {
            return Err(format!("AlarmRule must have at most {MOST} elements"));
        }
        let mut parser = Parser { words: &words, at: 0, depth: 0 };
        let logic = parser.either()?;
        match parser.words.get(parser.at) {
            None => Ok(logic),
            Some(it) => Err(format!("Error in AlarmRule: unexpected '{it}'")),
        }
    }

    /// Says whether it holds. `state` tells the state of an alarm by name or ARN.
    pub(in crate::local::gateway::cloudwatch) fn holds(&self, state: &dyn Fn(&str) -> Option<State>) -> bool {
        match self {
            Self::Always(it) => *it,
            Self::Is(wanted, alarm) => state(alarm) == Some(*wanted),
            Self::AtLeast { count, percent, state: (wanted, positive), alarms } => {
                let holding = alarms.iter().filter(|it| (state(it) == Some(*wanted)) == *positive).count();
                if *percent { holding * 100 >= count * alarms.len() } else { holding >= *count }
            }
            Self::Not(it) => !it.holds(state),
            Self::And(left, right) => left.holds(state) && right.holds(state),
            Self::Or(left, right) => left.holds(state) || right.holds(state),
        }
    }

    /// Lists the alarms that it names, by name or ARN.
    pub(in crate::local::gateway::cloudwatch) fn alarms(&self) -> BTreeSet<&str> {
        match self {
            Self::Always(_) => BTreeSet::new(),
            Self::Is(_, it) => BTreeSet::from([it.as_str()]),
            Self::AtLeast { alarms, .. } => alarms.iter().map(String::as_str).collect(),
            Self::Not(it) => it.alarms(),
            Self::And(left, right) | Self::Or(left, right) => &left.alarms() | &right.alarms(),
        }
    }
}

/// Cuts a rule into words: parentheses and commas are words, a quoted name begins with its quote.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            it if it.is_whitespace() => {
                rest = rest.get(it.len_utf8()..).unwrap_or_default();
                continue;
            }
            '(' | ')' | ',' => 1,
            '"' => {
                let inside = rest.get(1..).unwrap_or_default();
                let end = inside.find('"').ok_or("Error in AlarmRule: a quoted name has no end")?;
                words.push(format!("\"{}", inside.get(..end).unwrap_or_default()));
                rest = inside.get(end + 1..).unwrap_or_default();
                continue;
            }
            _ => rest.find(|it: char| it.is_whitespace() || "(),\"".contains(it)).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(length);
        words.push(word.to_owned());
        rest = after;
    }
    Ok(words)
}

struct Parser<'a> {
    words: &'a [String],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Logic, String> {
        self.depth += 1;
        if self.depth > 100 {
            return Err("AlarmRule is nested too deeply".to_owned());
        }
        let mut left = self.both()?;
        while self.take("OR") {
            left = Logic::Or(Box::new(left), Box::new(self.both()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn both(&mut self) -> Result<Logic, String> {
        let mut left = self.one()?;
        while self.take("AND") {
            left = Logic::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Logic, String> {
        let mut positive = true;
        while self.take("NOT") {
            positive = !positive;
        }
        let logic = self.element()?;
        Ok(if positive { logic } else { Logic::Not(Box::new(logic)) })
    }

    fn element(&mut self) -> Result<Logic, String> {
        let word = self.next()?;
        match word.to_ascii_uppercase().as_str() {
            "TRUE" => Ok(Logic::Always(true)),
            "FALSE" => Ok(Logic::Always(false)),
            "(" => {
                let inner = self.either()?;
                self.need(")")?;
                Ok(inner)
            }
            "AT_LEAST" => self.at_least(),
            _ => {
                let state = state(&word)?;
                self.need("(")?;
                let alarm = self.name()?;
                self.need(")")?;
                Ok(Logic::Is(state, alarm))
            }
        }
    }

    fn at_least(&mut self) -> Result<Logic, String> {
        self.need("(")?;
        let number = self.next()?;
        let digits = number.strip_suffix('%').unwrap_or(&number);
        let count = digits.parse().map_err(|_| format!("Error in AlarmRule: '{number}' is not a number"))?;
        self.need(",")?;
        let positive = !self.take("NOT");
        let state = state(&self.next()?)?;
        self.need(",")?;
        self.need("(")?;
        let mut alarms = vec![self.name()?];
        while self.take(",") {
            alarms.push(self.name()?);
        }
        self.need(")")?;
        self.need(")")?;
        Ok(Logic::AtLeast { count, percent: number.ends_with('%'), state: (state, positive), alarms })
    }

    /// Reads the name of an alarm: quoted, or as it is up to the parenthesis or comma that ends it.
    fn name(&mut self) -> Result<String, String> {
        let first = self.next()?;
        if let Some(it) = first.strip_prefix('"') {
            return Ok(it.to_owned());
        }
        let mut name = first;
        while let Some(it) = self.words.get(self.at).filter(|it| !matches!(it.as_str(), "(" | ")" | ",")) {
            name = format!("{name} {it}");
            self.at += 1;
        }
        if matches!(name.as_str(), "(" | ")" | ",") {
            return Err("Error in AlarmRule: the name of an alarm is missing".to_owned());
        }
        Ok(name)
    }

    fn next(&mut self) -> Result<String, String> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word.ok_or_else(|| "Error in AlarmRule: the rule is not finished".to_owned())
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.words.get(self.at).is_some_and(|it| it.eq_ignore_ascii_case(word));
        self.at += usize::from(there);
        there
    }

    fn need(&mut self, word: &str) -> Result<(), String> {
        let found = self.next()?;
        if found == word { Ok(()) } else { Err(format!("Error in AlarmRule: '{word}' is expected, not '{found}'")) }
    }
}

fn state(word: &str) -> Result<State, String> {
    match word.to_ascii_uppercase().as_str() {
        "ALARM" => Ok(State::Alarm),
        "OK" => Ok(State::Ok),
        "INSUFFICIENT_DATA" => Ok(State::InsufficientData),
        _ => Err(format!("Error in AlarmRule: '{word}' is neither a state nor an operator")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Alarms beginning with `a` are in ALARM, with `o` in OK; the others are unknown.
    fn holds(rule: &str) -> bool {
        let state = |name: &str| match name.chars().next() {
            Some('a') => Some(State::Alarm),
            Some('o') => Some(State::Ok),
            Some('i') => Some(State::InsufficientData),
            _ => None,
        };
        Logic::parse(rule).unwrap_or_else(|err| panic!("{rule}: {err}")).holds(&state)
    }

    #[test]
    fn rules_mean_what_they_say() {
        for rule in [
            "ALARM(a)",
            "ALARM(\"a b (c)\")",
            "ALARM(a b)",
            "ALARM(a) AND NOT ALARM(o)",
            "ALARM(o) OR ALARM(a)",
            "(ALARM(o) OR ALARM(a)) AND OK(o)",
            "FALSE OR INSUFFICIENT_DATA(i)",
            "ALARM(o) AND ALARM(o) OR TRUE",
            "NOT NOT ALARM(a)",
            "alarm(a) and ok(o)",
            "AT_LEAST(2, ALARM, (a1, a2, o))",
            "AT_LEAST(50%, NOT ALARM, (a1, o1))",
        ] {
            assert!(holds(rule), "{rule}");
        }
        for rule in ["FALSE", "OK(a)", "ALARM(gone)", "NOT ALARM(a)", "TRUE AND FALSE", "AT_LEAST(2, OK, (a1, o))"] {
            assert!(!holds(rule), "{rule}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for rule in
            ["", " TRUE", "ALARM()", "ALARM(a", "ALARM a", "ALARM(a) ALARM(b)", "AND", "NOT", "BROKEN(a)", "ALARM(\"a)"]
        {
            assert!(Logic::parse(rule).is_err(), "{rule}");
        }
        assert!(Logic::parse(&format!("{}TRUE{}", "(".repeat(400), ")".repeat(400))).is_err());
    }

    #[test]
    fn all_alarms_are_found() {
        let logic = Logic::parse("ALARM(a) AND (OK(\"b\") OR NOT AT_LEAST(1, OK, (c, d)))").expect("a rule");
        assert_eq!(logic.alarms(), BTreeSet::from(["a", "b", "c", "d"]));
    }

    proptest! {
        #[test]
        fn noise_is_refused_or_read(text in "[A-Za-z(),\" %0-9ä]{0,60}") {
            // Any text is either a rule or refused.
            let _ = Logic::parse(&text);
        }
    }
}
