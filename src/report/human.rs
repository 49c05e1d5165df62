//! Times, amounts and lists as people read them.

use std::time::Duration;

use jiff::Timestamp;

/// Writes a duration with at most two units: `0.8 s`, `24 s`, `2 min 5 s`, `3 h 20 min`.
pub fn duration(it: Duration) -> String {
    let seconds = it.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", it.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Writes how long ago something was: `just now`, `5 min ago`, `2 h ago`, `3 d ago`.
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    match now.as_second().saturating_sub(then.as_second()) {
        ..10 => "just now".to_owned(),
        it @ 10..60 => format!("{it} s ago"),
        it @ 60..3600 => format!("{} min ago", it / 60),
        it @ 3600..172_800 => format!("{} h ago", it / 3600),
        it => format!("{} d ago", it / 86_400),
    }
}

/// Writes a number with its digits in groups of three: `1,204,000`.
pub fn count(it: i64) -> String {
    let digits = it.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if it < 0 { format!("-{text}") } else { text }
}

/// Writes a number and what it counts: `1 step`, `2 steps`.
pub fn plural(it: usize, noun: &str) -> String {
    format!("{it} {noun}{}", if it == 1 { "" } else { "s" })
}

/// Lists things as a sentence does: `a`, `a and b`, `a, b and c`.
pub fn list(them: &[String]) -> String {
    match them {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        it => it.concat(),
    }
}

/// Ends a text with a full stop, unless it ends a sentence already.
pub fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        let cases = [
            (40, "0.0 s"),
            (840, "0.8 s"),
            (24_300, "24 s"),
            (120_000, "2 min"),
            (125_000, "2 min 5 s"),
            (12_000_000, "3 h 20 min"),
            (180_000_000, "2 d 2 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn the_past_is_named_roughly_and_the_future_not_at_all() {
        let now = Timestamp::UNIX_EPOCH;
        let before = |seconds| now - jiff::SignedDuration::from_secs(seconds);
        let texts = [-60, 3, 59, 3599, 7300, 172_799, 172_800].map(|it| ago(now, before(it)));
        assert_eq!(texts, ["just now", "just now", "59 s ago", "59 min ago", "2 h ago", "47 h ago", "2 d ago"]);
    }

    #[test]
    fn lists_read_as_sentences_do() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([0, 1, 2, 3].map(|it| list(&names[..it])), ["", "a", "a and b", "a, b and c"]);
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 999, 1000, -1_204_000].map(count), ["0", "999", "1,000", "-1,204,000"]);
    }
}
