//! Plans in files, what is taken over, and a state that is lost: with the real program on the real local cloud.

use std::fs;

use crate::{
    place::{Place, STACK},
    world,
};

/// Joins what was told, however it was broken into lines.
fn flat(text: &str) -> String {
    text.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A saved plan does what it says, once; then, and whenever anything moved, it is refused and changes nothing.
pub(crate) async fn are_applied_exactly_or_refused(place: &Place) {
    let path = place.home().join("plan.json");
    let file = path.to_str().expect("text");
    let memory = "    ingest:\n      architecture";
    let before = place.edit(|it| it.replace(memory, "    ingest:\n      memory: 512MiB\n      architecture"));
    let saved = place.run(&["diff", STACK, "--out", file]).await.exits(0).changes_nothing("diff --out");
    let last = saved.out.trim_end().lines().next_back().expect("a line").to_owned();
    assert_eq!(last, format!("Apply exactly this: ecomctl up {STACK} --plan {file}"));
    let text = fs::read_to_string(&path).expect("written");

    let stale = |text: &str, why: &str| {
        let told = flat(text);
        assert!(told.contains("is stale; nothing was changed") && told.contains(why), "{why}: {told}");
        assert!(told.contains(&format!("ecomctl diff {STACK} --out")), "{told}");
    };
    let edited = place.edit(|it| it.replace("memory: 512MiB", "memory: 768MiB"));
    let refused = place.run(&["up", STACK, "--plan", file]).await.exits(9).changes_nothing("a plan of another file");
    stale(&refused.err, "the definition in the stack's files");
    place.edit(|_| edited);

    let name = format!("{STACK}-ingest");
    let function = place.aws.lambda().update_function_configuration().function_name(&name);
    function.timeout(31).send().await.expect("changed by hand");
    let refused = place.run(&["up", STACK, "--plan", file]).await.exits(9).changes_nothing("a plan of another world");
    stale(&refused.err, "function.ingest was changed at the provider: unpublished");
    let function = place.aws.lambda().update_function_configuration().function_name(&name);
    function.timeout(60).send().await.expect("set back by hand");

    place.run(&["up", STACK, "--plan", file]).await.exits(0);
    let live = place.aws.lambda().get_function_configuration().function_name(&name).send().await.expect("there");
    assert_eq!(live.memory_size(), Some(512));
    let refused = place.run(&["up", STACK, "--plan", file]).await.exits(9).changes_nothing("a plan that was applied");
    stale(&refused.err, "what the state records");

    fs::write(&path, &text[..text.len() / 2]).expect("written");
    let damaged = place.run(&["up", STACK, "--plan", file]).await.exits(5);
    assert!(flat(&damaged.err).contains("line ") && damaged.asked.is_empty(), "{}", damaged.err);
    place.edit(|_| before);
    place.run(&["up", STACK]).await.exits(0);
}

/// What exists and is nobody's is left alone until somebody says that it is theirs; what is another stack's, always.
pub(crate) async fn what_is_nobodys_is_adopted(place: &Place) {
    let (group, address) = (format!("/ecomctl/{STACK}/found"), "log_group.found");
    let logs = place.aws.logs();
    logs.create_log_group().log_group_name(&group).send().await.expect("made by hand");
    let before = place.edit(|it| format!("{it}\n  log_group:\n    found:\n      retention: 7d\n"));
    let refused = place.run(&["up", STACK]).await.exits(9).changes_nothing("what is nobody's");
    assert!(flat(&refused.err).contains(&format!("ecomctl adopt {STACK} {address}")), "{}", refused.err);
    place.run(&["adopt", STACK, address]).await.exits(9).changes_nothing("adopt without consent");
    let taken = place.run(&["adopt", STACK, address, "--yes"]).await.exits(0);
    assert!(taken.out.contains("taken over") && taken.out.contains("retention"), "{}", taken.out);
    let again = place.run(&["adopt", STACK, address]).await.exits(0).changes_nothing("adopt again");
    assert!(again.out.contains("already"), "{}", again.out);
    place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff after adopt");

    place.run(&["protect", STACK, address]).await.exits(0);
    place.edit(|_| before.clone());
    let kept = place.run(&["up", STACK]).await.exits(9).changes_nothing("what is protected and left the file");
    assert!(flat(&kept.err).contains(&format!("ecomctl unprotect {STACK} {address}")), "{}", kept.err);
    place.run(&["unprotect", STACK, address]).await.exits(0);
    place.run(&["up", STACK]).await.exits(0);

    let theirs = [("ecomctl:stack", "other"), ("ecomctl:address", address), ("ecomctl:nonce", "n")];
    let create =
        theirs.into_iter().fold(logs.create_log_group().log_group_name(&group), |it, (key, value)| it.tags(key, value));
    create.send().await.expect("made by hand");
    place.edit(|it| format!("{it}\n  log_group:\n    found:\n      retention: 7d\n"));
    let refused =
        place.run(&["adopt", STACK, address, "--yes"]).await.exits(9).changes_nothing("adopt what is another's");
    assert!(flat(&refused.err).contains("it belongs to the stack other"), "{}", refused.err);
    logs.delete_log_group().log_group_name(&group).send().await.expect("deleted by hand");
    place.edit(|_| before);
    place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff afterwards");
}

/// Without the state, everything that the file names is found again by names and tags, and nothing is made twice.
pub(crate) async fn a_lost_state_is_found_again(place: &Place, deployed: &[String]) {
    fs::remove_file(place.state_file()).expect("there was one");
    let found = place.run(&["up", STACK]).await.exits(0);
    assert!(flat(&found.err).contains("its newest copy"), "{}", found.err);
    place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff after the state was lost");
    place.forget().await;
    let found = place.run(&["up", STACK]).await.exits(0);
    assert!(flat(&found.out).contains("there is no state"), "{}", found.out);
    assert_eq!(world::everything(place).await, deployed, "the same world, and nothing twice");
    place.run(&["diff", STACK, "--exit-code"]).await.exits(0).changes_nothing("diff after all of it was lost");
}
