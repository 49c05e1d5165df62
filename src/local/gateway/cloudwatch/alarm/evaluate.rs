//! What an alarm on a metric makes of its values: a state and a reason, from the rule and the values alone. Pure.
//!
//! Rules: "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data" in the CloudWatch user guide;
//! wording of reasons: as alarms at AWS say it. More periods are looked at than the rule counts, two as in the guide's
//! examples: real values from farther back stand in for missing ones.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{MetricRule, State, check::Comparison};
use crate::local::gateway::cloudwatch::{series::Stat, store::Sample};

/// How many periods more than the rule counts are looked at.
const BEYOND: i64 = 2;
/// How long values may take until they are here, in seconds.
const SETTLE: i64 = 5;

/// Which periods are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The length of a period, in seconds.
    pub(super) period: i64,
    /// How many there are.
    pub(super) count: i64,
    /// Where the last one ends.
    pub(super) end: i64,
}

impl Range {
    /// Says which periods a rule is evaluated over at a time. The window slides by a minute, or by ten seconds for
    /// periods below a minute; by whole periods where the rule goes by the clock.
    pub(super) fn of(rule: &MetricRule, now: i64) -> Self {
        let inner = rule.metrics.iter().filter_map(|it| it.metric_stat.as_ref()).map(|it| it.period).max();
        let period = rule.period.or(inner).unwrap_or(60).max(1);
        let by_clock = rule.evaluation_window.as_ref().is_some_and(|it| !it["WallClockWindow"].is_null());
        let step = match period {
            it if by_clock => it,
            0..60 => 10,
            _ => 60,
        };
        let end = (now - SETTLE).div_euclid(step) * step;
        Self { period, count: rule.evaluation_periods.unwrap_or(1).max(1) + BEYOND, end }
    }

    /// Returns where the first period begins.
    pub(super) fn start(&self) -> i64 {
        self.end - self.count * self.period
    }

    /// Lists where the periods begin.
    pub(super) fn steps(&self) -> impl Iterator<Item = i64> + use<> {
        let (start, period) = (self.start(), self.period);
        (0..self.count).map(move |i| start + i * period)
    }
}

/// What came of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::local::gateway::cloudwatch) struct Found {
    /// The state.
    pub(in crate::local::gateway::cloudwatch) state: State,
    /// Why, in words.
    pub(in crate::local::gateway::cloudwatch) reason: String,
    /// Why, as a JSON text.
    pub(in crate::local::gateway::cloudwatch) data: String,
}

/// A period and its value.
pub(super) type Step = (i64, Option<Sample>);

/// Evaluates a rule over periods, the oldest first; `None` where the alarm stays in its state.
pub(super) fn evaluate(rule: &MetricRule, steps: &[Step], now: Timestamp) -> Option<Found> {
    let comparison = Comparison::parse(rule.comparison_operator.as_deref().unwrap_or_default())?;
    let threshold = rule.threshold?;
    let counted = usize::try_from(rule.evaluation_periods.unwrap_or(1)).unwrap_or(1).max(1);
    let needed = rule.datapoints_to_alarm.and_then(|it| usize::try_from(it).ok()).unwrap_or(counted);
    let treatment = rule.treat_missing_data.as_deref().unwrap_or("missing");

    let newest_first = || steps.iter().rev();
    let real: Vec<(i64, Sample)> = newest_first().filter_map(|(at, it)| Some((*at, (*it)?))).take(counted).collect();
    let missing = counted - real.len();
    if rule.evaluate_low_sample_count_percentile.as_deref() == Some("ignore") {
        let stat = rule.extended_statistic.as_deref().and_then(Stat::parse);
        if real.iter().any(|(_, it)| is_thin(stat, it.count)) {
            return None;
        }
    }
    let is_breached = |it: &Sample| comparison.is_breached(it.value, threshold);
    let breaching = real.iter().filter(|it| is_breached(&it.1)).count();
    // All there is was breaching.
    let only_breaching = breaching == real.len();
    let state = match treatment {
        _ if breaching >= needed => State::Alarm,
        _ if missing == 0 => State::Ok,
        "breaching" if breaching + missing >= needed => State::Alarm,
        "ignore" if only_breaching => return None,
        "missing" if real.is_empty() => State::InsufficientData,
        // And that for long enough: no value has come since that could say otherwise.
        "missing" if only_breaching && oldest(steps) >= needed => State::Alarm,
        _ => State::Ok,
    };
    let words = Words { rule, comparison, threshold, counted, needed, missing, treatment };
    let shown: Vec<(i64, Sample)> =
        real.iter().copied().filter(|it| is_breached(&it.1) == (state == State::Alarm)).collect();
    Some(Found { state, reason: words.reason(state, &shown), data: words.data(steps, &real, now) })
}

/// Returns how many periods ago the oldest value is, counted from 1; 0 where there is none.
fn oldest(steps: &[Step]) -> usize {
    steps.iter().position(|it| it.1.is_some()).map_or(0, |it| steps.len() - it)
}

/// Says whether there are too few values for a percentile to mean anything.
fn is_thin(stat: Option<Stat>, count: f64) -> bool {
    let Some(Stat::Percentile(percent)) = stat else { return false };
    let share = percent / 100.0;
    let needed = if share >= 0.5 { 10.0 / (1.0 - share) } else { 10.0 / share };
    count < needed
}

struct Words<'a> {
    rule: &'a MetricRule,
    comparison: Comparison,
    threshold: f64,
    counted: usize,
    needed: usize,
    missing: usize,
    treatment: &'a str,
}

impl Words<'_> {
    fn reason(&self, state: State, shown: &[(i64, Sample)]) -> String {
        let points = |count: usize| if count == 1 { "datapoint" } else { "datapoints" };
        if state == State::InsufficientData {
            let verb = if self.counted == 1 { "was" } else { "were" };
            return format!("Insufficient Data: {} {} {verb} unknown.", self.counted, points(self.counted));
        }
        let treated = match self.treatment {
            "breaching" if self.missing > 0 => Some("Breaching"),
            "notBreaching" if self.missing > 0 => Some("NonBreaching"),
            _ => None,
        };
        let filled = treated.map(|it| {
            let verb = if self.missing == 1 { "was" } else { "were" };
            format!("{} missing {} {verb} treated as [{it}]", self.missing, points(self.missing))
        });
        if let (Some(filled), true) = (&filled, self.missing == self.counted) {
            let periods = if self.counted == 1 { "period" } else { "periods" };
            return format!(
                "Threshold Crossed: no datapoints were received for {} {periods} and {filled}.",
                self.counted
            );
        }
        let list: Vec<_> = shown.iter().map(|(at, it)| format!("{:?} ({})", it.value, clock(*at))).collect();
        let many = match self.rule.datapoints_to_alarm {
            Some(_) => format!("{} out of the last {} datapoints", shown.len(), self.counted),
            None => format!("{} {}", shown.len(), points(shown.len())),
        };
        let verb = if shown.len() == 1 { "was" } else { "were" };
        let not = if state == State::Alarm { "" } else { "not " };
        let filled = filled.map(|it| format!(" and {it}")).unwrap_or_default();
        let least = match (self.rule.datapoints_to_alarm, state) {
            (None, _) => String::new(),
            (Some(_), State::Alarm) => {
                format!(" (minimum {} {} for OK -> ALARM transition)", self.needed, points(self.needed))
            }
            (Some(_), _) => {
                let least = self.counted - self.needed + 1;
                format!(" (minimum {least} {} for ALARM -> OK transition)", points(least))
            }
        };
        format!(
            "Threshold Crossed: {many} [{}] {verb} {not}{} the threshold ({:?}){filled}{least}.",
            list.join(", "),
            self.comparison.words(),
            self.threshold
        )
    }

    fn data(&self, steps: &[Step], real: &[(i64, Sample)], now: Timestamp) -> String {
        let mut data = Map::new();
        data.insert("version".to_owned(), json!("1.0"));
        data.insert("queryDate".to_owned(), json!(moment(now)));
        let stamp = |at: i64| moment(Timestamp::from_second(at).unwrap_or_default());
        if let Some((at, _)) = real.last() {
            data.insert("startDate".to_owned(), json!(stamp(*at)));
        }
        if let Some(it) = self.rule.statistic.as_ref().or(self.rule.extended_statistic.as_ref()) {
            data.insert("statistic".to_owned(), json!(it));
        }
        let single = self.rule.period;
        let inner = self.rule.metrics.iter().filter_map(|it| it.metric_stat.as_ref()).map(|it| it.period).max();
        data.insert("period".to_owned(), json!(single.or(inner)));
        let values: Vec<f64> = real.iter().rev().map(|it| it.1.value).collect();
        data.insert("recentDatapoints".to_owned(), json!(values));
        data.insert("threshold".to_owned(), json!(self.threshold));
        let looked_at: Vec<Value> = match real {
            [] => steps.iter().rev().take(self.counted).map(|it| json!({ "timestamp": stamp(it.0) })).collect(),
            _ => real
                .iter()
                .map(|(at, it)| match single {
                    Some(_) => json!({ "timestamp": stamp(*at), "sampleCount": it.count, "value": it.value }),
                    None => json!({ "timestamp": stamp(*at), "value": it.value }),
                })
                .collect(),
        };
        data.insert("evaluatedDatapoints".to_owned(), json!(looked_at));
        Value::Object(data).to_string()
    }
}

/// Writes a period's time as reasons do: day first, to the second.
fn clock(at: i64) -> String {
    let at = Timestamp::from_second(at).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).strftime("%d/%m/%y %H:%M:%S").to_string()
}

/// Writes a time as alarms' data and messages do.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(counted: i64, needed: i64, treatment: &str) -> MetricRule {
        MetricRule {
            evaluation_periods: Some(counted),
            datapoints_to_alarm: (counted != needed).then_some(needed),
            treat_missing_data: Some(treatment.to_owned()),
            comparison_operator: Some("GreaterThanThreshold".to_owned()),
            threshold: Some(10.0),
            statistic: Some("Sum".to_owned()),
            period: Some(60),
            ..MetricRule::default()
        }
    }

    /// Steps as in the guide: `X` is breaching, `0` is not, `-` is missing; the newest is the last.
    fn steps(text: &str) -> Vec<Step> {
        let value = |it: &str| match it {
            "X" => Some(Sample { value: 11.0, count: 1.0 }),
            "0" => Some(Sample { value: 10.0, count: 1.0 }),
            _ => None,
        };
        (0..).step_by(60).zip(text.split(' ')).map(|(at, it)| (at, value(it))).collect()
    }

    fn state(rule: &MetricRule, text: &str) -> Option<State> {
        evaluate(rule, &steps(text), Timestamp::UNIX_EPOCH).map(|it| it.state)
    }

    #[test]
    fn missing_values_count_as_the_user_guide_says() {
        let (ok, alarm, unknown) = (Some(State::Ok), Some(State::Alarm), Some(State::InsufficientData));
        // The columns: missing, ignore, breaching, notBreaching. `None`: the state stays.
        let three_of_three = [
            ("0 - X - X", [ok, ok, ok, ok]),
            ("0 - - - -", [ok, ok, ok, ok]),
            ("- - - - -", [unknown, None, alarm, ok]),
            ("0 X X - X", [alarm, alarm, alarm, alarm]),
            ("- - X - -", [alarm, None, alarm, ok]),
        ];
        let two_of_three = [
            ("0 - X - X", [alarm, alarm, alarm, alarm]),
            ("0 0 X 0 X", [alarm, alarm, alarm, alarm]),
            ("0 - X - -", [ok, ok, alarm, ok]),
            ("- - - - 0", [ok, ok, alarm, ok]),
            ("- - - X -", [alarm, None, alarm, ok]),
        ];
        for (needed, table) in [(3, three_of_three), (2, two_of_three)] {
            for (text, wanted) in table {
                for (treatment, wanted) in ["missing", "ignore", "breaching", "notBreaching"].into_iter().zip(wanted) {
                    assert_eq!(state(&rule(3, needed, treatment), text), wanted, "{needed} of 3, {text}, {treatment}");
                }
            }
        }
        // Too early to say: the next value may be fine.
        for text in ["- - - - X", "- - - X -"] {
            assert_eq!(state(&rule(3, 3, "missing"), text), ok, "{text}");
        }
    }

    #[test]
    fn reasons_are_worded_as_at_aws() {
        let reason = |rule: &MetricRule, text: &str| {
            evaluate(rule, &steps(text), Timestamp::UNIX_EPOCH).map(|it| it.reason).unwrap_or_default()
        };
        let one = rule(1, 1, "missing");
        assert_eq!(
            reason(&one, "- - X"),
            "Threshold Crossed: 1 datapoint [11.0 (01/01/70 00:02:00)] was greater than the threshold (10.0)."
        );
        assert_eq!(
            reason(&one, "X - 0"),
            "Threshold Crossed: 1 datapoint [10.0 (01/01/70 00:02:00)] was not greater than the threshold (10.0)."
        );
        assert_eq!(reason(&one, "- - -"), "Insufficient Data: 1 datapoint was unknown.");
        assert_eq!(reason(&rule(2, 2, "missing"), "- - - -"), "Insufficient Data: 2 datapoints were unknown.");
        assert_eq!(
            reason(&rule(3, 2, "missing"), "0 0 X 0 X"),
            "Threshold Crossed: 2 out of the last 3 datapoints [11.0 (01/01/70 00:04:00), 11.0 (01/01/70 00:02:00)] were \
             greater than the threshold (10.0) (minimum 2 datapoints for OK -> ALARM transition)."
        );
        assert_eq!(
            reason(&rule(3, 2, "missing"), "0 0 X 0 0"),
            "Threshold Crossed: 2 out of the last 3 datapoints [10.0 (01/01/70 00:04:00), 10.0 (01/01/70 00:03:00)] were \
             not greater than the threshold (10.0) (minimum 2 datapoints for ALARM -> OK transition)."
        );
        assert_eq!(
            reason(&rule(2, 2, "breaching"), "- - - -"),
            "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as \
             [Breaching]."
        );
        assert_eq!(
            reason(&rule(2, 2, "notBreaching"), "- - - 0"),
            "Threshold Crossed: 1 datapoint [10.0 (01/01/70 00:03:00)] was not greater than the threshold (10.0) and 1 \
             missing datapoint was treated as [NonBreaching]."
        );
    }

    #[test]
    fn the_data_tell_what_was_looked_at() {
        let found = evaluate(&rule(2, 2, "missing"), &steps("X - X -"), Timestamp::from_second(300).expect("a time"));
        let data: Value = serde_json::from_str(&found.expect("a state").data).expect("JSON");
        assert_eq!(
            data,
            json!({
                "version": "1.0", "queryDate": "1970-01-01T00:05:00.000+0000", "startDate": "1970-01-01T00:00:00.000+0000",
                "statistic": "Sum", "period": 60, "recentDatapoints": [11.0, 11.0], "threshold": 10.0,
                "evaluatedDatapoints": [
                    { "timestamp": "1970-01-01T00:02:00.000+0000", "sampleCount": 1.0, "value": 11.0 },
                    { "timestamp": "1970-01-01T00:00:00.000+0000", "sampleCount": 1.0, "value": 11.0 },
                ],
            })
        );
    }

    #[test]
    fn a_percentile_of_few_values_may_be_ignored() {
        let few = MetricRule {
            statistic: None,
            extended_statistic: Some("p90".to_owned()),
            evaluate_low_sample_count_percentile: Some("ignore".to_owned()),
            ..rule(1, 1, "missing")
        };
        let steps = |count| [(0, Some(Sample { value: 11.0, count }))];
        assert_eq!(evaluate(&few, &steps(99.0), Timestamp::UNIX_EPOCH), None);
        assert!(evaluate(&few, &steps(101.0), Timestamp::UNIX_EPOCH).is_some_and(|it| it.state == State::Alarm));
        let evaluated = MetricRule { evaluate_low_sample_count_percentile: None, ..few };
        assert!(evaluate(&evaluated, &steps(1.0), Timestamp::UNIX_EPOCH).is_some());
    }

    #[test]
    fn windows_slide_by_the_minute_and_short_ones_by_ten_seconds() {
        let long = MetricRule { period: Some(300), ..rule(3, 3, "missing") };
        assert_eq!(Range::of(&long, 1_000_025), Range { period: 300, count: 5, end: 1_000_020 });
        assert_eq!(Range::of(&long, 1_000_024).end, 999_960, "values of the last seconds may be on their way");
        let clock = MetricRule { evaluation_window: Some(json!({ "WallClockWindow": {} })), ..long };
        assert_eq!(Range::of(&clock, 1_000_205).end, 1_000_200);
        let short = MetricRule { period: Some(30), ..rule(1, 1, "missing") };
        assert_eq!(Range::of(&short, 1_000_025), Range { period: 30, count: 3, end: 1_000_020 });
        assert_eq!(Range::of(&short, 1_000_025).steps().collect::<Vec<_>>(), [999_930, 999_960, 999_990]);
    }

    fn series() -> impl Strategy<Value = String> {
        prop::collection::vec(prop_oneof!["X", "0", "-"], 5).prop_map(|it| it.join(" "))
    }

    proptest! {
        #[test]
        fn enough_real_values_make_the_treatment_of_missing_ones_irrelevant(text in series(), needed in 1_i64..=3) {
            let real = text.matches(['X', '0']).count();
            let states = ["missing", "ignore", "breaching", "notBreaching"].map(|it| state(&rule(3, needed, it), &text));
            if real >= 3 {
                prop_assert!(states.iter().all(|it| *it == states[0] && it.is_some()), "{text}: {states:?}");
            }
            // Missing values that count as breaching never make things better than those that do not.
            let worse = |it: Option<State>| it == Some(State::Alarm);
            prop_assert!(worse(states[2]) || !worse(states[3]), "{text}: {states:?}");
        }

        #[test]
        fn a_worse_value_never_clears_an_alarm(text in series(), needed in 1_i64..=3, at in 0_usize..5) {
            let mut worse: Vec<&str> = text.split(' ').collect();
            prop_assume!(worse[at] == "0");
            worse[at] = "X";
            for treatment in ["missing", "breaching", "notBreaching"] {
                let rule = rule(3, needed, treatment);
                let (before, after) = (state(&rule, &text), state(&rule, &worse.join(" ")));
                prop_assert!(before != Some(State::Alarm) || after == Some(State::Alarm), "{text} -> {worse:?}");
            }
        }
    }
}
