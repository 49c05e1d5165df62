//! A plan as JSON, for programs.
//!
//! ```json
//! {
//!   "schema": 1,
//!   "stack": "staging", "lineage": "<uuid>", "serial": 12, "definition": "<sha256>",
//!   "last_applied": { "at": "<RFC 3339>", "by": "ci@runner", "commit": "a1b2c3d…" | null } | null,
//!   "changes": true,
//!   "counts": { "create": 1, "update": 2, "settle": 0, "replace": 0, "delete": 0, "refused": 1, "unchanged": 41 },
//!   "steps": [{
//!     "address": "function.ingest", "action": "create" | "update" | "settle" | "replace" | "delete",
//!     "physical": "staging-ingest", "id": "arn:…" | null,
//!     "changes": [{ "field": "memory", "from": "256MiB", "to": "512MiB", "cause": "edit" | "drift", "waits_for"?: "kind.name" }],
//!     "unknown": { "<field>": "<the address it waits for>" },
//!     "after": ["<address>"], "resumes": false, "found": false, "adopts": false, "forgets": false,
//!     "moved_from": "<address>" | null, "kept": [<as in changes>], "awaits": "modifying" | null,
//!     "unreadable": "<why>" | null, "protect": false, "protects": false, "loses_data": false,
//!     "refused": { "field": "partitions" | null, "reason": "…", "help": "…" } | null
//!   }],
//!   "unchanged": ["topic.orders"],
//!   "notes": ["…"]
//! }
//! ```
//!
//! To settle is to wait until a resource is ready (`awaits`) or can be read (`unreadable`), and to record it; nothing is
//! sent. `found` resources were there without a record. `kept` is what others changed and the run leaves
//! as it is. `changes` says whether anything would be done or is refused: what `diff --exit-code` answers with 3. Steps stand in
//! the order of the plan. Fields are only ever added; anything else raises `schema`. It is a report, and no plan that
//! could be applied.

use serde_json::{Value, json};

use crate::{
    engine::{Action, Step},
    report::plan::{Counts, View},
};

/// The version of the format.
const SCHEMA: u32 = 1;

/// Writes a plan as JSON.
pub fn json(view: &View<'_>) -> Value {
    let plan = view.plan;
    let counts = Counts::of(plan);
    let (steps, unchanged): (Vec<_>, Vec<_>) =
        plan.steps.iter().partition(|it| it.action != Action::Noop || it.refused.is_some());
    json!({
        "schema": SCHEMA,
        "stack": plan.stack,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "definition": plan.definition,
        "last_applied": view.last,
        "changes": !counts.is_quiet(),
        "counts": counts,
        "steps": steps.into_iter().map(step).collect::<Vec<_>>(),
        "unchanged": unchanged.iter().map(|it| &it.address).collect::<Vec<_>>(),
        "notes": plan.notes,
    })
}

/// Writes a step without what only the engine needs. The full spec is left out: what matters of it is in the changes,
/// and of a new resource in the stack file.
fn step(it: &Step) -> Value {
    json!({
        "address": it.address,
        "action": it.action,
        "physical": it.physical,
        "id": it.id,
        "changes": it.changes,
        "unknown": it.unknown,
        "after": it.after,
        "resumes": it.resumes,
        "found": it.found,
        "adopts": it.adopts,
        "forgets": it.forgets,
        "moved_from": it.moved_from,
        "kept": it.kept,
        "awaits": it.awaits,
        "unreadable": it.unreadable,
        "protect": it.protect,
        "protects": it.protects,
        "loses_data": it.loses_data,
        "refused": it.refused,
    })
}
