//! A whole run over a kind of our own: what is asked, recorded and given back, and how it ends.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::{
    address::{Kinded, Name, Owner},
    client::{self, Reason, aws::Aws},
    command::{access::Access, consent::Consent},
    report::Style,
    resource::{self, Change, Identity, Lives, Of, Ownership, Resource, Scope},
    stack::{Origin, Settings, Target},
    template::Templates,
};

/// What the provider of jars has, by name.
static JARS: Mutex<BTreeMap<String, (Jar, Owner)>> = Mutex::new(BTreeMap::new());
/// Whether the provider denies what is asked.
static DENIES: AtomicBool = AtomicBool::new(false);
/// What is put in the way of writing the state as soon as a jar is made.
static BLOCKS: Mutex<Option<std::path::PathBuf>> = Mutex::new(None);
static KIND: &[&dyn Kind] = &[&Of::<Jar>::new()];

/// A thing that holds data.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Jar {
    size: u32,
}

impl Kinded for Jar {
    const KIND: &'static str = "jar";
}

impl Resource for Jar {
    const DATA_BEARING: bool = true;
    type Live = (Self, Owner);

    async fn read(_: &Cx, names: &[Name]) -> resource::Result<Vec<Option<Self::Live>>> {
        let jars = JARS.lock().expect("nobody panicked");
        Ok(names.iter().map(|it| jars.get(&it.physical).cloned()).collect())
    }

    fn observed(live: &Self::Live) -> Value {
        json!({ "size": live.0.size })
    }

    fn identity(live: &Self::Live) -> Identity {
        Identity { id: None, ownership: Ownership::Tagged(live.1.clone()) }
    }

    async fn create(&self, _: &Cx, name: &Name) -> resource::Result<()> {
        if DENIES.load(Ordering::SeqCst) {
            return Err(client::Error::new("jars", "CreateJar", Reason::Denied, "AccessDenied: no").into());
        }
        JARS.lock().expect("nobody panicked").insert(name.physical.clone(), (self.clone(), name.owner.clone()));
        if let Some(path) = BLOCKS.lock().expect("nobody panicked").as_ref() {
            std::fs::create_dir(path).expect("created");
        }
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, _: &Self::Live, _: &[Change]) -> resource::Result<()> {
        self.create(cx, name).await
    }

    async fn delete(_: &Cx, name: &Name, _: &Self::Live) -> resource::Result<()> {
        JARS.lock().expect("nobody panicked").remove(&name.physical);
        Ok(())
    }
}

async fn run(home: &std::path::Path) -> Run {
    let spec = json!({ "size": 3 });
    let origin = Origin { file: "stacks/test.yaml".into(), line: 1, column: 1 };
    let jar = crate::stack::Definition { spec, needs: Vec::new(), protect: false, renamed_from: None, origin };
    let endpoint = crate::client::aws::Target {
        region: "us-east-1".to_owned(),
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        keys: Some(("000000000000".to_owned(), "local".to_owned())),
    };
    Run {
        terminal: Terminal { json: true, out: Style::PLAIN, err: Style::PLAIN, live: false, interactive: false },
        project: Project { root: home.to_owned(), home: home.to_owned(), access: Access::default() },
        stack: Stack {
            name: "test".to_owned(),
            settings: Settings { target: Target::Local, ..Settings::default() },
            resources: [(Address::new("jar", "jam"), jar)].into(),
            hash: "ab".repeat(32),
        },
        kinds: KIND,
        cx: Cx {
            aws: Arc::new(Aws::connect(&endpoint).await),
            databricks: crate::resource::testing::databricks("http://127.0.0.1:9"),
            fabric: crate::resource::testing::fabric("http://127.0.0.1:9"),
            scope: Scope { stack: "test".into(), account: "000000000000".into(), region: "us-east-1".into() },
            templates: Arc::new(Templates::new(home)),
            artifacts: Arc::new(BTreeMap::new()),
            tags: BTreeMap::new(),
            lives: Lives::default(),
            specs: Arc::default(),
        },
        verbose: false,
        waiting: Waiting::default(),
        started: Instant::now(),
    }
}

fn order(goal: Goal, consent: &Consent) -> Order {
    Order { aim: goal.into(), saved: None, consent: consent.clone() }
}

fn ended(result: Result<Exit>) -> Exit {
    result.unwrap_or_else(|err| err.exit())
}

fn jars() -> usize {
    JARS.lock().expect("nobody panicked").len()
}

/// One test, as it is one world: a failure, a success, nothing to do, a lock, and a teardown without and with consent.
#[tokio::test]
async fn from_nothing_to_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let mut elsewhere = run(home.path()).await;
    elsewhere.cx.scope.account = "222222222222".to_owned();
    let run = run(home.path()).await;
    let (no, yes) = (Consent::default(), Consent { yes: true, ..Consent::default() });

    DENIES.store(true, Ordering::SeqCst);
    assert_eq!(ended(run.change(&order(Goal::Up, &no)).await), Exit::Incomplete);
    let document = run.document().await.expect("a state");
    assert_eq!((document.lease, document.definition), (None, None), "the lease is given back, and nothing was applied");

    DENIES.store(false, Ordering::SeqCst);
    let blocked = home.path().join("state/test.json.new");
    *BLOCKS.lock().expect("nobody panicked") = Some(blocked.clone());
    let ended_at = run.change(&order(Goal::Up, &no)).await.expect_err("the state could not be written");
    assert_eq!((ended_at.exit(), jars()), (Exit::Incomplete, 1), "{ended_at:?}");
    assert!(ended_at.diagnostic().to_string().contains("is incomplete"), "{ended_at:?}");
    *BLOCKS.lock().expect("nobody panicked") = None;
    std::fs::remove_dir(blocked).expect("removed");
    // The lease could not be given back either, and this process, which held it, still runs.
    let store = run.store().expect("a name");
    let (document, etag) = store.load().await.expect("readable").expect("there");
    store.swap(&Document { lease: None, ..document }, Some(&etag)).await.expect("written");
    assert_eq!(ended(run.change(&order(Goal::Up, &no)).await), Exit::Done);
    let document = run.document().await.expect("a state");
    assert_eq!(document.definition.as_ref().map(|it| it.hash.as_str()), Some("ab".repeat(32).as_str()));
    assert_eq!((document.resources.len(), jars()), (1, 1));

    assert!(run.plan(&document, &Goal::Up.into()).await.expect("a plan").0.is_empty());
    assert_eq!(ended(run.change(&order(Goal::Up, &no)).await), Exit::Done);
    let again = run.document().await.expect("a state");
    assert_eq!(again.definition, document.definition, "with nothing changed, nothing is recorded anew");

    assert_eq!(document.cloud.as_deref(), Some("000000000000/us-east-1"));
    let refused = elsewhere.change(&order(Goal::Teardown, &yes)).await.expect_err("it does not lie there");
    assert_eq!((refused.exit(), jars()), (Exit::Refused, 1), "{refused:?}");
    assert_eq!(run.document().await.expect("a state").resources.len(), 1, "and nothing is forgotten");

    let mut other = who::holder(home.path());
    other.host = "elsewhere".to_owned();
    let held = Session::acquire(run.store().expect("a name"), other).await.expect("a lease");
    assert_eq!(ended(run.change(&order(Goal::Up, &no)).await), Exit::Locked);
    let document = run.document().await.expect("a state can be read while another run holds the lease");
    assert!(run.plan(&document, &Goal::Up.into()).await.expect("a plan").0.is_empty());
    held.release().await.expect("given back");

    assert_eq!(ended(run.change(&order(Goal::Teardown, &no)).await), Exit::Refused);
    let document = run.document().await.expect("a state");
    assert_eq!((document.lease, jars()), (None, 1), "nothing was changed, and nobody is locked out");

    assert_eq!(ended(run.change(&order(Goal::Teardown, &yes)).await), Exit::Done);
    assert_eq!((run.document().await.expect("a state").resources.len(), jars()), (0, 0));
    assert_eq!(
        ended(run.change(&order(Goal::Teardown, &no)).await),
        Exit::Done,
        "where there is nothing, nothing is asked"
    );
}
