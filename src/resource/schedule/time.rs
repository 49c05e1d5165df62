//! When a schedule invokes, in the words of EventBridge Scheduler: `rate(…)` and `cron(…)`. Pure.

use crate::{quantity::Span, quartz::Quartz};

/// Writes a rate in its largest unit.
pub(super) fn rate(every: Span) -> String {
    let minutes = every.as_secs() / 60;
    let (count, unit) = match minutes {
        it if it % 1440 == 0 => (it / 1440, "day"),
        it if it % 60 == 0 => (it / 60, "hour"),
        it => (it, "minute"),
    };
    format!("rate({count} {unit}{})", if count == 1 { "" } else { "s" })
}

/// Takes an expression apart: how far apart, or else cron. One of another form, `at(…)`, is shown as it is.
pub(super) fn read(expression: &str) -> (Option<Span>, Option<String>) {
    let inner = |name: &str| expression.trim().strip_prefix(name)?.strip_suffix(')').map(str::trim);
    if let Some(every) = inner("rate(").and_then(span) {
        return (Some(every), None);
    }
    let cron = inner("cron(").map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    (None, Some(cron.unwrap_or_else(|| expression.to_owned())))
}

fn span(rate: &str) -> Option<Span> {
    let (count, unit) = rate.split_once(char::is_whitespace)?;
    let seconds = match unit.trim().trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Span::seconds(count.parse::<u64>().ok()?.checked_mul(seconds)?))
}

/// Says what is wrong with AWS' form of cron, and what to do; `None` where it is one. It is Quartz' form without seconds,
/// and with a year.
pub(super) fn mistake(cron: &str) -> Option<(String, String)> {
    let fields = cron.split_whitespace().count();
    if fields != 6 {
        let help = "minutes, hours, day of the month, month, day of the week, year: `30 3 * * ? *`".to_owned();
        return Some((format!("`{cron}` has {fields} fields, and AWS wants 6"), help));
    }
    Quartz::parse(&format!("0 {cron}"), "UTC").err().map(|it| (it.message, it.help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for (seconds, text) in
            [(60, "rate(1 minute)"), (300, "rate(5 minutes)"), (3600, "rate(1 hour)"), (172_800, "rate(2 days)")]
        {
            let every = Span::seconds(seconds);
            assert_eq!((rate(every).as_str(), read(text)), (text, (Some(every), None)));
        }
        assert_eq!(read("rate(60 minutes)").0, Some(Span::seconds(3600)));
    }

    #[test]
    fn other_expressions_are_shown() {
        assert_eq!(read("cron(0/5 *  * * ? *)"), (None, Some("0/5 * * * ? *".to_owned())));
        assert_eq!(read("at(2026-01-01T00:00:00)"), (None, Some("at(2026-01-01T00:00:00)".to_owned())));
    }

    #[test]
    fn cron_is_that_of_aws() {
        for good in ["0/5 * * * ? *", "30 3 ? * MON-FRI *", "0 12 L * ? 2030"] {
            assert_eq!(mistake(good), None, "{good}");
        }
        for bad in ["* * * * *", "0 0 3 * * ? *", "61 * * * ? *", "0 3 * * * *"] {
            assert!(mistake(bad).is_some(), "{bad}");
        }
    }
}
