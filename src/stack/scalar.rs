//! What a plain word means in YAML 1.2's core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>).

use serde_json::Number;

use super::tree::Data;

/// Reads a plain scalar: nothing, a truth value, a number, or text. `None` for a number that JSON cannot hold.
pub(super) fn resolve(text: &str) -> Option<Data> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Data::Null),
        "true" | "True" | "TRUE" => Some(Data::Bool(true)),
        "false" | "False" | "FALSE" => Some(Data::Bool(false)),
        _ => match number(text) {
            Reading::Text => Some(Data::Text(text.to_owned())),
            Reading::Number(it) => it.map(Data::Number),
        },
    }
}

enum Reading {
    Text,
    Number(Option<Number>),
}

fn number(text: &str) -> Reading {
    let digits = |it: &str, radix| !it.is_empty() && it.chars().all(|it| it.is_digit(radix));
    let whole = |it: &str, radix| Reading::Number(u64::from_str_radix(it, radix).ok().map(Number::from));
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    match text.split_at_checked(2) {
        Some(("0o", it)) if digits(it, 8) => return whole(it, 8),
        Some(("0x", it)) if digits(it, 16) => return whole(it, 16),
        _ => (),
    }
    if matches!(body, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Reading::Number(None);
    }
    if digits(body, 10) {
        let below = || Reading::Number(text.parse::<i64>().ok().map(Number::from));
        return if text.starts_with('-') { below() } else { whole(body, 10) };
    }
    if !float(body) {
        return Reading::Text;
    }
    Reading::Number(text.parse::<f64>().ok().and_then(Number::from_f64))
}

/// Says whether a text without its sign is of the form `1.5e-3`.
fn float(body: &str) -> bool {
    let digits = |it: &str| it.chars().all(|it| it.is_ascii_digit());
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole) && digits(fraction) && exponent.is_none_or(|it| !it.is_empty() && digits(it))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of section 10.3.2 of the specification, and the traps of YAML 1.1.
    #[test]
    fn core_schema() {
        for (text, meant) in [
            ("0", json!(0)),
            ("0o7", json!(7)),
            ("0x3A", json!(58)),
            ("-19", json!(-19)),
            ("+12", json!(12)),
            ("012", json!(12)),
            ("0.", json!(0.0)),
            ("-0.0", json!(-0.0)),
            (".5", json!(0.5)),
            ("+12e03", json!(12000.0)),
            ("-2E+05", json!(-200_000.0)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            let Some(Data::Number(it)) = resolve(text) else { panic!("{text} is a number") };
            assert_eq!(json!(it), meant, "{text}");
        }
        for text in
            ["yes", "no", "on", "off", "1_000", "1:30", "0b1", "-", ".", "+", "e5", "1e", "1.2.3", "7d", "-.nan"]
        {
            assert_eq!(resolve(text), Some(Data::Text(text.to_owned())), "{text}");
        }
        for text in [".inf", "-.INF", ".NaN", "18446744073709551616", "-9223372036854775809", "1e999"] {
            assert_eq!(resolve(text), None, "{text}");
        }
        assert_eq!(resolve("~"), Some(Data::Null));
        assert_eq!(resolve("TRUE"), Some(Data::Bool(true)));
    }
}
