//! The state of a stack: what is ours and what was last applied. It mirrors nothing and holds no secret.

mod record;
mod session;
mod store;

pub use record::{Definition, Document, Holder, Lease, Record, SCHEMA, Status};
pub use session::{DEADLINE, Edit, Error as SessionError, Session, TTL};
pub use store::{Error as StoreError, Etag, FileStore, Store};
