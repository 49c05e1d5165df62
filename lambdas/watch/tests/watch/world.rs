//! A workspace with runs, a bucket, a secret and a topic, all behind one loopback server that can be made to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use database::Database;
use serde_json::{Value, json};
use testing::{Answer, Request, Web};
use tokio::time::Instant;
use watch::{Error, Settings, Watch};

/// The moment at which tests begin, in milliseconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000_000;
pub(crate) const MINUTE: i64 = 60_000;
/// The job that is watched.
pub(crate) const JOB: i64 = 9_007_199_254_740_993;

/// What the server knows, and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct Things {
    /// Runs as the API shows them, newest first.
    pub(crate) runs: Vec<Value>,
    /// Objects with their versions.
    pub(crate) objects: BTreeMap<String, (u64, String)>,
    /// What answers come before the right ones, by a part of the path: taken one by one.
    pub(crate) troubles: Vec<(&'static str, Answer)>,
    /// The token that is right, and what the secret holds.
    pub(crate) token: String,
    pub(crate) secret: String,
    /// What was published.
    pub(crate) published: Vec<BTreeMap<String, String>>,
}

/// The function, and everything around it.
pub(crate) struct World {
    pub(crate) web: Web,
    pub(crate) things: Arc<Mutex<Things>>,
    pub(crate) watch: Watch,
}

impl World {
    pub(crate) fn new(variables: &[(&str, &str)]) -> Self {
        let things = Things { token: "dapi1".to_owned(), secret: "dapi1".to_owned(), ..Things::default() };
        let things = Arc::new(Mutex::new(things));
        let shared = Arc::clone(&things);
        let web = Web::serve(move |it| answer(&mut shared.lock().unwrap(), it)).unwrap();
        let watch = Self::function(&web, variables);
        Self { web, things, watch }
    }

    /// Lets the function speak to a database.
    pub(crate) fn with_database(mut self, database: Database) -> Self {
        self.watch = self.watch.with_database(database);
        self
    }

    /// A function of its own, as Lambda starts another one beside the first.
    pub(crate) fn function(web: &Web, variables: &[(&str, &str)]) -> Watch {
        let job = JOB.to_string();
        let base = [
            ("STACK", "shop"),
            ("DATABRICKS_HOST", web.address()),
            ("DATABRICKS_SECRET_ARN", "arn:token"),
            ("WEBHOOK_SECRET_ARN", "arn:webhook"),
            ("JOB_MEDALLION", &job),
            ("STATE_BUCKET", "lake"),
            ("PEOPLE_TOPIC_ARN", "arn:people"),
        ];
        Self::with(web, base.iter().chain(variables))
    }

    /// A function that has an address, and knows no jobs.
    pub(crate) fn answering(web: &Web) -> Watch {
        let base = [
            ("STACK", "shop"),
            ("DATABRICKS_HOST", web.address()),
            ("DATABRICKS_SECRET_ARN", "arn:token"),
            ("WEBHOOK_SECRET_ARN", "arn:webhook"),
            ("STATE_BUCKET", "lake"),
        ];
        Self::with(web, base.iter())
    }

    fn with<'a>(web: &Web, variables: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Watch {
        let all = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::from_variables(all.collect()).unwrap();
        let endpoint = web.address().to_owned();
        let lookup = move |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("x".to_owned()),
            _ => None,
        };
        Watch::new(settings, &lookup)
    }

    pub(crate) fn things(&self) -> std::sync::MutexGuard<'_, Things> {
        self.things.lock().unwrap()
    }

    /// Invokes the function with an event; returns its answer, and the metrics that it wrote.
    pub(crate) async fn invoke(&self, event: Value, now: i64) -> (Result<Value, Error>, Vec<Value>) {
        invoke(&self.watch, event, now).await
    }

    /// Invokes it as its schedule does.
    pub(crate) async fn look(&self, now: i64) -> (Result<Value, Error>, Vec<Value>) {
        self.invoke(json!({ "source": "aws.scheduler" }), now).await
    }
}

pub(crate) async fn invoke(watch: &Watch, event: Value, now: i64) -> (Result<Value, Error>, Vec<Value>) {
    let mut log = Vec::new();
    let end = Instant::now() + Duration::from_secs(20);
    let result = watch.handle(&event, now, end, &mut log).await;
    let lines = String::from_utf8(log).unwrap();
    (result, lines.lines().map(|it| serde_json::from_str(it).unwrap()).collect())
}

/// The call of a job's webhook, as a function URL hands it over.
pub(crate) fn webhook(run: i64, password: &str) -> Value {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let body = json!({
        "event_type": "jobs.on_failure", "workspace_id": 1, "run": { "run_id": run }, "job": { "job_id": JOB, "name": "n" },
    });
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("databricks:{password}")));
    json!({
        "version": "2.0", "requestContext": { "http": { "method": "POST" } },
        "headers": { "authorization": authorization }, "body": body.to_string(), "isBase64Encoded": false,
    })
}

/// Sums a metric over lines.
pub(crate) fn sum(lines: &[Value], metric: &str) -> i64 {
    let values = lines.iter().flat_map(|it| match &it[metric] {
        Value::Array(them) => them.clone(),
        it => vec![it.clone()],
    });
    values.filter_map(|it| it.as_i64()).sum()
}

/// The one value of a metric; `None` where there is none.
pub(crate) fn value(lines: &[Value], metric: &str) -> Option<i64> {
    lines.iter().find_map(|it| it[metric].as_i64())
}

/// A run as the API shows it; `end` is 0 while it goes on.
pub(crate) fn run(id: i64, start: i64, end: i64, result: &str) -> Value {
    let life = if end == 0 { "RUNNING" } else { "TERMINATED" };
    json!({
        "run_id": id, "job_id": JOB, "start_time": start, "end_time": end, "run_duration": (end - start).max(0),
        "state": { "life_cycle_state": life, "result_state": Some(result).filter(|it| !it.is_empty()) },
    })
}

fn answer(things: &mut Things, asked: &Request) -> Answer {
    if let Some(at) = things.troubles.iter().position(|it| asked.path.contains(it.0)) {
        return things.troubles.remove(at).1;
    }
    if let Some(api) = asked.path.strip_prefix("/api/2.2/") {
        if asked.headers.get("authorization") != Some(&format!("Bearer {}", things.token)) {
            return Answer::new(403, r#"{"error_code":"PERMISSION_DENIED","message":"Invalid access token."}"#);
        }
        return workspace(things, api, asked);
    }
    match (asked.path.as_str(), asked.headers.get("x-amz-target").map(String::as_str)) {
        ("/oidc/v1/token", _) => {
            let right = asked.headers.get("authorization").is_some_and(|it| it == "Basic cm9ib3Q6aHVzaA==");
            let granted = json!({ "access_token": things.token, "expires_in": 3600 }).to_string();
            if right { Answer::new(200, granted) } else { Answer::new(401, "{}") }
        }
        (_, Some("secretsmanager.GetSecretValue")) => {
            let webhook = r#"{"username":"databricks","password":"right"}"#;
            let text = if asked.body.contains("arn:webhook") { webhook } else { &things.secret };
            Answer::new(200, json!({ "SecretString": text }).to_string())
        }
        ("/", _) => {
            let fields = asked.body.split('&').filter_map(|it| it.split_once('='));
            let plain =
                |it: &str| percent_encoding::percent_decode_str(&it.replace('+', " ")).decode_utf8_lossy().into_owned();
            things.published.push(fields.map(|(name, value)| (name.to_owned(), plain(value))).collect());
            Answer::new(200, "<PublishResponse/>")
        }
        _ => bucket(things, asked),
    }
}

fn workspace(things: &Things, api: &str, asked: &Request) -> Answer {
    let number = |name: &str| asked.parameter(name).and_then(|it| it.parse::<i64>().ok());
    let body = match api {
        "jobs/runs/list" => {
            let wanted = things.runs.iter().filter(|it| {
                let is_over = it["end_time"] != 0;
                it["job_id"].as_i64() == number("job_id")
                    && is_over == (asked.parameter("active_only") != Some("true"))
                    && number("start_time_from").is_none_or(|from| it["start_time"].as_i64() >= Some(from))
            });
            let at: usize = asked.parameter("page_token").map_or(0, |it| it.parse().unwrap());
            let wanted: Vec<&Value> = wanted.collect();
            let page: Vec<&Value> = wanted.iter().skip(at).take(25).copied().collect();
            let mut answer = json!({ "has_more": at + page.len() < wanted.len() });
            if at + page.len() < wanted.len() {
                answer["next_page_token"] = (at + page.len()).to_string().into();
            }
            if !page.is_empty() {
                answer["runs"] = json!(page);
            }
            answer
        }
        "jobs/runs/get" => things.runs.iter().find(|it| it["run_id"].as_i64() == number("run_id")).unwrap().clone(),
        "jobs/get" => json!({ "job_id": JOB, "created_time": NOW - 60 * MINUTE }),
        _ => return Answer::new(404, "{}"),
    };
    Answer::new(200, body.to_string())
}

fn bucket(things: &mut Things, asked: &Request) -> Answer {
    assert!(asked.headers.contains_key("x-amz-content-sha256"), "S3 refuses what has no hash");
    let key = asked.path.strip_prefix("/lake/").unwrap_or_default().to_owned();
    let tag = |version: u64| format!("\"{version}\"");
    match asked.method.as_str() {
        "GET" if key.is_empty() => {
            let prefix = percent_encoding::percent_decode_str(asked.parameter("prefix").unwrap()).decode_utf8_lossy();
            let after = asked.parameter("start-after").unwrap_or_default();
            let after = percent_encoding::percent_decode_str(after).decode_utf8_lossy();
            let found = things.objects.iter().filter(|it| it.0.starts_with(&*prefix) && **it.0 > *after);
            // What is in the files of a log does not matter here: it stands for when they were written.
            let item = |(key, it): (&String, &(u64, String))| {
                let written = if it.1.starts_with('2') { it.1.as_str() } else { "2000-01-01T00:00:00.000Z" };
                format!("<Contents><Key>{key}</Key><LastModified>{written}</LastModified></Contents>")
            };
            Answer::new(200, format!("<ListBucketResult>{}</ListBucketResult>", found.map(item).collect::<String>()))
        }
        "GET" => match things.objects.get(&key) {
            Some((version, body)) => Answer::new(200, body.clone()).header("etag", &tag(*version)),
            None => Answer::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
        },
        _ => {
            let there = things.objects.get(&key).map(|it| it.0);
            let is_free = asked.headers.get("if-none-match").is_some_and(|it| it == "*") && there.is_none();
            let is_same = there.is_some_and(|it| asked.headers.get("if-match") == Some(&tag(it)));
            if !is_free && !is_same {
                return Answer::new(412, "<Error><Code>PreconditionFailed</Code></Error>");
            }
            things.objects.insert(key, (there.unwrap_or(0) + 1, asked.body.clone()));
            Answer::new(200, "")
        }
    }
}
