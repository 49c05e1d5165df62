//! Progress as JSON, one object per line:
//!
//! ```json
//! {"event":"started","address":"topic.orders","action":"create","settled":0,"total":17}
//! {"event":"waiting","address":"…","on":"CREATING","elapsed_ms":15000,"patience_ms":600000,"settled":0,"total":17}
//! {"event":"finished","address":"…","action":"create","elapsed_ms":840,"settled":1,"total":17}
//! {"event":"failed","address":"…","action":"create","message":"…","settled":2,"total":17}
//! {"event":"unfinished","address":"…","action":"create","on":"CREATING","settled":2,"total":17}
//! {"event":"skipped","address":"…","action":"create","because_of":"function.ingest","settled":3,"total":17}
//! {"event":"interrupted","running":["…"]}
//! ```
//!
//! `because_of` is null when the run was interrupted. `settled` counts the steps that came to an end, whichever.
//! `action` is as in a plan's JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::Event;

pub(super) fn line(event: &Event, settled: usize, total: usize) -> Value {
    let mut object = match event {
        Event::Started { address, action } => json!({ "event": "started", "address": address, "action": action }),
        Event::Waiting { address, on, elapsed, patience, usual } => json!({
            "event": "waiting", "address": address, "on": on,
            "elapsed_ms": millis(*elapsed), "patience_ms": millis(*patience), "usual_ms": usual.map(millis),
        }),
        Event::Finished { address, action, elapsed } => {
            json!({ "event": "finished", "address": address, "action": action, "elapsed_ms": millis(*elapsed) })
        }
        Event::Failed { address, action, message } => {
            json!({ "event": "failed", "address": address, "action": action, "message": message })
        }
        Event::Unfinished { address, action, on } => {
            json!({ "event": "unfinished", "address": address, "action": action, "on": on })
        }
        Event::Skipped { address, action, because_of } => {
            json!({ "event": "skipped", "address": address, "action": action, "because_of": because_of })
        }
    };
    object["settled"] = settled.into();
    object["total"] = total.into();
    object
}

fn millis(it: Duration) -> u64 {
    u64::try_from(it.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address::Address, engine::Action};

    #[test]
    fn one_object_per_line() {
        let address = Address::new("topic", "orders");
        let finished =
            Event::Finished { address: address.clone(), action: Action::Create, elapsed: Duration::from_millis(840) };
        insta::assert_snapshot!(line(&finished, 1, 17), @r#"{"event":"finished","address":"topic.orders","action":"create","elapsed_ms":840,"settled":1,"total":17}"#);
        let skipped = Event::Skipped { address, action: Action::Create, because_of: None };
        insta::assert_snapshot!(line(&skipped, 2, 17), @r#"{"event":"skipped","address":"topic.orders","action":"create","because_of":null,"settled":2,"total":17}"#);
    }
}
