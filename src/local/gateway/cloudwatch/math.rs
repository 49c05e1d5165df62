//! Metric math: expressions over series, parsed and evaluated. Pure.
//!
//! Grammar and functions: "Using math expressions with CloudWatch metrics" in the CloudWatch user guide. Not there:
//! `SEARCH`, anomaly detection, sorting and slicing, and parts of dates; they are refused by name.

use std::collections::{BTreeMap, BTreeSet};

mod evaluate;
mod parse;

pub(super) use parse::Expr;

/// A series: values by the time that each stands for.
pub(super) type Series = BTreeMap<i64, f64>;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// One number.
    Scalar(f64),
    /// One series.
    Series(Series),
    /// Several.
    Many(Vec<Series>),
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MathError {
    /// It cannot be read.
    #[error("the expression cannot be read at {at}: {what}")]
    Syntax {
        /// The place, counted in characters from 1.
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// It names something that is not there.
    #[error("there is no metric or expression with the id {0}")]
    Unknown(String),
    /// It needs its own value.
    #[error("the expression {0} depends on itself")]
    Cycle(String),
    /// A function that is none, or none of the local cloud.
    #[error("the function {0} is not one of the local cloud")]
    Function(String),
    /// A function was given what it cannot take.
    #[error("{function} needs {wanted}")]
    Argument {
        /// The function or operator.
        function: String,
        /// What it takes.
        wanted: &'static str,
    },
}

/// One of the queries that belong together.
#[derive(Clone, Debug)]
pub(super) struct Term {
    /// Its identifier.
    pub(super) id: String,
    /// What it is.
    pub(super) source: Source,
    /// The length of a step, in seconds.
    pub(super) period: i64,
}

/// What a query is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A metric's values.
    Metric(Series),
    /// An expression over others.
    Math(Expr),
}

/// Queries that belong together, over one stretch of time.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The queries, in the order of the request.
    pub(super) terms: Vec<Term>,
    /// Where the first step begins.
    pub(super) start: i64,
    /// Where the last one must have begun.
    pub(super) end: i64,
}

impl Scope {
    /// Evaluates one of the queries.
    pub(super) fn value(&self, id: &str) -> Result<Outcome, MathError> {
        self.resolve(id, &mut BTreeSet::new())
    }

    fn resolve(&self, id: &str, under_way: &mut BTreeSet<String>) -> Result<Outcome, MathError> {
        let term = self.term(id)?;
        match &term.source {
            Source::Metric(series) => Ok(Outcome::Series(series.clone())),
            Source::Math(expr) => {
                if !under_way.insert(id.to_owned()) {
                    return Err(MathError::Cycle(id.to_owned()));
                }
                let value = evaluate::evaluate(expr, self, under_way)?;
                under_way.remove(id);
                Ok(value)
            }
        }
    }

    fn term(&self, id: &str) -> Result<&Term, MathError> {
        self.terms.iter().find(|it| it.id == id).ok_or_else(|| MathError::Unknown(id.to_owned()))
    }

    /// Lists the times of all steps, in the shortest period.
    fn grid(&self) -> impl Iterator<Item = i64> + use<> {
        let metrics = self.terms.iter().filter(|it| matches!(it.source, Source::Metric(_)));
        let period = metrics.map(|it| it.period).min().unwrap_or(60).max(1);
        let (start, end) = (self.start, self.end);
        (0..).map(move |i| start + i * period).take_while(move |it| *it < end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(values: &[Option<f64>]) -> Series {
        (0..).step_by(60).zip(values).filter_map(|(at, it)| Some((at, (*it)?))).collect()
    }

    /// Evaluates over `a`, `b` and `gap` at the minutes 0 to 3.
    fn math(text: &str) -> Result<Outcome, MathError> {
        let metric = |id: &str, values: &[Option<f64>]| Term {
            id: id.to_owned(),
            source: Source::Metric(series(values)),
            period: 60,
        };
        let terms = vec![
            metric("a", &[Some(1.0), Some(2.0), Some(3.0), Some(4.0)]),
            metric("b", &[Some(10.0), Some(0.0), Some(30.0), Some(40.0)]),
            metric("gap", &[Some(5.0), None, Some(11.0), None]),
            Term { id: "double".into(), source: Source::Math(Expr::parse("2 * a")?), period: 60 },
            Term { id: "self".into(), source: Source::Math(Expr::parse("1 + self")?), period: 60 },
            Term { id: "e".into(), source: Source::Math(Expr::parse(text)?), period: 60 },
        ];
        Scope { terms, start: 0, end: 240 }.value("e")
    }

    fn gives(text: &str, values: &[Option<f64>]) {
        assert_eq!(math(text), Ok(Outcome::Series(series(values))), "{text}");
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        for (text, value) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("2 ^ 3 ^ 2", 512.0),
            ("-2 ^ 2", -4.0),
            ("10 - 4 - 3", 3.0),
            ("1 + 1 == 2", 1.0),
            ("1 > 2 || 3 >= 3", 1.0),
            ("1 > 2 AND 1", 0.0),
            ("1.5e1 / 3", 5.0),
            ("ABS(-3) + CEIL(0.2) + FLOOR(1.8)", 5.0),
        ] {
            assert_eq!(math(text), Ok(Outcome::Scalar(value)), "{text}");
        }
    }

    #[test]
    fn series_meet_where_both_have_a_value() {
        gives("a + gap", &[Some(6.0), None, Some(14.0), None]);
        gives("double - a", &[Some(1.0), Some(2.0), Some(3.0), Some(4.0)]);
        gives("a > 2", &[Some(0.0), Some(0.0), Some(1.0), Some(1.0)]);
        // A division by zero has no value.
        gives("a / b", &[Some(0.1), None, Some(0.1), Some(0.1)]);
    }

    #[test]
    fn gaps_are_filled_on_the_grid() {
        gives("FILL(gap, 0)", &[Some(5.0), Some(0.0), Some(11.0), Some(0.0)]);
        gives("FILL(gap, REPEAT)", &[Some(5.0), Some(5.0), Some(11.0), Some(11.0)]);
        gives("FILL(gap, LINEAR)", &[Some(5.0), Some(8.0), Some(11.0), None]);
        gives("FILL(gap, b)", &[Some(5.0), Some(0.0), Some(11.0), Some(40.0)]);
        gives("IF(b == 0, 0, a / b)", &[Some(0.1), Some(0.0), Some(0.1), Some(0.1)]);
        gives("IF(a > 2, b)", &[None, None, Some(30.0), Some(40.0)]);
        gives("IF(gap, 7, 8)", &[Some(7.0), None, Some(7.0), None]);
    }

    #[test]
    fn lists_are_summed_up_by_time_and_series_as_a_whole() {
        gives("SUM(METRICS())", &[Some(16.0), Some(2.0), Some(44.0), Some(44.0)]);
        gives("MAX([a, gap])", &[Some(5.0), Some(2.0), Some(11.0), Some(4.0)]);
        gives("AVG(METRICS(\"a\"))", &[Some(3.0), Some(2.0), Some(7.0), Some(4.0)]);
        gives("MIN([a, 2.5])", &[Some(1.0), Some(2.0), Some(2.5), Some(2.5)]);
        assert_eq!(math("SUM(a)"), Ok(Outcome::Scalar(10.0)));
        assert_eq!(math("MAX(gap) + DATAPOINT_COUNT(gap)"), Ok(Outcome::Scalar(13.0)));
        assert_eq!(math("METRIC_COUNT(METRICS())"), Ok(Outcome::Scalar(3.0)));
        gives("a - AVG(a)", &[Some(-1.5), Some(-0.5), Some(0.5), Some(1.5)]);
    }

    #[test]
    fn changes_are_between_values_that_follow_each_other() {
        gives("DIFF(gap)", &[None, None, Some(6.0), None]);
        gives("RATE(gap)", &[None, None, Some(0.05), None]);
        gives("RUNNING_SUM(a)", &[Some(1.0), Some(3.0), Some(6.0), Some(10.0)]);
        gives("b / PERIOD(b)", &[Some(10.0 / 60.0), Some(0.0), Some(0.5), Some(40.0 / 60.0)]);
        gives("TIME_SERIES(3)", &[Some(3.0); 4]);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        assert_eq!(math("c + 1"), Err(MathError::Unknown("c".into())));
        assert_eq!(math("self"), Err(MathError::Cycle("self".into())));
        assert_eq!(math("SEARCH('x', 'Sum')"), Err(MathError::Function("SEARCH".into())));
        assert!(matches!(math("ABS(1, 2)"), Err(MathError::Argument { function, .. }) if function == "ABS"));
        assert!(matches!(math("a + \"x\""), Err(MathError::Argument { .. })));
        for (text, at) in [("a +", 4), ("a b", 3), ("(a", 3), ("a $ b", 3), ("IF(a,", 6), ("", 1), ("\"x", 1)] {
            assert!(
                matches!(Expr::parse(text), Err(MathError::Syntax { at: found, .. }) if found == at),
                "{text}: {:?}",
                Expr::parse(text)
            );
        }
        let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
        assert!(matches!(Expr::parse(&deep), Err(MathError::Syntax { .. })));
    }

    proptest! {
        #[test]
        fn noise_is_refused_and_never_more(text in "[a-c0-9 ()+*/^,<>=&|\\[\\]\"A-Z-]{0,40}") {
            // Any text is either evaluated or refused.
            let _ = math(&text);
        }

        #[test]
        fn arithmetic_is_that_of_numbers(x in -100_i32..100, y in 1_i32..100, z in -100_i32..100) {
            let (a, b, c) = (f64::from(x), f64::from(y), f64::from(z));
            let text = format!("({x}) + ({z}) * ({x}) / ({y}) - ({z})");
            let Ok(Outcome::Scalar(found)) = math(&text) else { return Err(TestCaseError::fail(text)) };
            prop_assert!((found - (a + c * a / b - c)).abs() < 1e-9);
        }
    }
}
