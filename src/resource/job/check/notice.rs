//! What is wrong with rules of health, and with whom they are told to.

use std::fmt::Display;

use super::{Flaws, WEBHOOKS};
use crate::resource::job::notice::{Emails, Metric, Rule, Webhooks};

/// Finds what is wrong with rules.
pub(super) fn health(rules: &[Rule], at: &str, told: bool, flaws: &mut Flaws) {
    for (i, rule) in rules.iter().enumerate() {
        let here = format!("{at}/health/{i}");
        if rule.greater_than <= 0 {
            flaws.add(format!("{here}/greater_than"), format!("{} is always exceeded", rule.greater_than), "1 or more");
        }
        if rules[..i].iter().any(|it| it.metric == rule.metric) {
            flaws.add(format!("{here}/metric"), "there is a rule for this already", "keep one");
        }
    }
    if !rules.is_empty() && !told {
        flaws.add(
            format!("{at}/health"),
            "nobody is told of it",
            "set `email_notifications` or `webhook_notifications`",
        );
    }
}

/// Finds what is wrong with addressees.
pub(super) fn mails(it: Option<&Emails>, at: &str, rules: &[Rule], flaws: &mut Flaws) {
    notices(it.map(Emails::events), at, rules, flaws, |it: &String| {
        (!it.contains('@')).then(|| format!("`{it}` is no address"))
    });
}

/// Finds what is wrong with destinations.
pub(super) fn webhooks(it: Option<&Webhooks>, at: &str, rules: &[Rule], flaws: &mut Flaws) {
    let events = it.map(Webhooks::events);
    for (event, to) in events.iter().flatten().filter(|it| it.1.len() > WEBHOOKS) {
        let message = format!("{} webhooks are more than Databricks calls", to.len());
        flaws.add(format!("{at}/{event}"), message, "3 at most for each event");
    }
    notices(events, at, rules, flaws, |_| None);
}

fn notices<T: Display>(
    events: Option<[(&'static str, &[T]); 5]>,
    at: &str,
    rules: &[Rule],
    flaws: &mut Flaws,
    wrong: impl Fn(&T) -> Option<String>,
) {
    for (event, to) in events.into_iter().flatten() {
        let here = format!("{at}/{event}");
        for (i, it) in to.iter().enumerate() {
            if let Some(message) = wrong(it) {
                flaws.add(format!("{here}/{i}"), message, "such as `team@example.com`");
            } else if to[..i].iter().any(|other| other.to_string() == it.to_string()) {
                flaws.add(format!("{here}/{i}"), format!("`{it}` stands here twice"), "keep one");
            }
        }
        let measured = |wanted: fn(Metric) -> bool| rules.iter().any(|it| wanted(it.metric));
        let (ready, rule) = match event {
            "on_duration_warning_threshold_exceeded" => {
                (measured(|it| it == Metric::RunDurationSeconds), "run_duration_seconds")
            }
            "on_streaming_backlog_exceeded" => {
                (measured(|it| it != Metric::RunDurationSeconds), "streaming_backlog_seconds")
            }
            _ => (true, ""),
        };
        if !to.is_empty() && !ready {
            let help = format!("add to `health`: `{{metric: {rule}, greater_than: …}}`");
            flaws.add(here, "no rule says when that is", help);
        }
    }
}
