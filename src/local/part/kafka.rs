//! Apache Kafka: one node that is broker and controller (`KRaft`), on loopback only.

use std::{ffi::OsString, io, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use super::Parts;
use crate::local::{error::Result, exec::Identity, files, home::Home, ports::Ports, run::Run};

/// Any 16 bytes in URL-safe base64; fixed, so that clients know the cluster again.
const CLUSTER_ID: &str = "ZWNvbWN0bC1sb2NhbC0wMQ";

/// Prepares the storage, once, and says how to start the broker.
pub(super) async fn command(parts: &Parts) -> Result<Command> {
    let data = parts.home.data().join("kafka");
    let properties = parts.home.run().join("kafka.properties");
    let java = || super::bare(Identity::Same, super::Part::Kafka.end(), &parts.programs.java);
    if !data.exists() {
        let draft = data.with_extension("new");
        files::remove(&draft)?;
        files::create_dir(&draft)?;
        files::write(&properties, settings(parts.ports, "../data/kafka.new").as_bytes())?;
        format(java(), &parts.home, &properties).await?;
        files::rename(&draft, &data)?;
    }
    files::write(&properties, settings(parts.ports, "../data/kafka").as_bytes())?;
    let mut command = java();
    command.args(broker(&parts.home, &properties));
    Ok(command)
}

/// Formats the storage that the settings name, from where they lie.
pub(crate) async fn format(mut java: Command, home: &Home, properties: &Path) -> Result<()> {
    let help = "remove all data with `ecomctl local reset`, then try again";
    let run = Run { what: "format Kafka's storage", help, patience: Duration::from_secs(120) };
    java.current_dir(properties.parent().unwrap_or(&home.run()));
    java.args(arguments(home, "64m", "kafka.tools.StorageTool"));
    run.run(java.args(["format", "--cluster-id", CLUSTER_ID, "--config"]).arg(properties)).await.map(drop)
}

/// Java's arguments for a broker.
pub(crate) fn broker(home: &Home, properties: &Path) -> Vec<OsString> {
    [arguments(home, "512m", "kafka.Kafka"), vec![properties.into()]].concat()
}

fn arguments(home: &Home, heap: &str, class: &str) -> Vec<OsString> {
    let jars = home.kafka().join("jars/*");
    let mut arguments: Vec<OsString> = vec![format!("-Xmx{heap}").into()];
    if home.kafka_classes().metadata().is_ok_and(|it| it.len() > 0) {
        let mut archive = OsString::from("-XX:SharedArchiveFile=");
        archive.push(home.kafka_classes());
        // One that does not fit this Java or these jars any more is ignored, without a word.
        arguments.extend([archive, "-Xshare:auto".into(), "-Xlog:disable".into(), "-Xlog:all=error:stderr".into()]);
    }
    arguments.extend(JAVA.map(Into::into));
    arguments.extend(["-cp".into(), jars.into(), class.into()]);
    arguments
}

/// For a small heap on few cores; logs go to standard error, with the time.
const JAVA: [&str; 6] = [
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
];

/// The broker's settings (kafka.apache.org, "Broker Configs"). What is not said is Kafka's default: a record is safe from
/// the broker's crash once acknowledged; the machine's own crash may cost what was not yet flushed.
///
/// `data` is relative to where the broker is started, and plain: in such a file other letters than Latin-1 come apart, a
/// backslash escapes, and a comma makes two directories of one.
pub(crate) fn settings(ports: Ports, data: &str) -> String {
    let (broker, controller) = (ports.kafka, ports.controller);
    let listeners = format!("BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}");
    [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &format!("1@127.0.0.1:{controller}")),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "BROKER"),
        ("listener.security.protocol.map", "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listeners", &listeners),
        ("advertised.listeners", &listeners),
        ("log.dirs", data),
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
        // A broker that was killed may come back only once its former life is over for the controller; the default is 9 s.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
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
pub(crate) async fn is_ready(port: u16) -> bool {
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
