use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{
    address::{Address, Owner},
    client::databricks::testing::{Answer, Request, Server},
    resource::{Cause, Ownership, testing},
};

/// A workspace with files, jobs and runs.
#[derive(Default)]
struct Shop {
    files: BTreeMap<String, String>,
    jobs: Vec<Value>,
    runs: Vec<Value>,
    /// Whether only administrators may make folders.
    closed: bool,
    /// What was granted on the package's folder.
    granted: Vec<Value>,
}

impl Shop {
    fn answer(&mut self, it: &Request) -> Answer {
        let fine = |it: Value| Answer::Json(200, it);
        let gone = || Answer::Json(404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no" }));
        let path = it.query("path").or_else(|| it.json()["path"].as_str().map(str::to_owned)).unwrap_or_default();
        match it.path() {
            "/api/2.0/workspace/mkdirs" if self.closed => {
                Answer::Json(403, json!({ "error_code": "PERMISSION_DENIED", "message": "only administrators" }))
            }
            "/api/2.0/workspace/mkdirs" => fine(json!({})),
            "/api/2.0/workspace/get-status" if path == FOLDER => {
                fine(json!({ "object_type": "DIRECTORY", "path": path, "object_id": 7 }))
            }
            "/api/2.0/permissions/directories/7" => {
                self.granted.push(it.json()["access_control_list"].clone());
                fine(json!({}))
            }
            "/api/2.0/workspace/import" => {
                let field = |name: &str| {
                    let part = it.body.split_once(&format!("name=\"{name}\"")).expect("a field").1;
                    part.split_once("\r\n\r\n").expect("a value").1.split_once("\r\n--").expect("an end").0.to_owned()
                };
                if field("overwrite") == "false" && self.files.contains_key(&field("path")) {
                    return Answer::Json(409, json!({ "error_code": "RESOURCE_ALREADY_EXISTS" }));
                }
                self.files.insert(field("path"), field("content"));
                fine(json!({}))
            }
            "/api/2.0/workspace/export" => match self.files.get(&path) {
                Some(it) => {
                    use base64::{Engine as _, prelude::BASE64_STANDARD};
                    fine(json!({ "content": BASE64_STANDARD.encode(it) }))
                }
                None => gone(),
            },
            "/api/2.0/workspace/get-status" if self.files.contains_key(&path) => {
                fine(json!({ "object_type": "NOTEBOOK", "path": path }))
            }
            "/api/2.0/workspace/list" => {
                let below = self.files.keys().filter_map(|it| it.strip_prefix(&format!("{path}/"))?.split_once('/'));
                let mut folders: Vec<&str> = below.map(|it| it.0).collect();
                folders.dedup();
                let object = |it: &&str| json!({ "object_type": "DIRECTORY", "path": format!("{path}/{it}") });
                fine(json!({ "objects": folders.iter().map(object).collect::<Vec<_>>() }))
            }
            "/api/2.0/workspace/delete" => {
                let before = self.files.len();
                self.files.retain(|it, _| *it != path && !it.starts_with(&format!("{path}/")));
                if before == self.files.len() { gone() } else { fine(json!({})) }
            }
            "/api/2.2/jobs/list" => fine(json!({ "jobs": self.jobs })),
            "/api/2.2/jobs/runs/list" => fine(json!({ "runs": self.runs })),
            _ => gone(),
        }
    }
}

/// A package in such a workspace.
struct World {
    folder: tempfile::TempDir,
    shop: Arc<Mutex<Shop>>,
    server: Server,
    base: Cx,
}

const FOLDER: &str = "/ecomctl/s/report";

fn name() -> Name {
    let owner = Owner { stack: "s".into(), address: Address::new("package", "report"), nonce: "n".into() };
    Name { physical: FOLDER.into(), owner, id: None }
}

fn package() -> Package {
    Package { wheel: None, file: Some("report.py".into()) }
}

impl World {
    async fn new() -> Self {
        let shop = Arc::new(Mutex::new(Shop::default()));
        let shared = shop.clone();
        let server = Server::start(move |it: &Request| shared.lock().expect("nobody panicked").answer(it)).await;
        let base = tokio::task::spawn_blocking(testing::cx).await.expect("no panic");
        Self { folder: tempfile::tempdir().expect("a folder"), shop, server, base }
    }

    /// The context once the file says this.
    fn cx(&self, text: &str) -> Cx {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        use sha2::{Digest as _, Sha256};
        let path = self.folder.path().join("report.py");
        std::fs::write(&path, text).expect("written");
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(text));
        let artifact = Artifact { path, sha256, size: 1, fresh: false };
        let artifacts = BTreeMap::from([(package().build().expect("one"), artifact)]);
        Cx { databricks: testing::databricks(&self.server.host), artifacts: Arc::new(artifacts), ..self.base.clone() }
    }

    async fn live(&self, cx: &Cx) -> Option<LivePackage> {
        Package::read(cx, &[name()]).await.expect("readable").remove(0)
    }

    /// Brings the package to this content, as the engine would; returns its path.
    async fn up(&self, text: &str) -> String {
        let cx = self.cx(text);
        if self.live(&cx).await.is_none() {
            package().create(&cx, &name()).await.expect("made");
        }
        let live = self.live(&cx).await.expect("there");
        let wanted = package().desired(&cx).expect("known").spec;
        if Package::observed(&live)["content"] != wanted["content"] {
            let change = Change {
                field: "content".into(),
                from: Value::Null,
                to: wanted["content"].clone(),
                cause: Cause::Edit,
                waits_for: None,
            };
            package().update(&cx, &name(), &live, &[change]).await.expect("updated");
        }
        let live = self.live(&cx).await.expect("there");
        assert_eq!(Package::observed(&live)["content"], wanted["content"]);
        let path = Package::outputs(&live)["path"].clone();
        assert_eq!(path, package().uploaded(&cx, "report").expect("known").path, "known beforehand");
        path
    }

    fn edit<T>(&self, change: impl FnOnce(&mut Shop) -> T) -> T {
        change(&mut self.shop.lock().expect("nobody panicked"))
    }

    fn has(&self, path: &str) -> bool {
        self.edit(|it| it.files.contains_key(path.strip_prefix("/Workspace").expect("as clusters see it")))
    }
}

fn uses(id: i64, path: &str) -> Value {
    json!({ "job_id": id, "settings": { "name": "j", "tasks": [{ "spark_python_task": { "python_file": path } }] } })
}

#[tokio::test]
async fn contents_never_change_under_their_paths() {
    let world = World::new().await;
    let first = world.up("print(1)").await;
    let second = world.up("print(2)").await;
    assert_ne!(first, second);
    assert!(world.has(&first) && world.has(&second), "the job still names the first until it is updated");
    assert_eq!(world.up("print(1)").await, first, "the same content, the same path");
    let live = world.live(&world.cx("print(1)")).await.expect("there");
    let Ownership::Tagged(owner) = Package::identity(&live).ownership else { panic!("it is ours") };
    assert_eq!(owner, name().owner);
}

#[tokio::test]
async fn everybody_reads_and_only_who_deploys_writes() {
    let world = World::new().await;
    let path = world.up("print(1)").await;
    assert!(path.starts_with("/Workspace/ecomctl/s/report/"), "{path}: not where everybody writes");
    let granted = world.edit(|it| it.granted.clone());
    assert_eq!(granted, [json!([{ "group_name": "users", "permission_level": "CAN_READ" }])]);

    let world = World::new().await;
    world.edit(|it| it.closed = true);
    let err = package().create(&world.cx("print(1)"), &name()).await.expect_err("the root is closed");
    let KindError::Refused { help, .. } = err else { panic!("{err}") };
    assert!(help.contains("let an administrator of the workspace make the folder /ecomctl"), "{help}");
}

#[tokio::test]
async fn older_contents_go_when_nobody_uses_them() {
    let world = World::new().await;
    let first = world.up("print(1)").await;
    world.edit(|it| it.jobs = vec![uses(1, &first)]);
    let second = world.up("print(2)").await;
    let third = world.up("print(3)").await;
    assert!(world.has(&first), "somebody's job uses it");
    assert!(world.has(&second) && world.has(&third));

    world.edit(|it| {
        it.jobs = vec![uses(1, &third)];
        it.runs = vec![json!({ "run_id": 9, "job_id": 1 })];
    });
    let fourth = world.up("print(4)").await;
    assert!(world.has(&first) && world.has(&second), "a run of that job may have begun with any of them");

    world.edit(|it| it.runs.clear());
    let fifth = world.up("print(5)").await;
    assert!(!world.has(&first) && !world.has(&second), "nobody uses them");
    assert!(world.has(&third), "somebody's job uses it");
    assert!(world.has(&fourth) && world.has(&fifth));
}

#[tokio::test]
async fn what_is_used_is_not_deleted() {
    let world = World::new().await;
    let path = world.up("print(1)").await;
    let cx = world.cx("print(1)");
    let live = world.live(&cx).await.expect("there");
    world.edit(|it| it.jobs = vec![uses(7, &path)]);
    let err = Package::delete(&cx, &name(), &live).await.expect_err("a job uses it");
    assert!(err.to_string().contains("is still used by job 7 (j)"), "{err}");
    world.edit(|it| {
        it.jobs.clear();
        it.runs = vec![json!({ "run_id": 9, "tasks": [{ "libraries": [{ "whl": path }] }] })];
    });
    let err = Package::delete(&cx, &name(), &live).await.expect_err("a run uses it");
    assert!(matches!(&err, KindError::Client(it) if it.reason == Reason::Busy), "{err}");
    world.edit(|it| it.runs.clear());
    Package::delete(&cx, &name(), &live).await.expect("deleted");
    assert!(world.live(&cx).await.is_none());
    Package::delete(&cx, &name(), &live).await.expect("gone already");
}

#[tokio::test]
async fn what_somebody_changed_or_removed_shows() {
    let world = World::new().await;
    let path = world.up("print(1)").await;
    let cx = world.cx("print(1)");
    let file = path.strip_prefix("/Workspace").expect("a path").to_owned();
    let content = async || Package::observed(&world.live(&cx).await.expect("there"))["content"].clone();
    let before = content().await;
    world.edit(|it| it.files.insert(file.clone(), "import os".into()));
    assert_ne!(content().await, before, "tampered with");
    world.edit(|it| it.files.remove(&file));
    assert_eq!(content().await, Value::Null);
    assert_eq!(world.up("print(1)").await, path, "put back");

    world.edit(|it| it.files.insert(format!("{FOLDER}/{MARKER}"), "no JSON".into()));
    let live = world.live(&cx).await.expect("something");
    assert_eq!(Package::identity(&live).ownership, Ownership::Foreign);
}

#[tokio::test]
async fn notebooks_lose_their_endings() {
    let world = World::new().await;
    let path = world.up("# Databricks notebook source\nprint(1)").await;
    assert!(path.ends_with("/report"), "{path}");
    assert!(world.up("print(1)").await.ends_with("/report.py"));
}

#[test]
fn flaws() {
    let at = |value: Value| {
        let spec: Package = serde_json::from_value(value).expect("a spec");
        spec.check().into_iter().map(|it| it.at).collect::<Vec<_>>()
    };
    assert_eq!(at(json!({ "wheel": "notebooks" })), Vec::<String>::new());
    assert_eq!(at(json!({})), [""]);
    assert_eq!(at(json!({ "wheel": "a", "file": "b" })), ["/file"]);
    assert_eq!(at(json!({ "wheel": "../a" })), ["/wheel"]);
    assert_eq!(at(json!({ "file": "/etc/passwd" })), ["/file"]);
    assert_eq!(at(json!({ "wheel": "." })), ["/wheel"]);
}
