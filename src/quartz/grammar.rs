//! Quartz' form of cron, as schedules of jobs write it: six fields or seven. Pure.

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

/// Says what is wrong with an expression, and what to do; `None` where it is one.
pub(in crate::resource) fn mistake(cron: &str) -> Option<(String, String)> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    if !(6..=7).contains(&fields.len()) {
        let message = format!("`{cron}` has {} fields, and Quartz wants 6 or 7", fields.len());
        let help = match fields.as_slice() {
            // What everybody writes who knows cron from Unix.
            [minute, hour, day, month, week] => {
                let (day, week) = if *week == "*" { (*day, "?") } else { ("?", *week) };
                format!("seconds come first, and one of the two days is `?`: `0 {minute} {hour} {day} {month} {week}`")
            }
            _ => "seconds, minutes, hours, day of the month, month, day of the week, and perhaps a year".to_owned(),
        };
        return Some((message, help));
    }
    for (i, (field, part)) in fields.iter().zip(&PARTS).enumerate() {
        if let Some(item) = field.split(',').find(|it| !fits(it, i, part) || *it == "?" && *field != "?") {
            let message = format!("`{item}` is no {} of Quartz' cron", part.name);
            let (least, most) = (part.least, part.most);
            let help = match i {
                DAY_OF_WEEK => "1 to 7, beginning with Sunday, or SUN to SAT; `?`, `*`, ranges, `6L`, `2#1`".to_owned(),
                _ => format!("{least} to {most}, `*`, ranges such as `{least}-{}`, steps such as `*/5`", least + 1),
            };
            return Some((message, help));
        }
    }
    let open = |i: usize| fields[i] == "?";
    match (open(DAY_OF_MONTH), open(DAY_OF_WEEK)) {
        (true, true) => Some((
            "both days are `?`, which leaves the day open".to_owned(),
            "write `*` for one of them: every day".to_owned(),
        )),
        (false, false) => Some((
            "neither the day of the month nor the day of the week is `?`".to_owned(),
            "Quartz takes one of them; write `?` for the other".to_owned(),
        )),
        _ => None,
    }
}

/// Says whether one item of a list can stand in a field.
fn fits(item: &str, index: usize, part: &Part) -> bool {
    let is_day = index == DAY_OF_MONTH || index == DAY_OF_WEEK;
    if item == "*" || item == "?" && is_day {
        return true;
    }
    if let Some((from, step)) = item.split_once('/') {
        let fits = matches!(from, "*" | "") || range(from, part) || value(from, part).is_some();
        return fits && step.parse::<u32>().is_ok_and(|it| it > 0 && it <= part.most);
    }
    if index == DAY_OF_MONTH {
        let nearest = item.strip_suffix('W').is_some_and(|it| it == "L" || value(it, part).is_some());
        let before = item.strip_prefix("L-").and_then(|it| it.parse::<u32>().ok()).is_some_and(|it| it <= 30);
        if item == "L" || nearest || before {
            return true;
        }
    }
    if index == DAY_OF_WEEK {
        let last = item.strip_suffix('L').is_some_and(|it| it.is_empty() || value(it, part).is_some());
        let nth = item.split_once('#').is_some_and(|(day, n)| {
            value(day, part).is_some() && n.parse::<u32>().is_ok_and(|it| (1..=5).contains(&it))
        });
        if last || nth {
            return true;
        }
    }
    range(item, part) || value(item, part).is_some()
}

/// A range. It may lead over the end, as `FRI-MON` does, but not among years.
fn range(item: &str, part: &Part) -> bool {
    let ends = item.split_once('-').and_then(|(from, to)| Some((value(from, part)?, value(to, part)?)));
    ends.is_some_and(|(from, to)| from <= to || part.least != 1970)
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
        ] {
            assert_eq!(mistake(cron), None, "{cron}");
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
        ] {
            let (message, _) = mistake(cron).unwrap_or_else(|| panic!("{cron} is taken"));
            assert!(message.contains(told), "{cron}: {message}");
        }
        let (_, help) = mistake("30 3 * * 1").expect("Unix'");
        assert!(help.ends_with("`0 30 3 ? * 1`"), "{help}");
    }
}
