use std::collections::BTreeMap;

use serde_json::json;

use super::{
    files::Import,
    runs::{LifeCycle, Outcome},
    testing::{Answer, Request, Server},
    *,
};

fn fine(it: Value) -> Answer {
    Answer::Json(200, it)
}

/// A call that may arrive twice, and one that may not.
#[derive(Clone, Copy, Debug)]
enum Ask {
    List,
    Reset,
    RunNow,
    Create,
}

async fn ask(client: &Databricks, what: Ask) -> Result<()> {
    match what {
        Ask::List => client.jobs().await.map(drop),
        Ask::Reset => client.reset_job(1, json!({})).await,
        Ask::RunNow => client.run_now(1, "token", &BTreeMap::new()).await.map(drop),
        Ask::Create => client.create_job(json!({})).await.map(drop),
    }
}

/// How often what comes is sent is the client's for HTTP; here is which call may be sent twice, and what the codes mean.
#[tokio::test]
async fn what_is_sent_again_and_what_is_not() {
    use Ask::{Create, List, Reset, RunNow};
    let aborted = Answer::Json(409, json!({ "error_code": "ABORTED" }));
    let full = Answer::Json(400, json!({ "error_code": "REQUEST_LIMIT_EXCEEDED" }));
    // What is asked, what comes first, how many requests that makes, and how it ends.
    let table = [
        (List, Answer::Cut, 2, None),
        (Reset, Answer::Cut, 2, None),
        (RunNow, Answer::Cut, 2, None),
        // Whether it was done is open: it may not.
        (Create, Answer::Cut, 1, Some(Reason::Unavailable)),
        (List, aborted, 1, Some(Reason::Busy)),
        (List, full.clone(), 2, None),
        // Refused before anything was done: it may be said again.
        (Create, full, 2, None),
    ];
    for (what, first, requests, end) in table {
        let told = format!("{what:?} after {first:?}");
        let server = Server::scripted(vec![first, fine(json!({ "job_id": 1, "run_id": 2 }))]).await;
        let result = ask(&server.client(), what).await;
        assert_eq!(result.as_ref().err().map(|it| it.reason), end, "{told}: {result:?}");
        assert_eq!(server.asked().len(), requests, "{told}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let client = Databricks::new(Target::ambient().host(Some(format!("http://{closed}"))).token("dapi-secret"));
    let err = client.create_job(json!({})).await.expect_err("nobody");
    assert_eq!(err.reason, Reason::Unavailable);
    assert!(err.message.starts_with("no answer from 127.0.0.1: ") && !err.to_string().contains("dapi"), "{err}");
    let clear = Databricks::new(Target::ambient().host(Some("http://example.com".into())).token("t"));
    let err = clear.jobs().await.expect_err("not in the clear");
    assert_eq!(err.reason, Reason::Denied);
    assert!(err.message.contains("use https://"), "{err}");
    let secure = Databricks::new(Target::ambient().host(Some("https://127.0.0.1:9".into())).token("t"));
    assert_eq!(
        secure.create_job(json!({})).await.expect_err("nobody").reason,
        Reason::Unavailable,
        "TLS can be set up"
    );
}

/// A workspace that hands tokens out: `t1`, `t2`, …, each of so many seconds.
fn principal(discovers: bool, life: u64) -> impl FnMut(&Request) -> Answer + Send {
    let mut given = 0;
    move |it: &Request| {
        let host = it.headers["host"].clone();
        match it.path() {
            "/.well-known/databricks-config" if discovers => {
                fine(json!({ "oidc_endpoint": format!("http://{host}/oidc/"), "workspace_id": "4711" }))
            }
            "/oidc/.well-known/oauth-authorization-server" => {
                fine(json!({ "token_endpoint": format!("http://{host}/token") }))
            }
            "/token" | "/oidc/v1/token" => {
                assert_eq!(it.headers["authorization"], "Basic cm9ib3Q6czNjcjN0");
                assert_eq!(it.body, "grant_type=client_credentials&scope=all-apis");
                given += 1;
                fine(json!({ "access_token": format!("t{given}"), "token_type": "Bearer", "expires_in": life }))
            }
            "/api/2.2/jobs/list" => fine(json!({})),
            _ => Answer::With(404, "x: y", "no such page"),
        }
    }
}

fn robot(server: &Server) -> Databricks {
    let config = config::Config {
        host: server.host.clone(),
        credentials: config::Credentials::Principal { id: "robot".into(), secret: Hidden("s3cr3t".into()) },
        workspace_id: None,
    };
    let client = Databricks::new(Target::ambient());
    client.connection.set(Connection::new(config).expect("a connection")).expect("the first");
    client
}

fn tokens(server: &Server) -> Vec<String> {
    let lists = server.asked().clone().into_iter().filter(|it| it.path() == "/api/2.2/jobs/list");
    lists.map(|it| it.headers["authorization"].clone()).collect()
}

#[tokio::test]
async fn a_service_principal_gets_its_token_once() {
    let server = Server::start(principal(true, 3600)).await;
    let client = robot(&server);
    for result in futures::future::join_all([client.jobs(), client.jobs(), client.jobs()]).await {
        result.expect("a list");
    }
    assert_eq!(tokens(&server), ["Bearer t1"; 3]);
    let asked = server.asked().clone();
    assert_eq!(asked.iter().filter(|it| it.path() == "/token").count(), 1);
    let list = asked.iter().find(|it| it.path() == "/api/2.2/jobs/list").expect("asked");
    assert_eq!(list.headers["x-databricks-workspace-id"], "4711");
    assert!(list.headers["user-agent"].starts_with("ecomctl/"));
}

#[tokio::test]
async fn it_does_without_discovery_and_renews_what_ends() {
    let server = Server::start(principal(false, 1)).await;
    let client = robot(&server);
    client.jobs().await.expect("a list");
    client.jobs().await.expect("a list");
    assert_eq!(tokens(&server), ["Bearer t1", "Bearer t2"], "one second is over before it began");
    assert!(server.asked().iter().any(|it| it.path() == "/oidc/v1/token"));
    assert!(!server.asked().iter().any(|it| it.headers.contains_key("x-databricks-workspace-id")));
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_replaced() {
    let (mut robot_tokens, mut refused) = (principal(false, 3600), false);
    let server = Server::start(move |it: &Request| match it.path() {
        "/api/2.2/jobs/list" if !std::mem::replace(&mut refused, true) => Answer::With(401, "x: y", ""),
        _ => robot_tokens(it),
    })
    .await;
    robot(&server).jobs().await.expect("a list");
    assert_eq!(tokens(&server), ["Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn a_wrong_secret_is_denied() {
    let refused = |it: &Request| match it.path() {
        "/oidc/v1/token" => Answer::Json(400, json!({ "error": "invalid_client", "error_description": "unknown" })),
        _ => Answer::With(404, "x: y", ""),
    };
    let server = Server::start(refused).await;
    let err = robot(&server).create_job(json!({})).await.expect_err("refused");
    assert_eq!((err.reason, err.operation), (Reason::Denied, "oauth token"));
    assert!(err.message.contains("unknown") && !err.to_string().contains("s3cr3t"), "{err}");
}

#[tokio::test]
async fn a_job_of_230_tasks_comes_in_three_pages() {
    let server = Server::start(|it: &Request| {
        assert_eq!(it.query("job_id").as_deref(), Some("8812345678901234567"));
        let first: usize = it.query("page_token").map_or(0, |it| it.parse().expect("ours"));
        let last = (first + 100).min(230);
        let tasks: Vec<Value> = (first..last).map(|i| json!({ "task_key": format!("t{i}") })).collect();
        let mut answer =
            json!({ "job_id": 8_812_345_678_901_234_567_i64, "settings": { "name": "n", "tasks": tasks } });
        if last < 230 {
            answer["has_more"] = true.into();
            answer["next_page_token"] = last.to_string().into();
        }
        fine(answer)
    })
    .await;
    let job = server.client().job(8_812_345_678_901_234_567).await.expect("a job");
    assert_eq!(job.job_id, 8_812_345_678_901_234_567, "more than a float can hold");
    let keys: Vec<String> =
        job.settings["tasks"].as_array().expect("tasks").iter().map(|it| it["task_key"].to_string()).collect();
    assert_eq!(keys.len(), 230);
    assert_eq!((keys[0].as_str(), keys[229].as_str()), ("\"t0\"", "\"t229\""));
    assert!(!job.has_more);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn names_are_matched_exactly_on_every_page() {
    let server = Server::start(|it: &Request| {
        assert_eq!(it.query("name").as_deref(), Some("s-medallion"));
        let job = |id: i64, name: &str| json!({ "job_id": id, "settings": { "name": name } });
        match it.query("page_token").as_deref() {
            None => fine(json!({ "jobs": [job(1, "S-Medallion"), job(2, "s-medallion")], "next_page_token": "x" })),
            Some("x") => fine(json!({ "jobs": [job(3, "s-medallion")], "next_page_token": "" })),
            Some(it) => panic!("{it}"),
        }
    })
    .await;
    let found = server.client().jobs_named("s-medallion").await.expect("a list");
    assert_eq!(found.iter().map(|it| it.job_id).collect::<Vec<_>>(), [2, 3]);
}

#[tokio::test]
async fn files_go_up_as_forms() {
    let server = Server::scripted(vec![fine(json!({}))]).await;
    let import = |notebook| Import {
        path: "/Shared/a b/x.whl".into(),
        content: "PK-content".into(),
        notebook,
        overwrite: !notebook,
    };
    server.client().import(import(false)).await.expect("taken");
    server.client().import(import(true)).await.expect("taken");
    let asked = server.asked().clone();
    assert!(asked[0].headers["content-type"].starts_with("multipart/form-data; boundary="));
    let field = |it: &Request, name: &str| {
        let part = it.body.split_once(&format!("name=\"{name}\"")).map(|it| it.1)?;
        Some(part.split_once("\r\n\r\n")?.1.split_once("\r\n--")?.0.to_owned())
    };
    for (name, file, notebook) in [
        ("path", Some("/Shared/a b/x.whl"), Some("/Shared/a b/x.whl")),
        ("format", Some("AUTO"), Some("SOURCE")),
        ("language", None, Some("PYTHON")),
        ("overwrite", Some("true"), Some("false")),
        ("content", Some("PK-content"), Some("PK-content")),
    ] {
        assert_eq!((field(&asked[0], name).as_deref(), field(&asked[1], name).as_deref()), (file, notebook), "{name}");
    }
}

#[tokio::test]
async fn runs_are_read_with_words_that_are_newer_than_this() {
    let server = Server::start(|it: &Request| match it.query("page_token") {
        None => fine(json!({
            "run_id": 7, "job_id": 1, "state": { "life_cycle_state": "TERMINATED", "result_state": "SUCCESS_WITH_FAILURES" },
            "tasks": [{ "run_id": 8, "task_key": "a", "state": { "life_cycle_state": "WAITING_FOR_RETRY" } }],
            "next_page_token": "2", "something": "new",
        })),
        Some(_) => fine(json!({
            "run_id": 7, "tasks": [{ "run_id": 9, "task_key": "b",
                "state": { "life_cycle_state": "DREAMING", "result_state": "WOKEN_UP" } }],
        })),
    })
    .await;
    let run = server.client().run(7).await.expect("a run");
    assert_eq!((run.job_id, run.state.result_state), (1, Some(Outcome::SuccessWithFailures)));
    assert!(run.state.life_cycle_state.is_over());
    let states: Vec<_> = run.tasks.iter().map(|it| (it.state.life_cycle_state, it.state.result_state)).collect();
    assert_eq!(states, [(LifeCycle::WaitingForRetry, None), (LifeCycle::Unknown, Some(Outcome::Unknown))]);
    assert!(!LifeCycle::Unknown.is_over());
}

#[tokio::test]
async fn only_what_is_granted_on_the_job_itself_counts() {
    let server = Server::scripted(vec![fine(json!({ "access_control_list": [
        { "user_name": "a@x", "all_permissions": [{ "permission_level": "IS_OWNER", "inherited": false }] },
        { "group_name": "admins", "all_permissions": [
            { "permission_level": "CAN_MANAGE", "inherited": true, "inherited_from_object": ["/jobs/"] }] },
    ] }))])
    .await;
    let grants = server.client().job_grants(1).await.expect("a list");
    assert_eq!(grants, [Grant { to: Principal::User("a@x".into()), level: "IS_OWNER".into() }]);
    server.client().put_job_grants(1, &grants).await.expect("set");
    let asked = server.asked().clone();
    let body = json!({ "access_control_list": [{ "user_name": "a@x", "permission_level": "IS_OWNER" }] });
    assert_eq!((asked[1].method.as_str(), asked[1].json()), ("PUT", body));
}

#[tokio::test]
async fn nothing_shows_a_token() {
    let server = Server::scripted(vec![Answer::With(500, "x: y", "no")]).await;
    let client = server.client();
    let err = client.put_secret("s", "k", &secrets::SecretText::new("dapi-value")).await.expect_err("500");
    let shown =
        format!("{client:?} {:?} {err} {err:?} {:?}", client.connection.get(), secrets::SecretText::new("dapi-x"));
    assert!(!shown.contains("dapi"), "{shown}");
}

#[tokio::test]
async fn runs_are_listed_as_far_back_as_is_asked_for() {
    let server = Server::start(|it: &Request| {
        let first: i64 = it.query("page_token").map_or(100, |it| it.parse().expect("ours"));
        let runs: Vec<_> = (first - 23..=first).rev().map(|it| json!({ "run_id": it })).collect();
        fine(json!({ "runs": runs, "has_more": true, "next_page_token": (first - 24).to_string() }))
    })
    .await;
    let runs = server.client().runs(7, |it| it.run_id == 60).await.expect("runs");
    assert_eq!((runs.len(), runs[0].run_id, runs[47].run_id), (48, 100, 53));
    assert_eq!(server.asked().len(), 2);
    assert_eq!(server.asked()[0].query("job_id").as_deref(), Some("7"));
}
