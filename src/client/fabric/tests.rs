use serde_json::json;

use super::{testing::StandIn, *};

const WORKSPACE: &str = "11111111-aaaa-4bbb-8ccc-000000000001";

fn parts() -> Parts {
    let text = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    vec![text("definition.pbism", "{}"), text("definition/model.tmdl", "model Model\n")]
}

async fn create(client: &Fabric, name: &str) -> Result<()> {
    client.create(WORKSPACE, Sort::Model, name, "about", &parts()).await
}

fn reason(it: Result<()>) -> Reason {
    it.expect_err("refused").reason
}

#[tokio::test]
async fn a_model_goes_there_and_comes_back() {
    let there = StandIn::start();
    let client = there.client();
    for name in ["a", "b", "c", "d", "e"] {
        create(&client, name).await.expect("made");
    }
    let items = client.items(WORKSPACE, Sort::Model).await.expect("all pages");
    let names: Vec<&str> = items.iter().map(|it| it.display_name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"], "three pages of two");
    let mut back = client.definition(WORKSPACE, Sort::Model, &items[0].id).await.expect("a definition");
    back.sort();
    assert_eq!(back, parts());
    client.describe(WORKSPACE, Sort::Model, &items[0].id, "f", "other").await.expect("described");
    let first = client.items(WORKSPACE, Sort::Model).await.expect("listed").remove(0);
    assert_eq!((first.display_name.as_str(), first.description.as_str()), ("f", "other"));
    let taken = client.describe(WORKSPACE, Sort::Model, &first.id, "b", "other").await;
    assert_eq!(reason(taken), Reason::Exists, "two of one name");
    client.refresh(WORKSPACE, &items[0].id).await.expect("the other API, with its own token");
    client.delete(WORKSPACE, Sort::Model, &items[0].id).await.expect("deleted");
    assert_eq!(reason(client.delete(WORKSPACE, Sort::Model, &items[0].id).await), Reason::Missing);
    assert_eq!(client.items("22222222", Sort::Model).await.expect("another workspace"), []);
}

#[tokio::test]
async fn what_goes_wrong_is_told_or_made_up_for() {
    let there = StandIn::start();
    let client = there.client();
    let items = "semanticModels$";
    let fault = |status: u16, body: Value| json!([{ "method": "POST", "path": items, "times": 1, "status": status, "body": body }]);

    there
        .faults(json!([
            { "method": "POST", "path": items, "times": 2, "status": 429, "headers": { "Retry-After": "0" } },
        ]))
        .await;
    create(&client, "throttled").await.expect("not taken twice, then taken");

    there.faults(fault(503, Value::Null)).await;
    assert_eq!(reason(create(&client, "unclear").await), Reason::Unavailable, "it may have been taken: not sent again");

    there.faults(json!([{ "method": "POST", "path": items, "times": 1, "cut": true, "late": true }])).await;
    assert_eq!(reason(create(&client, "lost").await), Reason::Unavailable);
    assert_eq!(reason(create(&client, "lost").await), Reason::Exists, "what was lost was taken");

    there.faults(fault(202, Value::Null)).await;
    create(&client, "silent").await.expect("no word of how to follow it: the caller looks");

    let failed =
        json!({ "status": "Failed", "error": { "errorCode": "Workload_FailedToParseFile", "message": "line 3" } });
    there.faults(json!([{ "method": "GET", "path": "operations", "times": 1, "status": 200, "body": failed }])).await;
    let err = create(&client, "broken").await.expect_err("the operation failed");
    assert_eq!(err.message, "Workload_FailedToParseFile: line 3");

    let denied = json!({ "error": { "code": "PowerBINotAuthorizedException", "message": "no" } });
    there.faults(fault(403, denied)).await;
    let err = create(&client, "denied").await.expect_err("denied");
    assert_eq!((err.reason, err.message.as_str()), (Reason::Denied, "PowerBINotAuthorizedException: no"));

    let names: Vec<String> =
        client.items(WORKSPACE, Sort::Model).await.expect("listed").into_iter().map(|it| it.display_name).collect();
    assert_eq!(names, ["throttled", "lost", "broken"], "nothing is there twice");
}

#[tokio::test]
async fn a_refresh_is_known_by_the_word_of_the_history() {
    let there = StandIn::start();
    let client = there.client();
    create(&client, "a").await.expect("made");
    let id = client.items(WORKSPACE, Sort::Model).await.expect("listed").remove(0).id;
    let begun = client.refresh(WORKSPACE, &id).await.expect("begun");
    assert!(client.began(&begun) && !there.client().began(&begun), "by this client");
    let busy = client.refresh(WORKSPACE, &id).await.expect_err("one at a time");
    assert_eq!(busy.reason, Reason::Busy);
    let state = async || client.refreshes(WORKSPACE, &id).await.expect("a list").remove(0);
    while state().await.loading == Loading::Running {}
    assert_eq!(state().await, Refresh { id: begun, loading: Loading::Done });

    // A workspace without a capacity takes the plain refresh alone, whose answer names it nowhere that is sure.
    there
        .faults(json!([
            { "method": "POST", "path": "refreshes", "times": 1, "status": 400, "body": {} },
            { "method": "POST", "path": "refreshes", "times": 1, "late": true, "status": 202 },
        ]))
        .await;
    let begun = client.refresh(WORKSPACE, &id).await.expect("a plain one");
    assert_eq!(state().await.id, begun, "the newest, which was not there before");
    let asked = there.asked().await;
    let bodies = asked.iter().filter(|it| it.0 == "POST" && it.1.ends_with("refreshes")).map(|it| &it.2);
    assert_eq!(bodies.last().expect("asked")["notifyOption"], "NoNotification");
}

#[tokio::test]
async fn a_refresh_that_fails_says_why() {
    let there = StandIn::start();
    let client = there.client();
    let told = json!({ "errorCode": "ModelRefreshFailed", "errorDescription": "DSN not found" }).to_string();
    let one = |id: &str, status: &str| json!({ "requestId": id, "status": status });
    let mut failed = one("a", "Failed");
    failed["serviceExceptionJson"] = told.into();
    let all =
        json!([failed, one("b", "TimedOut"), one("c", "Disabled"), one("d", "NotStarted"), one("e", "Completed")]);
    let history = json!({ "value": all });
    there.faults(json!([{ "method": "GET", "path": "refreshes", "times": 1, "status": 200, "body": history }])).await;
    let states: Vec<Loading> =
        client.refreshes(WORKSPACE, "m").await.expect("a list").into_iter().map(|it| it.loading).collect();
    let failed = |why: &str| Loading::Failed(why.to_owned());
    let words = "ModelRefreshFailed: DSN not found";
    assert_eq!(states, [failed(words), failed("timedout"), failed("disabled"), Loading::Running, Loading::Done]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_asked_for_anew_once() {
    let there = StandIn::start();
    let client = there.client();
    let refused =
        |times: u32| json!([{ "method": "GET", "path": "semanticModels", "times": times, "status": 401, "body": {} }]);
    there.faults(refused(1)).await;
    client.items(WORKSPACE, Sort::Model).await.expect("the second time");
    there.faults(refused(2)).await;
    assert_eq!(client.items(WORKSPACE, Sort::Model).await.expect_err("not for ever").reason, Reason::Denied);
}
