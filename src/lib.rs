//! `ecomctl` provisions and deploys a real-time e-commerce data pipeline from one definition, on AWS and Databricks or
//! on one machine. This file is the map, in reading order; it holds no logic.

/// Addresses, references, names: how resources are told apart.
pub mod address;
/// Builds: Lambda zips, Python wheels.
pub mod artifact;
/// What is typed on the command line.
pub mod cli;
/// Thin clients of AWS, Databricks and Kafka.
pub mod client;
/// The verbs: one file each.
pub mod command;
/// The replacement of a file at once, durably.
mod durable;
/// The engine: compares, orders, waits, and records.
pub mod engine;
/// The definitions of figures: SQL for the dashboard, DAX and pages for Power BI.
mod figures;
/// What git knows of commits.
pub mod git;
/// The local cloud: real parts on one machine.
pub mod local;
/// Whether a process is alive.
pub mod process;
/// Typed durations and sizes of stack files.
pub mod quantity;
/// Quartz's form of cron.
pub mod quartz;
/// Plans, progress and mistakes as text, JSON and Markdown.
pub mod report;
/// What a resource is, and every kind of it.
pub mod resource;
/// Stack files, merged and checked, as a graph of specs.
pub mod stack;
/// What is ours and what was last applied.
pub mod state;
/// Strict templates.
pub mod template;
/// Turns between processes.
mod turn;
