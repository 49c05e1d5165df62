//! The local cloud: real parts on one machine, on loopback only, that answer as AWS does. No kind knows of it.

pub mod gateway;
pub mod poller;
