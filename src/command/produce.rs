//! `ecomctl produce`: fills a stack's topics with the events of a made-up shop.

mod catalogue;
mod delivery;
mod dice;
mod generate;
mod message;
mod season;
mod spoil;
mod story;
mod words;

pub use delivery::{Dump, Sent, Sink, deliver};
pub use generate::{Event, Options, Topic, generate};
pub use spoil::{ALL as WAYS, Bad};
