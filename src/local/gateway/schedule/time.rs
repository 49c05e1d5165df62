//! When a schedule invokes: `rate(…)` from the moment at which it was made, and `cron(…)` in a time zone. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::quartz::Quartz;

/// When something happens, again and again.
#[derive(Clone, Debug)]
pub(super) enum When {
    Rate(SignedDuration),
    Cron(Box<Quartz>),
}

impl When {
    /// Reads an expression; what is wrong is said in words.
    pub(super) fn parse(expression: &str, zone: &str) -> Result<Self, String> {
        let wrong = || format!("Invalid Schedule Expression {expression}.");
        let inner = |name: &str| expression.strip_prefix(name)?.strip_suffix(')').map(str::trim);
        if let Some(rate) = inner("rate(") {
            let (count, unit) = rate.split_once(' ').ok_or_else(wrong)?;
            let count: i64 = count.parse().ok().filter(|it| *it > 0).ok_or_else(wrong)?;
            let seconds = match unit.trim() {
                "minute" | "minutes" => 60,
                "hour" | "hours" => 3600,
                "day" | "days" => 86_400,
                _ => return Err(wrong()),
            };
            return Ok(Self::Rate(SignedDuration::from_secs(count.checked_mul(seconds).ok_or_else(wrong)?)));
        }
        let cron = inner("cron(").filter(|it| it.split_whitespace().count() == 6).ok_or_else(wrong)?;
        // AWS' form of cron is Quartz' without seconds.
        let quartz = Quartz::parse(&format!("0 {cron}"), zone).map_err(|it| it.to_string())?;
        Ok(Self::Cron(Box::new(quartz)))
    }

    /// The first time after another; a rate begins when the schedule was made.
    pub(super) fn next(&self, made: Timestamp, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(it) => it.after(after),
            Self::Rate(_) if made > after => Some(made),
            Self::Rate(period) => {
                let passed = after.duration_since(made).as_nanos() / period.as_nanos().max(1);
                made.checked_add(period.saturating_mul(i32::try_from(passed + 1).ok()?)).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, zone: &str, made: &str, after: &str) -> String {
        let when = When::parse(expression, zone).expect(expression);
        let time = |it: &str| it.parse().expect("a time");
        when.next(time(made), time(after)).map_or_else(|| "never".to_owned(), |it| it.to_string())
    }

    #[test]
    fn rates_count_from_when_they_were_made() {
        let made = "2026-11-09T10:00:30.5Z";
        assert_eq!(next("rate(1 minute)", "UTC", made, "2026-11-09T10:00:30Z"), made, "at once");
        assert_eq!(next("rate(1 minute)", "UTC", made, made), "2026-11-09T10:01:30.5Z");
        assert_eq!(next("rate(2 hours)", "UTC", made, "2026-11-10T10:00:30.4Z"), "2026-11-10T10:00:30.5Z");
        assert_eq!(next("rate(1 days)", "UTC", made, "2026-11-10T10:00:30.5Z"), "2026-11-11T10:00:30.5Z");
    }

    #[test]
    fn cron_keeps_its_hours_in_its_zone() {
        let at = |expression: &str| next(expression, "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-07-01T12:00:30Z");
        assert_eq!(at("cron(0 6 * * ? *)"), "2026-07-02T04:00:00Z");
        assert_eq!(at("cron(0/5 * * * ? *)"), "2026-07-01T12:05:00Z");
        assert_eq!(at("cron(0 6 ? * MON-FRI 2030)"), "2030-01-01T05:00:00Z");
        assert_eq!(at("cron(0 6 1 1 ? 2020)"), "never");
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        for bad in
            ["rate(1)", "rate(0 minutes)", "rate(1 second)", "cron(* * * * *)", "cron(0 6 * * * *)", "every(1)", ""]
        {
            assert!(When::parse(bad, "UTC").is_err(), "{bad}");
        }
        assert!(When::parse("cron(0 6 * * ? *)", "Mars/Olympus").is_err());
    }
}
