//! Guesses which duration or size was meant by one that is written otherwise.

/// Lists what a text such as `7 days` or `256MB` may mean, written as stack files write it.
pub(super) fn meant(text: &str) -> Vec<String> {
    let text: String = text.chars().filter(|it| !it.is_whitespace() && *it != '_').collect();
    let digits = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let Ok(number) = number.parse::<u64>() else { return Vec::new() };
    let units: &[&str] = match unit.to_lowercase().as_str() {
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => &["ms"],
        "s" | "sec" | "secs" | "second" | "seconds" => &["s"],
        "m" | "min" | "mins" | "minute" | "minutes" => &["m", "MiB"],
        "h" | "hr" | "hrs" | "hour" | "hours" => &["h"],
        "d" | "day" | "days" => &["d"],
        "w" | "week" | "weeks" => return number.checked_mul(7).map(|it| format!("{it}d")).into_iter().collect(),
        "b" | "byte" | "bytes" => &["B"],
        "k" | "kb" | "kib" => &["KiB"],
        "mb" | "mib" => &["MiB"],
        "g" | "gb" | "gib" => &["GiB"],
        "t" | "tb" | "tib" => &["TiB"],
        _ => &[],
    };
    units.iter().map(|unit| format!("{number}{unit}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        for (text, it) in [
            ("7 days", vec!["7d"]),
            ("2 Weeks", vec!["14d"]),
            ("90 sec", vec!["90s"]),
            ("1_000 ms", vec!["1000ms"]),
            ("256 MB", vec!["256MiB"]),
            ("5M", vec!["5m", "5MiB"]),
        ] {
            assert_eq!(meant(text), it, "{text}");
        }
        for text in ["", "soon", "7", "1.5h", "-1d", "99999999999999999999d", "18446744073709551615w"] {
            assert_eq!(meant(text), Vec::<String>::new(), "{text}");
        }
    }
}
