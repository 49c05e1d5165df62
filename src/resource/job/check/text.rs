//! What stands in braces: `{{job.parameters.x}}` and the like, which the service replaces, or silently leaves as it is.

use super::{Flaws, Job, known, step};

/// What may stand in braces, besides what is checked here.
const ROOTS: [&str; 5] = ["job", "task", "tasks", "workspace", "input"];

/// Finds braces that stand for nothing.
pub(super) fn check(job: &Job, flaws: &mut Flaws) {
    for (key, task) in &job.tasks {
        let at = step("/tasks", key);
        let mut texts: Vec<(String, &str)> = Vec::new();
        let wheel = task.python_wheel_task.as_ref().map(|it| ("python_wheel_task", &it.parameters));
        let file = task.spark_python_task.as_ref().map(|it| ("spark_python_task", &it.parameters));
        for (field, items) in wheel.into_iter().chain(file) {
            let place = |i: usize| format!("{at}/{field}/parameters/{i}");
            texts.extend(items.iter().enumerate().map(|(i, it)| (place(i), it.as_str())));
        }
        if let Some(it) = &task.python_wheel_task {
            let named = it.named_parameters.iter();
            texts.extend(
                named.map(|(name, it)| (step(&format!("{at}/python_wheel_task/named_parameters"), name), &**it)),
            );
        }
        if let Some(it) = &task.notebook_task {
            let named = it.base_parameters.iter();
            texts.extend(named.map(|(name, it)| (step(&format!("{at}/notebook_task/base_parameters"), name), &**it)));
        }
        for (at, it) in &texts {
            text(job, at, it, flaws);
        }
    }
}

fn text(job: &Job, at: &str, text: &str, flaws: &mut Flaws) {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((inner, next)) = after.split_once("}}") else {
            flaws.add(at, "the braces are not closed", "write `{{…}}`");
            return;
        };
        rest = next;
        let path = inner.trim();
        let steps: Vec<&str> = path.split('.').collect();
        if let Some(name) = path.strip_prefix("job.parameters.") {
            let there = job.parameters.contains_key(name) || job.outputs.contains_key(name);
            if !there {
                let help = known("parameters", job.parameters.keys().chain(job.outputs.keys()));
                flaws.add(at, format!("the job has no parameter `{name}`"), help);
            }
        } else if let ["tasks", key, ..] = steps.as_slice() {
            if !job.tasks.contains_key(*key) {
                flaws.add(at, format!("there is no task `{key}` in this job"), known("tasks", job.tasks.keys()));
            }
        } else if !ROOTS.contains(&steps[0]) {
            let message = format!("`{{{{{path}}}}}` stands for nothing, and would be passed on as it is");
            flaws.add(at, message, "such as `{{job.parameters.<name>}}`, `{{job.run_id}}` or `{{task.name}}`");
        }
    }
}
