//! The state of a stack: what is ours and what was last applied. It mirrors nothing and holds no secret.

mod format;
mod journal;
mod record;
mod session;
mod store;

pub use journal::{Account, Done, End, Entry, Outcome};
pub use record::{Definition, Document, Holder, Lease, Record, SCHEMA, Status};
#[cfg(test)]
pub(crate) use session::LINGERS;
pub use session::{BEAT, Claim, DEADLINE, Edit, Error as SessionError, QUIET, Session, TTL};
pub use store::{Archive, Error as StoreError, Etag, FileStore, S3Store, Source, Store, current};
