//! References in a task's parameters, such as `{{job.parameters.as_of}}`, and what they stand for
//! (docs.databricks.com, "dynamic value references"). Pure. One that is not known stays as it is.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{
    super::{auth::WORKSPACE, job::settings::Task},
    record::Run,
};

/// Replaces what a text refers to.
pub(crate) fn fill(text: &str, look_up: &dyn Fn(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        match look_up(name.trim()) {
            Some(it) => filled.push_str(&it),
            None => filled.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// Looks up what a reference stands for in an attempt at a task.
pub(crate) fn look_up(run: &Run, task: &Task, address: &str, name: &str) -> Option<String> {
    let own = run.tasks.iter().find(|it| it.key == task.task_key)?;
    let attempt = own.last()?;
    let path: Vec<&str> = name.split('.').collect();
    Some(match path[..] {
        ["job", "parameters", parameter] => run.parameters.get(parameter)?.clone(),
        ["job", "id"] | ["job_id"] => run.job.to_string(),
        ["job", "name"] => run.name().to_owned(),
        ["job", "run_id"] | ["parent_run_id"] => run.id.to_string(),
        ["job", "repair_count"] => run.repairs.len().to_string(),
        ["job", "start_time" | "trigger_time", part] | ["job", "trigger", "time", part] => time(run.created, part)?,
        ["job", "trigger", "type"] => serde_json::to_value(run.trigger).ok()?.as_str()?.to_lowercase(),
        ["start_time"] => run.created.to_string(),
        ["start_date"] => time(run.created, "iso_date")?,
        ["task", "name"] | ["task_key"] => task.task_key.clone(),
        ["task", "run_id"] | ["run_id"] => attempt.id.to_string(),
        ["task", "execution_count"] => own.attempts.len().to_string(),
        ["task_retry_count"] => (own.attempts.len() - 1).to_string(),
        ["task", "notebook_path"] => task.notebook_task.as_ref()?.notebook_path.clone(),
        ["workspace", "id"] => WORKSPACE.to_owned(),
        ["workspace", "url"] => address.to_owned(),
        ["tasks", other, "run_id"] => run.tasks.iter().find(|it| it.key == other)?.last()?.id.to_string(),
        ["tasks", other, "result_state"] => {
            let result = run.tasks.iter().find(|it| it.key == other)?.state()?.result?;
            serde_json::to_value(result).ok()?.as_str()?.to_lowercase()
        }
        ["tasks", other, "values", key] => {
            match run.tasks.iter().find(|it| it.key == other)?.last()?.outcome.values.get(key)? {
                Value::String(it) => it.clone(),
                it => it.to_string(),
            }
        }
        _ => return None,
    })
}

/// A part of a time, in UTC.
fn time(millis: i64, part: &str) -> Option<String> {
    let time = Timestamp::from_millisecond(millis).ok()?.to_zoned(TimeZone::UTC);
    Some(match part {
        "iso_datetime" => time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        "iso_date" => time.date().to_string(),
        "timestamp_ms" => millis.to_string(),
        "year" => time.year().to_string(),
        "month" => time.month().to_string(),
        "day" => time.day().to_string(),
        "hour" => time.hour().to_string(),
        "minute" => time.minute().to_string(),
        "second" => time.second().to_string(),
        "iso_weekday" => time.weekday().to_monday_one_offset().to_string(),
        "is_weekday" => (time.weekday().to_monday_one_offset() < 6).to_string(),
        _ => return None,
    })
}

/// The names of the secrets that a text refers to: `{{secrets/scope/key}}`.
pub(crate) fn secret(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("secrets/")?.split_once('/')
}

/// The values of a map, filled.
pub(crate) fn fill_all(
    map: &BTreeMap<String, String>,
    look_up: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    map.iter().map(|(name, it)| (name.clone(), fill(it, look_up))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_replaced_and_the_rest_stays() {
        let known = |name: &str| (name == "a").then(|| "1".to_owned());
        assert_eq!(fill("x{{a}}y{{ a }}z{{b}}", &known), "x1y1z{{b}}");
        assert_eq!(fill("{{a", &known), "{{a");
        assert_eq!(fill("{{ {{a}}", &known), "{{ {{a}}");
        assert_eq!(fill("plain", &known), "plain");
    }

    #[test]
    fn times_have_the_parts_that_are_documented() {
        let millis = 1_794_218_850_123; // 2026-11-09T10:07:30.123Z, a Monday
        assert_eq!(time(millis, "iso_datetime").as_deref(), Some("2026-11-09T10:07:30.123Z"));
        assert_eq!(time(millis, "iso_date").as_deref(), Some("2026-11-09"));
        assert_eq!(time(millis, "iso_weekday").as_deref(), Some("1"));
        assert_eq!(time(millis, "is_weekday").as_deref(), Some("true"));
        assert_eq!(time(millis, "century"), None);
    }

    #[test]
    fn secrets_are_named_by_scope_and_key() {
        assert_eq!(secret("secrets/shop/database"), Some(("shop", "database")));
        assert_eq!(secret("job.id"), None);
    }
}
