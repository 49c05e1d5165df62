//! How long an answer is awaited: each client's own limit, or less where the environment says so.

use std::{env, time::Duration};

/// The environment variable that shortens it.
pub const VARIABLE: &str = "ECOMCTL_TIMEOUT";

/// Returns the longest that one attempt of a request may take, of which the client itself says that it is `most`. What
/// [`check`] refuses shortens nothing.
pub(super) fn limit(most: Duration) -> Duration {
    asked(env::var(VARIABLE).ok().as_deref()).ok().flatten().map_or(most, |it| it.min(most))
}

/// Looks at what the environment says.
///
/// # Errors
/// Returns what it says where that is no such duration.
pub fn check() -> Result<(), String> {
    asked(env::var(VARIABLE).ok().as_deref()).map(|_| ())
}

fn asked(text: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(text) = text.filter(|it| !it.is_empty()) else { return Ok(None) };
    let found = humantime::parse_duration(text).ok().filter(|it| *it >= Duration::from_millis(100));
    found.map(Some).ok_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_a_duration_or_is_refused() {
        assert_eq!(asked(None), Ok(None));
        assert_eq!(asked(Some("")), Ok(None));
        assert_eq!(asked(Some("5s")), Ok(Some(Duration::from_secs(5))));
        for text in ["5", "soon", "0s", "-1s"] {
            assert_eq!(asked(Some(text)), Err(text.to_owned()));
        }
    }
}
