//! The meaning of metric math: a tree to a number or to series.

use std::collections::BTreeSet;

use super::{
    MathError, Outcome, Scope, Series, Source,
    parse::{Expr, Operator},
};

/// Evaluates an expression. `under_way` are the expressions that wait for it.
pub(super) fn evaluate(expr: &Expr, scope: &Scope, under_way: &mut BTreeSet<String>) -> Result<Outcome, MathError> {
    match expr {
        Expr::Number(it) => Ok(Outcome::Scalar(*it)),
        Expr::Text(_) => Err(wrong("a text", "a function that takes one")),
        Expr::Name(id) => scope.resolve(id, under_way),
        Expr::Negative(inner) => {
            let zero = Outcome::Scalar(0.0);
            pairwise("-", &zero, &evaluate(inner, scope, under_way)?, |left, right| left - right)
        }
        Expr::List(items) => series_of(items, scope, under_way).map(Outcome::Many),
        Expr::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, scope, under_way)?, evaluate(right, scope, under_way)?);
            pairwise("an operator", &left, &right, |left, right| apply(*operator, left, right))
        }
        Expr::Call(name, arguments) => call(name, arguments, scope, under_way),
    }
}

fn apply(operator: Operator, left: f64, right: f64) -> f64 {
    let truth = |it: bool| if it { 1.0 } else { 0.0 };
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Power => left.powf(right),
        Operator::Equal => truth(is_same(left, right)),
        Operator::Unequal => truth(!is_same(left, right)),
        Operator::Less => truth(left < right),
        Operator::AtMost => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::AtLeast => truth(left >= right),
        Operator::And => truth(is_true(left) && is_true(right)),
        Operator::Or => truth(is_true(left) || is_true(right)),
    }
}

fn is_same(left: f64, right: f64) -> bool {
    left.total_cmp(&right).is_eq() || (left - right).abs() < f64::EPSILON
}

fn is_true(it: f64) -> bool {
    !is_same(it, 0.0)
}

fn wrong(function: &str, wanted: &'static str) -> MathError {
    MathError::Argument { function: function.to_owned(), wanted }
}

/// Keeps what is a number: a division by zero has no value.
fn finite(series: impl IntoIterator<Item = (i64, f64)>) -> Series {
    series.into_iter().filter(|it| it.1.is_finite()).collect()
}

/// Joins two operands, where both have a value.
fn pairwise(
    what: &str,
    left: &Outcome,
    right: &Outcome,
    join: impl Fn(f64, f64) -> f64 + Copy,
) -> Result<Outcome, MathError> {
    let meet = |left: &Series, right: &Series| {
        finite(left.iter().filter_map(|(at, it)| Some((*at, join(*it, *right.get(at)?)))))
    };
    Ok(match (left, right) {
        (Outcome::Scalar(left), Outcome::Scalar(right)) => Outcome::Scalar(join(*left, *right)),
        (Outcome::Series(left), Outcome::Scalar(right)) => {
            Outcome::Series(finite(left.iter().map(|(at, it)| (*at, join(*it, *right)))))
        }
        (Outcome::Scalar(left), Outcome::Series(right)) => {
            Outcome::Series(finite(right.iter().map(|(at, it)| (*at, join(*left, *it)))))
        }
        (Outcome::Series(left), Outcome::Series(right)) => Outcome::Series(meet(left, right)),
        (Outcome::Many(all), other) | (other, Outcome::Many(all)) => {
            let from_left = matches!(left, Outcome::Many(_));
            let one = |it: &Series| {
                let it = Outcome::Series(it.clone());
                match (from_left, other) {
                    (_, Outcome::Many(_)) => Err(wrong(what, "a list on one side only")),
                    (true, other) => pairwise(what, &it, other, join),
                    (false, other) => pairwise(what, other, &it, join),
                }
            };
            let joined: Result<Vec<_>, _> = all.iter().map(|it| one(it).and_then(|it| series(what, it))).collect();
            Outcome::Many(joined?)
        }
    })
}

fn series(function: &str, outcome: Outcome) -> Result<Series, MathError> {
    match outcome {
        Outcome::Series(it) => Ok(it),
        _ => Err(wrong(function, "a time series")),
    }
}

/// Evaluates the entries of a list; a number stands for a series of it.
fn series_of(items: &[Expr], scope: &Scope, under_way: &mut BTreeSet<String>) -> Result<Vec<Series>, MathError> {
    let mut all = Vec::new();
    for item in items {
        match evaluate(item, scope, under_way)? {
            Outcome::Scalar(it) => all.push(scope.grid().map(|at| (at, it)).collect()),
            Outcome::Series(it) => all.push(it),
            Outcome::Many(it) => all.extend(it),
        }
    }
    Ok(all)
}

fn call(name: &str, arguments: &[Expr], scope: &Scope, under_way: &mut BTreeSet<String>) -> Result<Outcome, MathError> {
    match (name, arguments) {
        ("METRICS", filter) => {
            let wanted: &str = match filter {
                [] => "",
                [Expr::Text(it)] => it,
                _ => return Err(wrong(name, "nothing, or a part of identifiers in quotes")),
            };
            let metrics = scope.terms.iter().filter(|it| it.id.contains(wanted));
            let series = metrics.filter_map(|it| match &it.source {
                Source::Metric(series) => Some(series.clone()),
                Source::Math(_) => None,
            });
            Ok(Outcome::Many(series.collect()))
        }
        ("PERIOD", [Expr::Name(id)]) => {
            let seconds = u32::try_from(scope.term(id)?.period).unwrap_or(u32::MAX);
            Ok(Outcome::Scalar(f64::from(seconds)))
        }
        ("FILL", [what, with]) => fill(what, with, scope, under_way),
        ("IF", [condition, rest @ ..]) if (1..=2).contains(&rest.len()) => {
            let condition = evaluate(condition, scope, under_way)?;
            let rest: Result<Vec<_>, _> = rest.iter().map(|it| evaluate(it, scope, under_way)).collect();
            choose(&condition, &rest?)
        }
        ("TIME_SERIES", [number]) => match evaluate(number, scope, under_way)? {
            Outcome::Scalar(it) => Ok(Outcome::Series(scope.grid().map(|at| (at, it)).collect())),
            _ => Err(wrong(name, "a number")),
        },
        ("FILL", _) => Err(wrong(name, "a time series and what to fill it with")),
        ("IF", _) => Err(wrong(name, "a condition and one or two values")),
        ("PERIOD", _) => Err(wrong(name, "a metric")),
        (_, [argument]) if OF_ONE.contains(&name) => of_one(name, evaluate(argument, scope, under_way)?),
        _ if OF_ONE.contains(&name) || name == "TIME_SERIES" => Err(wrong(name, "one argument")),
        _ => Err(MathError::Function(name.to_owned())),
    }
}

/// The functions of one argument, which may be a number, a series or several.
const OF_ONE: [&str; 18] = [
    "ABS",
    "AVG",
    "CEIL",
    "DATAPOINT_COUNT",
    "DIFF",
    "DIFF_TIME",
    "FIRST",
    "FLOOR",
    "LAST",
    "LOG",
    "LOG10",
    "MAX",
    "METRIC_COUNT",
    "MIN",
    "RATE",
    "RUNNING_SUM",
    "STDDEV",
    "SUM",
];

/// Evaluates one of them.
fn of_one(name: &str, argument: Outcome) -> Result<Outcome, MathError> {
    let each: Option<fn(f64) -> f64> = match name {
        "ABS" => Some(f64::abs),
        "CEIL" => Some(f64::ceil),
        "FLOOR" => Some(f64::floor),
        "LOG" => Some(f64::ln),
        "LOG10" => Some(f64::log10),
        _ => None,
    };
    if let Some(each) = each {
        return Ok(match argument {
            Outcome::Scalar(it) => Outcome::Scalar(each(it)),
            Outcome::Series(it) => Outcome::Series(finite(it.into_iter().map(|(at, it)| (at, each(it))))),
            Outcome::Many(all) => {
                let one = |it: Series| finite(it.into_iter().map(|(at, it)| (at, each(it))));
                Outcome::Many(all.into_iter().map(one).collect())
            }
        });
    }
    let sum_up: Option<fn(&[f64]) -> f64> = match name {
        "AVG" => Some(|it| it.iter().sum::<f64>() / number(it.len())),
        "SUM" => Some(|it| it.iter().sum()),
        "MIN" => Some(|it| it.iter().copied().fold(f64::INFINITY, f64::min)),
        "MAX" => Some(|it| it.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "STDDEV" => Some(|it| {
            let mean = it.iter().sum::<f64>() / number(it.len());
            (it.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / number(it.len())).sqrt()
        }),
        "DATAPOINT_COUNT" => Some(|it| number(it.len())),
        _ => None,
    };
    if let Some(sum_up) = sum_up {
        return Ok(match argument {
            Outcome::Scalar(it) => Outcome::Scalar(sum_up(&[it])),
            Outcome::Series(it) => Outcome::Scalar(sum_up(&it.into_values().collect::<Vec<_>>())),
            Outcome::Many(all) => {
                let times: BTreeSet<i64> = all.iter().flat_map(|it| it.keys().copied()).collect();
                let at = |at: i64| (at, sum_up(&all.iter().filter_map(|it| it.get(&at).copied()).collect::<Vec<_>>()));
                Outcome::Series(finite(times.into_iter().map(at)))
            }
        });
    }
    match (name, argument) {
        ("METRIC_COUNT", Outcome::Many(all)) => Ok(Outcome::Scalar(number(all.len()))),
        ("METRIC_COUNT", Outcome::Series(_)) => Ok(Outcome::Scalar(1.0)),
        ("METRIC_COUNT", Outcome::Scalar(_)) => Err(wrong(name, "a list of time series")),
        ("FIRST", Outcome::Series(it)) => Ok(Outcome::Scalar(it.into_values().next().unwrap_or(f64::NAN))),
        ("LAST", Outcome::Series(it)) => Ok(Outcome::Scalar(it.into_values().next_back().unwrap_or(f64::NAN))),
        ("DIFF" | "RATE" | "RUNNING_SUM" | "DIFF_TIME", Outcome::Series(it)) => Ok(Outcome::Series(steps(name, &it))),
        ("DIFF" | "RATE" | "RUNNING_SUM" | "DIFF_TIME", Outcome::Many(all)) => {
            Ok(Outcome::Many(all.iter().map(|it| steps(name, it)).collect()))
        }
        ("DIFF" | "RATE" | "RUNNING_SUM" | "DIFF_TIME" | "FIRST" | "LAST", _) => Err(wrong(name, "a time series")),
        _ => Err(MathError::Function(name.to_owned())),
    }
}

/// Functions of a value and the one before it.
fn steps(name: &str, series: &Series) -> Series {
    if name == "RUNNING_SUM" {
        let mut sum = 0.0;
        let add = |(at, it): (&i64, &f64)| {
            sum += it;
            (*at, sum)
        };
        return series.iter().map(add).collect();
    }
    let pairs = series.iter().zip(series.iter().skip(1));
    finite(pairs.map(|((before, from), (at, to))| {
        let seconds = f64::from(i32::try_from(at - before).unwrap_or(i32::MAX));
        let value = match name {
            "DIFF" => to - from,
            "RATE" => (to - from) / seconds,
            _ => seconds,
        };
        (*at, value)
    }))
}

fn fill(what: &Expr, with: &Expr, scope: &Scope, under_way: &mut BTreeSet<String>) -> Result<Outcome, MathError> {
    let fill: Box<dyn Fn(&Series) -> Series> = match with {
        Expr::Name(word) if word.eq_ignore_ascii_case("REPEAT") => Box::new(|known| {
            let before = |at: i64| known.range(..=at).next_back().map(|it| (at, *it.1));
            scope.grid().filter_map(before).collect()
        }),
        Expr::Name(word) if word.eq_ignore_ascii_case("LINEAR") => Box::new(|known| {
            let between = |at: i64| {
                let (from, low) = known.range(..=at).next_back()?;
                let (to, high) = known.range(at..).next()?;
                let share = |it: i64| f64::from(i32::try_from(it).unwrap_or(i32::MAX));
                let part = if to == from { 0.0 } else { share(at - from) / share(to - from) };
                Some((at, low + (high - low) * part))
            };
            scope.grid().filter_map(between).collect()
        }),
        _ => match evaluate(with, scope, under_way)? {
            Outcome::Scalar(number) => Box::new(move |_| scope.grid().map(|at| (at, number)).collect()),
            Outcome::Series(other) => Box::new(move |_| other.clone()),
            Outcome::Many(_) => return Err(wrong("FILL", "a number, a time series, REPEAT or LINEAR")),
        },
    };
    let whole = |known: Series| {
        let mut all = fill(&known);
        all.extend(known);
        all
    };
    match evaluate(what, scope, under_way)? {
        Outcome::Series(it) => Ok(Outcome::Series(whole(it))),
        Outcome::Many(all) => Ok(Outcome::Many(all.into_iter().map(whole).collect())),
        Outcome::Scalar(_) => Err(wrong("FILL", "a time series")),
    }
}

/// Takes, at each time, one of two values.
fn choose(condition: &Outcome, values: &[Outcome]) -> Result<Outcome, MathError> {
    let at = |outcome: Option<&Outcome>, at: i64| match outcome {
        Some(Outcome::Scalar(it)) => Ok(Some(*it)),
        Some(Outcome::Series(it)) => Ok(it.get(&at).copied()),
        Some(Outcome::Many(_)) => Err(wrong("IF", "time series or numbers")),
        None => Ok(None),
    };
    match condition {
        Outcome::Scalar(it) => match (is_true(*it), values) {
            (true, [value, ..]) | (false, [_, value]) => Ok(value.clone()),
            _ => Ok(Outcome::Series(Series::new())),
        },
        Outcome::Series(condition) => {
            let mut chosen = Series::new();
            for (time, truth) in condition {
                let value = if is_true(*truth) { values.first() } else { values.get(1) };
                chosen.extend(at(value, *time)?.map(|it| (*time, it)));
            }
            Ok(Outcome::Series(chosen))
        }
        Outcome::Many(_) => Err(wrong("IF", "one condition")),
    }
}

fn number(it: usize) -> f64 {
    f64::from(u32::try_from(it).unwrap_or(u32::MAX))
}
