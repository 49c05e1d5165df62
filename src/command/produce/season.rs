//! When things are bought: more in the evening, at weekends, on a few great days, and more from month to month.

/// How many days before the end the first order is made.
pub(super) const DAYS: i64 = 120;
/// Milliseconds of a minute.
pub(super) const MINUTE: i64 = 60_000;
/// Milliseconds of an hour.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// Milliseconds of a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// From midnight, UTC.
const HOURS: [u64; 24] = [6, 4, 2, 2, 2, 3, 8, 16, 24, 30, 34, 36, 40, 36, 34, 34, 36, 42, 52, 62, 66, 56, 36, 16];
/// From Monday.
const WEEKDAYS: [u64; 7] = [96, 92, 94, 100, 108, 126, 118];

/// The share of every hour in all orders.
#[derive(Debug)]
pub(super) struct Season {
    start: i64,
    /// The sums of the weights up to and with each hour.
    sums: Vec<u64>,
}

impl Season {
    /// The days that end at this time, in milliseconds since 1970.
    pub(super) fn until(end: i64) -> Self {
        let start = end - DAYS * DAY;
        let mut sum = 0;
        let weight = |hour: i64| {
            let at = start + hour * HOUR;
            let day = at.div_euclid(DAY);
            let place = |it: i64| usize::try_from(it).unwrap_or(0);
            // 1970-01-01 was a Thursday.
            let week = WEEKDAYS[place((day + 3).rem_euclid(7))];
            let growth = 100 + (hour / 24).unsigned_abs() / 2;
            let sale = if day.rem_euclid(31) == 11 { 2 } else { 1 };
            HOURS[place(at.rem_euclid(DAY) / HOUR)] * week * growth * sale
        };
        let add = |hour| {
            sum += weight(hour);
            sum
        };
        Self { start, sums: (0..DAYS * 24).map(add).collect() }
    }

    /// When the order of this number of so many is made. Never earlier than the one before, for the same `total`;
    /// `roll` is any number.
    pub(super) fn time(&self, number: u64, total: u64, roll: u64) -> i64 {
        let all = u128::from(self.sums.last().copied().unwrap_or(1));
        let share = (all << 32) / u128::from(total.max(1));
        let within = (u128::from(roll & u64::from(u32::MAX)) * (share >> 32)) >> 32;
        let at = u64::try_from(((u128::from(number) * share) >> 32) + within).unwrap_or(0);
        let hour = self.sums.partition_point(|it| *it <= at).min(self.sums.len() - 1);
        let before = if hour == 0 { 0 } else { self.sums[hour - 1] };
        let weight = (self.sums[hour] - before).max(1);
        let part = u128::from(at.saturating_sub(before)) * u128::from(HOUR.unsigned_abs()) / u128::from(weight);
        let hour = i64::try_from(hour).unwrap_or(0);
        self.start + hour * HOUR + i64::try_from(part).unwrap_or(0).min(HOUR - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rise_within_the_days_and_follow_the_week() {
        let end = 1_790_000_000_000 / DAY * DAY;
        let season = Season::until(end);
        let times: Vec<i64> = (0..10_000).map(|it| season.time(it, 10_000, it.wrapping_mul(0x9e37_79b9))).collect();
        assert!(times.is_sorted());
        assert!(times[0] >= end - DAYS * DAY && times[9_999] < end, "{} {}", times[0], times[9_999]);
        let days = |wanted: i64| times.iter().filter(|it| (it.div_euclid(DAY) + 3).rem_euclid(7) == wanted).count();
        assert!(days(5) > days(1), "Saturdays {} and Tuesdays {}", days(5), days(1));
        let nights = times.iter().filter(|it| (1..5).contains(&(it.rem_euclid(DAY) / HOUR))).count();
        assert!(nights < 200, "{nights} of 10000 orders between 1 and 5 o'clock");
        assert_eq!(season.time(0, 1, 0), times[0]);
    }
}
