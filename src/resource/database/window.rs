//! RDS's windows of time: `02:00-02:30`, or `sun:02:00-sun:02:30` once a week. Pure.

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u32 = 24 * 60;
/// The shortest that RDS takes, in minutes.
const SHORTEST: u32 = 30;

/// Says whether a text is a window, at least half an hour long; it may pass midnight.
pub(super) fn is(text: &str, weekly: bool) -> bool {
    let whole = if weekly { 7 * DAY } else { DAY };
    let moment = |it: &str| if weekly { of_week(it) } else { of_day(it) };
    let both = text.split_once('-').and_then(|(from, to)| Some((moment(from)?, moment(to)?)));
    both.is_some_and(|(from, to)| (to + whole - from) % whole >= SHORTEST)
}

fn of_week(text: &str) -> Option<u32> {
    let (day, time) = text.split_once(':')?;
    let day = DAYS.iter().position(|it| *it == day)?;
    Some(u32::try_from(day).ok()? * DAY + of_day(time)?)
}

fn of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':').filter(|it| it.0.len() == 2 && it.1.len() == 2)?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_an_hour_or_more() {
        for good in ["02:00-02:30", "23:45-00:15"] {
            assert!(is(good, false), "{good}");
        }
        for good in ["sun:03:00-sun:03:30", "sun:23:45-mon:00:15"] {
            assert!(is(good, true), "{good}");
        }
        for wrong in ["02:00-02:29", "2:00-3:00", "24:00-24:30", "02:00", "sun:03:00-sun:03:30", "", "a-b"] {
            assert!(!is(wrong, false), "{wrong}");
        }
        for wrong in ["02:00-02:30", "Sun:03:00-Sun:03:30", "xyz:03:00-xyz:03:30"] {
            assert!(!is(wrong, true), "{wrong}");
        }
    }
}
