//! Clients of the outside world: thin, without policy, with one error type.
//!
//! They never decide, wait for a state, or print.

pub mod aws;
pub mod bucket;
pub mod databricks;
pub mod ec2;
pub mod error;
pub mod fabric;
pub mod fence;
pub mod glue;
pub(crate) mod http;
mod json;
pub mod kafka;
pub mod kms;
pub mod objects;
pub mod patience;
mod raw;
pub mod redshift;

pub use error::{Error, Reason};

/// What a client returns.
pub type Result<T> = std::result::Result<T, Error>;
