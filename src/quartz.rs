//! Quartz's cron expressions, in the words of the library that evaluates them.
//!
//! Quartz has 6 or 7 fields (second, minute, hour, day of month, month, day of week, year), counts Sunday as 1, and wants
//! exactly one of the two days to be `?` (quartz-scheduler.org, `CronTrigger`).

use croner::{Cron, parser::CronParser, parser::Seconds, parser::Year};
use jiff::{Timestamp, Zoned, tz::TimeZone};

/// When something happens, again and again.
#[derive(Clone, Debug)]
pub struct Quartz {
    cron: Cron,
    zone: TimeZone,
}

impl Quartz {
    /// Reads an expression and the name of a time zone.
    ///
    /// # Errors
    /// Says in words what is wrong.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, String> {
        let is_iana = zone.contains('/') || ["UTC", "GMT"].contains(&zone);
        let zone =
            TimeZone::get(zone).ok().filter(|_| is_iana).ok_or_else(|| format!("Unknown time zone: {zone:?}"))?;
        let bad = |why: &str| format!("Invalid quartz cron expression {expression:?}: {why}");
        let fields: Vec<_> = expression.split_whitespace().collect();
        let (6 | 7) = fields.len() else {
            return Err(bad(&format!("it has {} fields, needed are 6 or 7 (seconds first)", fields.len())));
        };
        if (fields[3] == "?") == (fields[5] == "?") {
            return Err(bad("exactly one of day-of-month and day-of-week must be `?`"));
        }
        let limits = [59, 59, 23, 31, 12, 7, 2099];
        let fields: Vec<String> = fields.iter().zip(limits).map(|(it, limit)| steps(it, limit)).collect();
        let mut fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        // Quartz's last day of the week.
        if fields[5] == "L" {
            fields[5] = "7";
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(if fields.len() == 7 { Year::Required } else { Year::Disallowed })
            .alternative_weekdays(true)
            .build();
        let cron = parser.parse(&fields.join(" ")).map_err(|err| bad(&err.to_string()))?;
        Ok(Self { cron, zone })
    }

    /// The next time after a time; none when there is none.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let time: Zoned = time.to_zoned(self.zone.clone());
        self.cron.find_next_occurrence(&time, false).ok().map(|it| it.timestamp())
    }

    /// The longest time between two neighbours among the next hundred occurrences after a time, in seconds; none where
    /// there are not two.
    pub fn longest_gap(&self, time: Timestamp) -> Option<u64> {
        let first = self.after(time)?;
        let times = std::iter::successors(Some(first), |it| self.after(*it)).take(100);
        let gaps = times.clone().zip(times.skip(1)).map(|(one, next)| next.as_second() - one.as_second());
        gaps.max().and_then(|it| it.try_into().ok())
    }
}

/// `a/b` means "from a on, each b-th" to Quartz; the library wants to be told the end.
fn steps(field: &str, limit: u32) -> String {
    let one = |it: &str| match it.split_once('/') {
        Some(("", step)) => format!("*/{step}"),
        Some((from, step)) if from.chars().all(|it| it.is_ascii_digit()) => format!("{from}-{limit}/{step}"),
        _ => it.to_owned(),
    };
    field.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, zone: &str, after: &str) -> String {
        let quartz = Quartz::parse(expression, zone).expect(expression);
        quartz.after(after.parse().expect("time")).map_or_else(|| "never".to_owned(), |it| it.to_string())
    }

    #[test]
    fn times_are_those_that_quartz_tells() {
        let monday = "2026-11-09T10:07:30Z";
        assert_eq!(next("0 0/15 * * * ?", "UTC", monday), "2026-11-09T10:15:00Z");
        assert_eq!(next("0 5/20 * * * ?", "UTC", monday), "2026-11-09T10:25:00Z");
        assert_eq!(next("*/10 * * ? * *", "UTC", monday), "2026-11-09T10:07:40Z");
        // 1 is Sunday, 2 is Monday.
        assert_eq!(next("0 0 6 ? * 1", "UTC", monday), "2026-11-15T06:00:00Z");
        assert_eq!(next("0 0 6 ? * MON-FRI", "UTC", monday), "2026-11-10T06:00:00Z");
        assert_eq!(next("0 0 6 ? * L", "UTC", monday), "2026-11-14T06:00:00Z");
        assert_eq!(next("0 0 6 ? * 6L", "UTC", monday), "2026-11-27T06:00:00Z");
        assert_eq!(next("0 0 6 ? * 2#3", "UTC", monday), "2026-11-16T06:00:00Z");
        assert_eq!(next("0 0 6 L * ?", "UTC", monday), "2026-11-30T06:00:00Z");
        assert_eq!(next("0 0 6 LW 1 ?", "UTC", monday), "2027-01-29T06:00:00Z");
        assert_eq!(next("0 30 2 1 JAN ? 2028", "UTC", monday), "2028-01-01T02:30:00Z");
        assert_eq!(next("0 30 2 1 1 ? 2020", "UTC", monday), "never");
    }

    #[test]
    fn a_zone_keeps_its_hours_across_summer_time() {
        let daily = "0 0 6 * * ?";
        assert_eq!(next(daily, "Europe/Berlin", "2026-07-01T12:00:00Z"), "2026-07-02T04:00:00Z");
        assert_eq!(next(daily, "Europe/Berlin", "2026-12-01T12:00:00Z"), "2026-12-02T05:00:00Z");
    }

    #[test]
    fn the_longest_gap_counts() {
        let gap = |cron| {
            let quartz = Quartz::parse(cron, "UTC").expect("an expression");
            quartz.longest_gap("2026-01-01T00:00:00Z".parse().expect("a time"))
        };
        assert_eq!(gap("0 5/15 * * * ?"), Some(15 * 60), "also over the hour");
        assert_eq!(gap("0 30 3 * * ?"), Some(86_400));
        assert_eq!(gap("0 0 6 ? * MON-FRI"), Some(3 * 86_400), "over the weekend");
        assert_eq!(gap("0 30 2 1 JAN ? 2028"), None);
    }

    #[test]
    fn what_quartz_refuses_is_refused() {
        for bad in ["0 6 * * *", "0 0 6 * * *", "0 0 6 ? * ?", "0 0 25 * * ?", "0 0 6 ? * 8", "", "0 0 6 ? * MOO"] {
            assert!(Quartz::parse(bad, "UTC").is_err(), "{bad}");
        }
        assert!(Quartz::parse("0 0 6 * * ?", "Mars/Olympus").is_err());
    }
}
