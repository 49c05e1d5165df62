mod converge;

use std::fs;

use insta::assert_snapshot;
use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::{
    resource::KINDS,
    stack::{self, Rejected},
};

/// A job in which nothing is wrong, with every sort of field that the tests below spoil.
const GOOD: &str = r#"stack: { target: local }
resources:
  bucket:
    lake: {}
  package:
    pipeline: { wheel: notebooks }
    report: { file: report.py }
  secret_scope:
    pipeline:
      keys: {}
  job:
    medallion:
      tasks:
        bronze:
          python_wheel_task:
            package: pipeline
            package_name: ecom_pipeline
            entry_point: bronze
            parameters: ["--lake-root", "{{job.parameters.lake_root}}"]
          job_cluster: main
          timeout: 30m
          max_retries: 2
          min_retry_interval: 1m
          retry_on_timeout: true
        silver:
          depends_on: [bronze]
          python_wheel_task:
            package: pipeline
            package_name: ecom_pipeline
            entry_point: silver
            named_parameters: { as-of: "{{job.parameters.as_of}}" }
          environment: default
        report:
          depends_on: [silver, bronze]
          run_if: all_done
          notebook_task: { package: report }
      job_clusters:
        main:
          spark_version: 17.3.x-scala2.13
          node_type_id: m7g.large
          autoscale: { min_workers: 1, max_workers: 4 }
          spark_env_vars: { LEVEL: info }
          secrets:
            PASSWORD: { scope: pipeline, key: database }
      environments:
        default: { environment_version: "4" }
      parameters: { as_of: "" }
      outputs: { lake_root: bucket.lake.url }
      schedule: { cron: "0 0 3 * * ?", timezone: Europe/Berlin }
      timeout: 2h
      owner: { user: data@example.com }
      permissions:
        can_view: [{ group: analysts }]
      health: [{ metric: run_duration_seconds, greater_than: 3600 }]
      email_notifications:
        on_duration_warning_threshold_exceeded: [data@example.com]
      webhook_notifications: { on_failure: [{ id: a }, { id: b }, { id: c }] }
      tags: { tier: gold }
    arrivals:
      tasks:
        look:
          notebook_task: { notebook_path: /Shared/look }
      trigger:
        file_arrival: { url: s3://arrivals/, wait_after_last_change: 60s }
    always:
      tasks:
        watch:
          spark_python_task: { python_file: /Workspace/Shared/look.py }
          existing_cluster_id: 0101-120000-abc
      continuous: {}
"#;

/// Loads a stack with this text.
fn load(text: &str) -> Result<(), Rejected> {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("stacks")).expect("created");
    fs::write(root.path().join("stacks/shop.yaml"), text).expect("written");
    stack::load(root.path(), "shop", KINDS).map(drop)
}

/// Replaces a part of the good job; gives each mistake as `line: message`.
fn spoilt(from: &str, to: &str) -> Vec<String> {
    assert_eq!(GOOD.matches(from).count(), 1, "{from} stands there once");
    let Err(err) = load(&GOOD.replace(from, to)) else { return Vec::new() };
    err.mistakes()
        .iter()
        .map(|it| format!("{}: {it}", it.place().map(|it| it.origin().line).unwrap_or_default()))
        .collect()
}

/// The line that holds a word, or is one.
fn line_of(text: &str, word: &str) -> usize {
    let holds = |line: &str| match word.strip_suffix('\n') {
        Some(whole) => line.trim() == whole,
        None => line.contains(word),
    };
    let found: Vec<usize> = text.lines().zip(1..).filter(|it| holds(it.0)).map(|it| it.1).collect();
    match found.as_slice() {
        [line] => *line,
        _ => panic!("{word:?} stands in one line: {found:?}"),
    }
}

#[test]
fn the_good_job_is_good() {
    load(GOOD).unwrap_or_else(|err| panic!("{:?}", err.mistakes()));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_mutant_is_refused_where_it_is() {
    // What is replaced, by what, a word of the line that is to blame, and what is said.
    let mutants: &[(&str, &str, &str, &str)] = &[
        // Structure.
        ("entry_point: bronze", "entry_point: bronze\n            wheel: x", "wheel: x", "no field `wheel`"),
        ("timeout: 2h", "timout: 2h", "timout", "no field `timout`"),
        ("run_if: all_done", "run_if: ALL_DONE", "ALL_DONE", "cannot be `ALL_DONE`"),
        ("metric: run_duration_seconds", "metric: duration", "metric: duration", "cannot be `duration`"),
        ("on_failure: [{ id: a }, { id: b }, { id: c }]", "on_failure: a", "on_failure: a", "must be a list"),
        ("max_retries: 2", "max_retries: two", "two", "must be a whole number"),
        (
            "{ cron: \"0 0 3 * * ?\", timezone: Europe/Berlin }",
            "{ timezone: Europe/Berlin }",
            "schedule:",
            "lacks `cron`",
        ),
        ("as_of: \"\"", "as_of: 3", "as_of: 3", "must be text"),
        ("group: analysts", "team: analysts", "team: analysts", "cannot be `team`"),
        ("package: report }", "package: reports }", "reports }", "package.reports"),
        ("lake_root: bucket.lake.url", "lake_root: bucket.lak.url", "bucket.lak.url", "refers to bucket.lak"),
        ("lake_root: bucket.lake.url", "lake_root: bucket.lake", "lake_root: bucket.lake", "is not "),
        ("lake_root: bucket.lake.url", "lake_root: bucket.lake.uri", "lake_root: bucket.lake.uri", "no output `uri`"),
        ("scope: pipeline", "scope: pipelin", "pipelin,", "secret_scope.pipelin"),
        // Tasks.
        ("notebook_task: { package: report }", "description: nothing", "report:\n", "does nothing"),
        ("notebook_task: { package: report }", "notebook_task: {}", "notebook_task: {}", "open what to run"),
        ("{ notebook_path: /Shared/look }", "{ notebook_path: /x, package: report }", "/x", "exclude each other"),
        (
            "          environment: default\n",
            "          environment: default\n          job_cluster: main\n",
            "environment: default",
            "has a `job_cluster` already",
        ),
        ("          existing_cluster_id: 0101-120000-abc\n", "", "watch:\n", "open what the task runs on"),
        ("job_cluster: main", "job_cluster: mian", "mian", "no cluster `mian`"),
        ("environment: default", "environment: other", "environment: other", "no environment `other`"),
        (
            "environment: default",
            "environment: default\n          libraries: [{ pypi: { package: x } }]",
            "libraries",
            "takes no libraries",
        ),
        (
            "named_parameters: { as-of",
            "parameters: [x]\n            named_parameters: { as-of",
            "named_parameters",
            "exclude each other",
        ),
        ("depends_on: [bronze]", "depends_on: [brnze]", "brnze", "no task `brnze`"),
        ("depends_on: [bronze]", "depends_on: [silver]", "[silver]", "wait for itself"),
        ("depends_on: [bronze]", "depends_on: [report]", "[silver, bronze]", "report → silver → report"),
        ("[silver, bronze]", "[silver, silver]", "[silver, silver]", "twice"),
        ("        bronze:\n", "        bronze/1:\n", "bronze/1:", "cannot be the key"),
        ("timeout: 30m", "timeout: 3h", "timeout: 3h", "but the whole job 2h"),
        ("timeout: 30m", "timeout: 500ms", "500ms", "timeout of 500ms"),
        ("timeout: 2h", "timeout: 0s", "timeout: 0s", "timeout of 0ms"),
        ("max_retries: 2", "max_retries: -2", "-2", "no number of retries"),
        ("          max_retries: 2\n", "", "min_retry_interval", "never tried again"),
        ("          timeout: 30m\n", "", "retry_on_timeout", "no `timeout`"),
        // What starts it.
        ("0 0 3 * * ?", "0 3 * * *", "0 3 * * *", "5 fields"),
        ("0 0 3 * * ?", "0 0 3 * * *", "0 0 3 * * *", "neither"),
        ("Europe/Berlin", "Europe/Berln", "Berln", "no time zone"),
        (
            "      timeout: 2h\n",
            "      timeout: 2h\n      continuous: { task_retry_mode: never }\n",
            "task_retry_mode: never",
            "one of `schedule`",
        ),
        ("url: s3://arrivals/,", "url: s3://arrivals,", "s3://arrivals,", "no folder to watch"),
        ("wait_after_last_change: 60s", "wait_after_last_change: 30s", "30s", "30s is not what triggers take"),
        (
            "      trigger:\n",
            "      trigger:\n        periodic: { interval: 1, unit: hours }\n",
            "trigger:",
            "exactly one of",
        ),
        (
            "      continuous: {}\n",
            "      continuous: {}\n      max_concurrent_runs: 2\n",
            "max_concurrent_runs",
            "one run at a time",
        ),
        (
            "      timeout: 2h\n",
            "      timeout: 2h\n      max_concurrent_runs: 0\n",
            "max_concurrent_runs",
            "every run would be skipped",
        ),
        // Clusters and environments.
        ("          node_type_id: m7g.large\n", "", "main:\n", "which machines"),
        ("          autoscale: { min_workers: 1, max_workers: 4 }\n", "", "main:\n", "how many workers"),
        ("min_workers: 1", "min_workers: 9", "min_workers: 9", "more than the most"),
        ("autoscale:", "num_workers: 2\n          autoscale:", "autoscale", "exclude each other"),
        ("PASSWORD:", "LEVEL:", "LEVEL: { scope", "`spark_env_vars` too"),
        ("PASSWORD:", "PASS-WORD:", "PASS-WORD", "no name of a variable"),
        (
            "      environments:\n",
            "      environments:\n        spare: { environment_version: \"4\" }\n",
            "spare",
            "no task uses it",
        ),
        ("\"4\"", "\"four\"", "four", "no version of an environment"),
        // Parameters and texts.
        ("job.parameters.lake_root", "job.parameters.lake_rot", "lake_rot", "no parameter `lake_rot`"),
        ("{{job.parameters.as_of}}", "{{job.parameters.as_of", "job.parameters.as_of\"", "not closed"),
        ("{{job.parameters.as_of}}", "{{jobs.id}}", "{{jobs.id}}", "stands for nothing"),
        ("{{job.parameters.as_of}}", "{{tasks.brnze.result_state}}", "tasks.brnze", "no task `brnze`"),
        ("parameters: { as_of: \"\" }", "parameters: { as_of: \"\", lake_root: x }", "outputs:", "a parameter already"),
        // People, notices, tags.
        ("owner: { user: data@example.com }", "owner: { group: data }", "group: data }", "cannot own a job"),
        ("[{ group: analysts }]", "[{ user: data@example.com }]", "can_view", "owns the job"),
        (
            "[{ group: analysts }]",
            "[{ group: a }]\n        can_manage: [{ group: a }]",
            "can_manage",
            "`can_view` already",
        ),
        ("{ id: c }]", "{ id: c }, { id: d }]", "{ id: d }", "more than Databricks calls"),
        ("exceeded: [data@example.com]", "exceeded: [data]", "exceeded: [data]", "no address"),
        (
            "health: [{ metric: run_duration_seconds, greater_than: 3600 }]",
            "health: []",
            "exceeded:",
            "no rule says when",
        ),
        ("greater_than: 3600", "greater_than: 0", "greater_than: 0", "always exceeded"),
        ("tier: gold", "\"a;b\": gold", "a;b", "cannot be the key of a tag"),
        ("tier: gold", "ecomctl:stack: mine", "ecomctl:stack", "reserved"),
    ];
    let mut wrong = Vec::new();
    for (from, to, word, told) in mutants {
        let said = spoilt(from, to);
        let line = line_of(&GOOD.replace(from, to), word);
        let place = format!("{line}: ");
        if !said.iter().any(|it| it.starts_with(&place) && it.contains(told)) || said.len() > 3 {
            wrong.push(format!("{to}\n  wanted {line}: …{told}…\n  got    {said:#?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn numbers_have_limits() {
    let tags: String = (0..23).map(|it| format!("k{it}: v, ")).collect();
    let said = spoilt("tier: gold", tags.trim_end_matches(", "));
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("at most 25 tags, three of which are ecomctl's, and these are 23"), "{said:?}");

    let task = "          notebook_task: { notebook_path: /Shared/look }\n";
    let more: String = (0..1000).map(|it| format!("        t{it}:\n{task}")).collect();
    let said = spoilt(task, &format!("{task}{more}"));
    assert!(said.len() == 1 && said[0].contains("at most 1000 tasks, not 1001"), "{said:?}");
}

#[test]
fn mistakes_are_shown_under_their_lines() {
    let text = GOOD.replace("0 0 3 * * ?", "0 3 * * *").replace("depends_on: [bronze]", "depends_on: [report]");
    let err = load(&text).expect_err("two mistakes");
    let mut shown = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    for it in err.mistakes() {
        handler.render_report(&mut shown, it).expect("shown");
    }
    assert_snapshot!(shown, @"
    stack::invalid_value

      × these tasks wait for each other, so that none can be first: report → silver → report
        ╭─[stacks/shop.yaml:34:24]
     33 │         report:
     34 │           depends_on: [silver, bronze]
        ·                        ───┬──
        ·                           ╰── `tasks.report.depends_on[0]` of job.medallion
     35 │           run_if: all_done
        ╰────
      help: remove one of these
    stack::invalid_value

      × `0 3 * * *` has 5 fields, and Quartz wants 6 or 7
        ╭─[stacks/shop.yaml:49:25]
     48 │       outputs: { lake_root: bucket.lake.url }
     49 │       schedule: { cron: \"0 3 * * *\", timezone: Europe/Berlin }
        ·                         ─────┬─────
        ·                              ╰── `schedule.cron` of job.medallion
     50 │       timeout: 2h
        ╰────
      help: seconds come first, and one of the two days is `?`: `0 0 3 * * ?`
    ");
}
