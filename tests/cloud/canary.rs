//! No secret of the stack is ever seen: not in what is printed, the state and its history, plans, artifacts, or the arguments
//! of processes.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use crate::place::{CANARY, Place, STACK, TOKEN};

/// How often the machine's processes are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs something, and returns the arguments of all processes that the machine had meanwhile.
pub(crate) async fn processes_during<T>(run: impl Future<Output = T>) -> (T, BTreeSet<Vec<u8>>) {
    let mut seen = BTreeSet::new();
    let mut run = std::pin::pin!(run);
    loop {
        tokio::select! {
            done = &mut run => return (done, seen),
            () = tokio::time::sleep(LOOK) => (),
        }
        for process in fs::read_dir("/proc").expect("listed").filter_map(Result::ok) {
            // A process may be gone by now.
            seen.extend(fs::read(process.path().join("cmdline")).ok().filter(|it| !it.is_empty()));
        }
    }
}

/// Looks for the key that requests are signed with, and for the passwords that the cloud holds for the stack.
pub(crate) async fn no_secret_is_seen(place: &Place, processes: &BTreeSet<Vec<u8>>) {
    let listed = place.aws.secrets().list_secrets().send().await.expect("listed");
    let mut secrets = vec![CANARY.to_owned()];
    for it in listed.secret_list() {
        let value = place.aws.secrets().get_secret_value().secret_id(it.arn().expect("an ARN")).send().await;
        let value = value.expect("readable").secret_string().expect("text").to_owned();
        // What RDS keeps is JSON, of which only the password is secret.
        let json = serde_json::from_str::<serde_json::Value>(&value).ok();
        secrets.push(json.and_then(|it| it["password"].as_str().map(str::to_owned)).unwrap_or(value));
    }
    assert!(secrets.len() > 2 && secrets.iter().all(|it| it.len() > 8), "there is a password to look for, and a token");
    assert!(secrets.iter().any(|it| it == TOKEN), "the watcher's token is kept as a secret");
    let plan = place.home().join("plan.json");
    let verbose = ["diff", STACK, "--verbose", "--out", plan.to_str().expect("text")];
    place.run(&verbose).await.exits(0);
    place.run(&["state", "show", STACK, "--json"]).await.exits(0);
    let mut texts = vec![("what was printed".to_owned(), place.told().into_bytes())];
    texts.extend(processes.iter().map(|it| ("the arguments of a process".to_owned(), it.clone())));
    for folder in ["state", "artifacts"] {
        files(&place.home().join(folder), &mut texts);
    }
    texts.push(("the plan".to_owned(), fs::read(&plan).expect("written")));
    assert!(processes.len() > 3 && texts.len() > processes.len() + 4, "it looks at everything");
    for (place, text) in &texts {
        for secret in &secrets {
            let found = text.windows(secret.len()).any(|it| it == secret.as_bytes());
            assert!(!found, "a secret is seen in {place}");
        }
    }
    eprintln!("{} secrets are seen nowhere in {} texts", secrets.len(), texts.len());
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for it in fs::read_dir(folder).into_iter().flatten() {
        let path = it.expect("listed").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).expect("readable")));
        }
    }
}
