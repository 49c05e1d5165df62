//! Quartz's cron expressions, in the words of the library that evaluates them: one grammar for what is written in stack
//! files and for what is run.

use croner::{Cron, parser::CronParser, parser::Seconds, parser::Year};
use jiff::{Timestamp, ToSpan, Zoned, civil::Date, tz::TimeZone};

mod grammar;

pub use grammar::Mistake;

/// The days by which expressions are compared: a year from this one.
const FIRST_DAY: Date = Date::constant(2026, 1, 1);
const A_DAY: u64 = 86_400;

/// When something happens, again and again.
#[derive(Clone, Debug)]
pub struct Quartz {
    cron: Cron,
    /// The same at each midnight of a day on which it happens.
    days: Cron,
    /// How many days before the end of a month it happens, where it says so.
    from_end: Option<i8>,
    clock: [Vec<u32>; 3],
    zone: TimeZone,
}

/// Finds a time zone by a name that Java knows, such as `Europe/Berlin` or `Japan`, letter by letter.
///
/// # Errors
/// Says that there is none.
pub fn zone(name: &str) -> Result<TimeZone, Mistake> {
    match TimeZone::get(name) {
        Ok(it) if it.iana_name() == Some(name) => Ok(it),
        // Where this machine knows no time zones, nobody can tell.
        Err(_) if jiff::tz::db().is_definitively_empty() => Ok(TimeZone::UTC),
        found => {
            let known = found.as_ref().ok().and_then(TimeZone::iana_name).unwrap_or("Europe/Berlin");
            Err(Mistake::new(format!("there is no time zone `{name}`"), format!("such as `{known}`")))
        }
    }
}

impl Quartz {
    /// Reads an expression and the name of a time zone.
    ///
    /// # Errors
    /// Says in words what is wrong. One that never happens is wrong, too.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, Mistake> {
        let zone = self::zone(zone)?;
        let fields = grammar::fields(expression)?;
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(if fields.plain.len() == 7 { Year::Required } else { Year::Disallowed })
            .alternative_weekdays(true)
            .build();
        let read = |fields: &[String]| {
            let read = parser.parse(&fields.join(" "));
            read.map_err(|err| Mistake::new(format!("`{expression}` is no Quartz cron"), err.to_string()))
        };
        let midnight = vec!["0".to_owned(); 3];
        let days = read(&[midnight, fields.plain[3..].to_vec()].concat())?;
        let cron = read(&fields.plain)?;
        let quartz = Self { cron, days, from_end: fields.from_end, clock: fields.clock, zone };
        match quartz.day_after(Date::constant(1969, 12, 31)) {
            Some(_) => Ok(quartz),
            None => Err(Mistake::new(format!("`{expression}` never happens"), "name a day that there is")),
        }
    }

    /// The next time after a time; none when there is none.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let mut time: Zoned = time.to_zoned(self.zone.clone());
        loop {
            let found = self.cron.find_next_occurrence(&time, false).ok()?;
            if self.has(found.date()) {
                return Some(found.timestamp());
            }
            // The moment before the next day that fits, or at least before the next day.
            let next = self.day_after(found.date())?;
            time = next.to_zoned(self.zone.clone()).ok()?.checked_sub(1.nanosecond()).ok()?;
        }
    }

    /// Says whether a day that the library finds is one that was meant.
    fn has(&self, day: Date) -> bool {
        self.from_end.is_none_or(|it| day.days_in_month() - day.day() == it)
    }

    /// The next day after a day on which it happens.
    fn day_after(&self, day: Date) -> Option<Date> {
        let mut time = day.to_zoned(TimeZone::UTC).ok()?;
        loop {
            time = self.days.find_next_occurrence(&time, false).ok()?;
            if self.has(time.date()) {
                return Some(time.date());
            }
        }
    }

    /// The longest time between two neighbours, in seconds, as a year's days show; none where it happens once.
    ///
    /// Days have 24 hours for that.
    pub fn longest_gap(&self) -> Option<u64> {
        let [seconds, minutes, hours] = &self.clock;
        let times = hours.iter().flat_map(|hour| {
            minutes
                .iter()
                .flat_map(move |minute| seconds.iter().map(move |it| u64::from(hour * 3600 + minute * 60 + it)))
        });
        let within = times.clone().zip(times.clone().skip(1)).map(|(one, next)| next - one).max();
        let over_night = times.clone().next()? + A_DAY - times.last()?;
        let before = FIRST_DAY.checked_sub(1.day()).ok()?;
        let first = self.day_after(before).or_else(|| self.day_after(Date::constant(1969, 12, 31)))?;
        let year_later = first.checked_add(1.year()).ok()?;
        let (mut day, mut longest) = (first, within);
        while day <= year_later {
            let Some(next) = self.day_after(day) else { break };
            let days = u64::try_from(day.until(next).ok()?.get_days()).ok()?;
            longest = longest.max(Some((days - 1) * A_DAY + over_night));
            day = next;
        }
        longest
    }
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
        assert_eq!(next("0 0 6 ? * FRI-MON", "UTC", monday), "2026-11-13T06:00:00Z");
        assert_eq!(next("0 0 6 ? * FRI-MON", "UTC", "2026-11-13T06:00:00Z"), "2026-11-14T06:00:00Z");
        assert_eq!(next("0 0 6 ? * MON/2", "UTC", monday), "2026-11-11T06:00:00Z");
        assert_eq!(next("0 0 22-2/2 * * ?", "UTC", monday), "2026-11-09T22:00:00Z");
        assert_eq!(next("0 0 22-2/2 * * ?", "UTC", "2026-11-09T22:00:00Z"), "2026-11-10T00:00:00Z");
        assert_eq!(next("0 0 6 L-3 * ?", "UTC", monday), "2026-11-27T06:00:00Z");
        assert_eq!(next("0 0 6 L-3 * ?", "UTC", "2026-11-27T06:00:00Z"), "2026-12-28T06:00:00Z");
        assert_eq!(next("* * * L-0 FEB ?", "UTC", monday), "2027-02-28T00:00:00Z");
        assert_eq!(next("0 0 6 * * ?", "Japan", monday), "2026-11-09T21:00:00Z");
        assert_eq!(next("0 0 6 * * ?", "EST", monday), "2026-11-09T11:00:00Z");
    }

    #[test]
    fn a_zone_keeps_its_hours_across_summer_time() {
        let daily = "0 0 6 * * ?";
        assert_eq!(next(daily, "Europe/Berlin", "2026-07-01T12:00:00Z"), "2026-07-02T04:00:00Z");
        assert_eq!(next(daily, "Europe/Berlin", "2026-12-01T12:00:00Z"), "2026-12-02T05:00:00Z");
    }

    #[test]
    fn the_longest_gap_counts() {
        let gap = |cron| Quartz::parse(cron, "UTC").expect(cron).longest_gap();
        assert_eq!(gap("0 5/15 * * * ?"), Some(15 * 60), "also over the hour");
        assert_eq!(gap("0 30 3 * * ?"), Some(86_400));
        assert_eq!(gap("0 0 6 ? * MON-FRI"), Some(3 * 86_400), "over the weekend");
        assert_eq!(gap("0 30 2 1 JAN ? 2028"), None);
        assert_eq!(
            gap("0 0/10 9-17 ? * MON-FRI"),
            Some(2 * 86_400 + 15 * 3600 + 600),
            "office hours, over the weekend"
        );
        assert_eq!(gap("* * * * * ?"), Some(1));
        assert_eq!(gap("* * 8-9 * * ?"), Some(22 * 3600 + 1));
        assert_eq!(gap("0 0 0 1 1,7 ?"), Some(184 * 86_400), "not only the half of the year that comes first");
        assert_eq!(gap("0 0 0 29 2 ?"), Some(1461 * 86_400));
        assert_eq!(gap("0 0 6 L-3 * ?"), Some(31 * 86_400));
        assert_eq!(gap("0 0 0 * * ? 2020"), Some(86_400), "years that are over are years");
    }

    #[test]
    fn what_quartz_refuses_is_refused() {
        let wrong = ["0 6 * * *", "0 0 6 * * *", "0 0 6 ? * ?", "0 0 25 * * ?", "0 0 6 ? * 8", "", "0 0 6 ? * MOO"];
        let never = ["0 0 6 30 2 ?", "0 0 6 31 4,6 ?", "0 0 6 L-29 2 ? 2027"];
        for bad in wrong.into_iter().chain(never) {
            assert!(Quartz::parse(bad, "UTC").is_err(), "{bad}");
        }
        let told = Quartz::parse("0 0 6 * * ?", "europe/berlin").expect_err("letters of another size").to_string();
        assert!(told.ends_with("such as `Europe/Berlin`"), "{told}");
        assert!(Quartz::parse("0 0 6 * * ?", "Mars/Olympus").is_err());
    }
}
