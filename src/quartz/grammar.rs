//! What Quartz' form of cron may say, and the numbers that each field stands for. Pure.
//!
//! The grammar is that of Quartz' own documentation (quartz-scheduler.org, `CronExpression`): six fields or seven, Sunday is
//! 1, one of the two days is `?`; ranges may lead over the end, `L`, `W` and `#` stand alone.

use std::fmt;

/// What a field may hold.
struct Part {
    name: &'static str,
    least: u32,
    most: u32,
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const PARTS: [Part; 7] = [
    Part { name: "second", least: 0, most: 59, words: &[] },
    Part { name: "minute", least: 0, most: 59, words: &[] },
    Part { name: "hour", least: 0, most: 23, words: &[] },
    Part { name: "day of the month", least: 1, most: 31, words: &[] },
    Part { name: "month", least: 1, most: 12, words: &MONTHS },
    Part { name: "day of the week", least: 1, most: 7, words: &DAYS },
    Part { name: "year", least: 1970, most: 2099, words: &[] },
];
const DAY_OF_MONTH: usize = 3;
const DAY_OF_WEEK: usize = 5;
const YEAR: usize = 6;

/// What is wrong with an expression or the name of a zone, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.help)
    }
}

impl Mistake {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// An expression, taken apart.
#[derive(Debug)]
pub(super) struct Fields {
    /// The fields, with numbers alone: no names, no steps, no ranges over the end.
    pub(super) plain: Vec<String>,
    /// How many days before the last of the month, for `L-3`; its field is `*`.
    pub(super) from_end: Option<i8>,
    /// The seconds, minutes and hours.
    pub(super) clock: [Vec<u32>; 3],
}

/// What one item of a list stands for.
enum Item {
    All,
    Open,
    Numbers(Vec<u32>),
    /// What only the evaluation of a month can tell: `L`, `15W`, `6L`, `2#3`.
    Special(String),
    FromEnd(i8),
}

/// Takes an expression apart, or says what is wrong with it.
pub(super) fn fields(cron: &str) -> Result<Fields, Mistake> {
    let given: Vec<&str> = cron.split_whitespace().collect();
    if !(6..=7).contains(&given.len()) {
        let message = format!("`{cron}` has {} fields, and Quartz wants 6 or 7", given.len());
        let help = match given.as_slice() {
            // What everybody writes who knows cron from Unix.
            [minute, hour, day, month, week] => {
                let (day, week) = if *week == "*" { (*day, "?") } else { ("?", *week) };
                format!("seconds come first, and one of the two days is `?`: `0 {minute} {hour} {day} {month} {week}`")
            }
            _ => "seconds, minutes, hours, day of the month, month, day of the week, and perhaps a year".to_owned(),
        };
        return Err(Mistake::new(message, help));
    }
    let mut read = Fields { plain: Vec::new(), from_end: None, clock: Default::default() };
    for (i, (field, part)) in given.iter().zip(&PARTS).enumerate() {
        let alone = !field.contains(',');
        let mut numbers = Vec::new();
        let mut plain = None;
        for text in field.split(',') {
            match item(&text.to_ascii_uppercase(), i, part) {
                Some(Item::All) => numbers.extend(part.least..=part.most),
                Some(Item::Numbers(some)) => numbers.extend(some),
                Some(Item::Open) if alone => plain = Some("?".to_owned()),
                Some(Item::Special(it)) if alone => plain = Some(it),
                Some(Item::FromEnd(days)) if alone => {
                    read.from_end = Some(days);
                    plain = Some("*".to_owned());
                }
                _ => return Err(wrong(text, i, part)),
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let all = numbers.len() == (part.most - part.least + 1) as usize;
        let list = || numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        read.plain.push(plain.unwrap_or_else(|| if all { "*".to_owned() } else { list() }));
        if let Some(it) = read.clock.get_mut(i) {
            *it = numbers;
        }
    }
    let open = |i: usize| given[i] == "?";
    match (open(DAY_OF_MONTH), open(DAY_OF_WEEK)) {
        (true, true) => {
            Err(Mistake::new("both days are `?`, which leaves the day open", "write `*` for one of them: every day"))
        }
        (false, false) => Err(Mistake::new(
            "neither the day of the month nor the day of the week is `?`",
            "Quartz takes one of them; write `?` for the other",
        )),
        _ => Ok(read),
    }
}

fn wrong(item: &str, index: usize, part: &Part) -> Mistake {
    let message = format!("`{item}` is no {} of Quartz' cron", part.name);
    let (least, most) = (part.least, part.most);
    let help = match index {
        DAY_OF_WEEK => {
            "1 to 7, beginning with Sunday, or SUN to SAT; `?`, `*`, ranges; `6L` and `2#1` alone".to_owned()
        }
        DAY_OF_MONTH => "1 to 31, `?`, `*`, ranges, steps such as `*/5`; `L`, `L-3`, `LW` and `15W` alone".to_owned(),
        _ => format!("{least} to {most}, `*`, ranges such as `{least}-{}`, steps such as `*/5`", least + 1),
    };
    Mistake::new(message, help)
}

/// Reads one item of a list.
fn item(item: &str, index: usize, part: &Part) -> Option<Item> {
    match item {
        "*" => return Some(Item::All),
        "?" if index == DAY_OF_MONTH || index == DAY_OF_WEEK => return Some(Item::Open),
        _ => (),
    }
    if let Some((from, step)) = item.split_once('/') {
        let step: usize = step.parse().ok().filter(|it| (1..=part.most as usize).contains(it))?;
        let numbers = match from {
            "*" | "" => (part.least..=part.most).collect(),
            // "From then on", to the end.
            _ => range(from, index, part).or_else(|| Some((value(from, part)?..=part.most).collect()))?,
        };
        return Some(Item::Numbers(numbers.into_iter().step_by(step).collect()));
    }
    if index == DAY_OF_MONTH {
        if let Some(days) = item.strip_prefix("L-") {
            return days.parse().ok().filter(|it| (0..=30).contains(it)).map(Item::FromEnd);
        }
        if item == "L" || item == "LW" || item.strip_suffix('W').is_some_and(|it| value(it, part).is_some()) {
            return Some(Item::Special(item.to_owned()));
        }
    }
    if index == DAY_OF_WEEK {
        if item == "L" {
            return Some(Item::Numbers(vec![part.most]));
        }
        if let Some(day) = item.strip_suffix('L').and_then(|it| value(it, part)) {
            return Some(Item::Special(format!("{day}L")));
        }
        if let Some((day, nth)) = item.split_once('#') {
            let nth: u32 = nth.parse().ok().filter(|it| (1..=5).contains(it))?;
            return Some(Item::Special(format!("{}#{nth}", value(day, part)?)));
        }
    }
    range(item, index, part).or_else(|| Some(vec![value(item, part)?])).map(Item::Numbers)
}

/// A range. It may lead over the end, as `FRI-MON` does, but not among years.
fn range(item: &str, index: usize, part: &Part) -> Option<Vec<u32>> {
    let (from, to) = item.split_once('-')?;
    let (from, to) = (value(from, part)?, value(to, part)?);
    match from <= to {
        true => Some((from..=to).collect()),
        false if index == YEAR => None,
        false => Some((from..=part.most).chain(part.least..=to).collect()),
    }
}

fn value(item: &str, part: &Part) -> Option<u32> {
    let word = part.words.iter().position(|it| it.eq_ignore_ascii_case(item));
    let word = word.and_then(|it| u32::try_from(it).ok()).map(|it| it + part.least);
    let digits = item.bytes().all(|it| it.is_ascii_digit()).then(|| item.parse().ok()).flatten();
    word.or(digits.filter(|it| (part.least..=part.most).contains(it)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_quartz_takes() {
        for cron in [
            "0 0 3 * * ?",
            "0 0/15 * ? * MON-FRI",
            "0 0 12 1/5 * ?",
            "0 15 10 L * ?",
            "0 15 10 LW * ?",
            "0 15 10 L-3 * ?",
            "0 15 10 15W * ?",
            "0 15 10 ? * 6L 2026-2030",
            "0 15 10 ? * 6#3",
            "0 11 11 11 11 ?",
            "10,20 * * * jan,JUL ?",
            "0 0 0 ? * FRI-MON",
            "0 0 0 ? * MON/2",
            "0 0 22-4/2 * NOV-FEB ?",
            "0 0 0 ? * fril",
        ] {
            fields(cron).unwrap_or_else(|it| panic!("{cron}: {it}"));
        }
    }

    #[test]
    fn what_it_does_not() {
        for (cron, told) in [
            ("0 3 * * *", "has 5 fields"),
            ("", "has 0 fields"),
            ("0 0 3 * * ? 2026 x", "has 8 fields"),
            ("60 0 3 * * ?", "`60` is no second"),
            ("0 0 24 * * ?", "`24` is no hour"),
            ("0 0 3 0 * ?", "`0` is no day of the month"),
            ("0 0 3 ? * 0", "`0` is no day of the week"),
            ("0 0 3 ? * 8", "`8` is no day of the week"),
            ("0 0 3 ? * MON#6", "`MON#6` is no day of the week"),
            ("0 0 3 * 13 ?", "`13` is no month"),
            ("0 ? 3 * * ?", "`?` is no minute"),
            ("0 0/0 3 * * ?", "`0/0` is no minute"),
            ("0 0 3 1,? * MON", "`?` is no day of the month"),
            ("0 0 3 * * *", "neither"),
            ("0 0 3 ? * ?", "both days are `?`"),
            ("0 0 3 * * ? 1969", "`1969` is no year"),
            ("0 -1 3 * * ?", "`-1` is no minute"),
            ("0 0 3 L,15 * ?", "`L` is no day of the month"),
            ("0 0 3 ? * 2#1,3", "`2#1` is no day of the week"),
            ("0 0 3 L-31 * ?", "`L-31` is no day of the month"),
            ("0 0 3 * * ? 2030-2026", "`2030-2026` is no year"),
        ] {
            let mistake = fields(cron).err().unwrap_or_else(|| panic!("{cron} is taken"));
            assert!(mistake.message.contains(told), "{cron}: {mistake}");
        }
        let mistake = fields("30 3 * * 1").expect_err("Unix'");
        assert!(mistake.help.ends_with("`0 30 3 ? * 1`"), "{mistake}");
    }
}
