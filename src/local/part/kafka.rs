//! Apache Kafka: one node that is broker and controller (`KRaft`), on loopback only.

use std::{io, path::Path, time::Duration};

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use super::Parts;
use crate::local::{error::Result, exec::Identity, files, run::Run};

/// Any 16 bytes in URL-safe base64; fixed, so that clients know the cluster again.
const CLUSTER_ID: &str = "ZWNvbWN0bC1sb2NhbC0wMQ";

/// Prepares the storage, once, and says how to start the broker.
pub(super) async fn command(parts: &Parts) -> Result<Command> {
    let data = parts.home.data().join("kafka");
    let properties = parts.home.run().join("kafka.properties");
    if !data.exists() {
        let draft = data.with_extension("new");
        files::remove(&draft)?;
        files::create_dir(&draft)?;
        files::write(&properties, settings(parts, &draft).as_bytes())?;
        let run = Run {
            what: "format Kafka's storage",
            help: "`ecomctl local reset`, then try again",
            patience: Duration::from_secs(60),
        };
        let mut format = java(parts, "64m", "kafka.tools.StorageTool");
        run.run(format.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(&properties)).await?;
        files::rename(&draft, &data)?;
    }
    files::write(&properties, settings(parts, &data).as_bytes())?;
    let mut command = java(parts, "512m", "kafka.Kafka");
    command.arg(&properties);
    Ok(command)
}

fn java(parts: &Parts, heap: &str, class: &str) -> Command {
    let mut command = parts.bare(Identity::Same, Signal::TERM, &parts.programs.java);
    command.args([
        &format!("-Xmx{heap}"),
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
    ]);
    command.args([
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
    ]);
    command.arg("-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn");
    command.arg("-cp").arg(parts.home.kafka().join("jars/*")).arg(class);
    command
}

/// The broker's settings (kafka.apache.org, "Broker Configs"). What is not said is Kafka's default: a record is safe from
/// the broker's crash once acknowledged; the machine's own crash may cost what was not yet flushed.
fn settings(parts: &Parts, data: &Path) -> String {
    let (broker, controller) = (parts.ports.kafka, parts.ports.controller);
    let listeners = format!("BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}");
    // In a properties file a backslash escapes.
    let data = data.display().to_string().replace('\\', "\\\\");
    [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &format!("1@127.0.0.1:{controller}")),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "BROKER"),
        ("listener.security.protocol.map", "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listeners", &listeners),
        ("advertised.listeners", &listeners),
        ("log.dirs", &data),
        ("auto.create.topics.enable", "false"),
        ("num.partitions", "1"),
        ("default.replication.factor", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "4"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        // Nobody else will join, so nobody waits for them.
        ("group.initial.rebalance.delay.ms", "0"),
        ("log.retention.hours", "168"),
        ("log.segment.bytes", "134217728"),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("background.threads", "2"),
        ("num.recovery.threads.per.data.dir", "2"),
        ("log.cleaner.dedupe.buffer.size", "16777216"),
    ]
    .iter()
    .map(|(name, value)| format!("{name}={value}\n"))
    .collect()
}

/// Says whether the broker tells of a live broker: it does so once it takes requests.
pub(super) async fn is_ready(port: u16) -> bool {
    timeout(Duration::from_secs(2), brokers(port)).await.is_ok_and(|it| it.is_ok_and(|it| it > 0))
}

/// Asks for metadata without topics (kafka.apache.org/protocol, Metadata version 1) and counts the brokers in the answer.
async fn brokers(port: u16) -> io::Result<i32> {
    const METADATA: i16 = 3;
    const VERSION: i16 = 1;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut request = Vec::new();
    request.extend(METADATA.to_be_bytes());
    request.extend(VERSION.to_be_bytes());
    request.extend(1_i32.to_be_bytes()); // correlation
    request.extend((-1_i16).to_be_bytes()); // no client id
    request.extend(0_i32.to_be_bytes()); // no topics
    stream.write_i32(i32::try_from(request.len()).map_err(io::Error::other)?).await?;
    stream.write_all(&request).await?;
    let _size = stream.read_i32().await?;
    let _correlation = stream.read_i32().await?;
    stream.read_i32().await
}
