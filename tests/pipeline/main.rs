//! The whole pipeline: events in, rows out, checked against an oracle that shares no code with it.

mod agreement;
mod killed;
mod oracle;
mod order;
mod place;
mod proc;
mod topics;
