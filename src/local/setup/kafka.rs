//! Apache Kafka's jars, by Maven, and an archive of its classes that halves what a start costs.

use std::{ffi::OsString, path::Path, process::Stdio, time::Duration};

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::{Draft, PATIENCE, is_made_from, tool};
use crate::local::{
    doctor::Tools,
    error::{Error, Result},
    files,
    home::Home,
    part::kafka,
    ports::Ports,
    process::Process,
    run::Run,
};

const POM: &str = include_str!("../kafka-pom.xml");

/// Says whether there is nothing to do.
pub(crate) fn is_complete(home: &Home) -> bool {
    is_made_from(&home.kafka(), POM) && home.kafka_classes().exists()
}

/// Downloads the jars, and runs them once.
pub(crate) async fn make(home: &Home, tools: &Tools) -> Result<()> {
    if !is_made_from(&home.kafka(), POM) {
        files::remove(&home.kafka_classes())?;
        download(home, tools).await?;
    }
    let draft = Draft::begin(home.kafka_classes())?;
    if archive(home, tools, &draft.path).await.is_err() {
        // It is only for speed: an empty one says that there is none to be had.
        files::write(&home.kafka_classes(), b"")?;
    }
    files::remove(&draft.path)
}

/// Gets the jars. Maven's own configuration says from where.
async fn download(home: &Home, tools: &Tools) -> Result<()> {
    let draft = Draft::begin(home.kafka())?;
    let pom = draft.path.join("pom.xml");
    files::write(&pom, POM.as_bytes())?;
    let help = "check that Maven reaches its repository (`mvn --version`, ~/.m2/settings.xml), then run the same command again";
    let run = Run { what: "download Apache Kafka", help, patience: PATIENCE };
    let mut mvn = tool(home, &tools.maven);
    mvn.args(["--batch-mode", "--quiet", "--file"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    run.run(mvn.arg(format!("-DoutputDirectory={}", draft.path.join("jars").display()))).await?;
    draft.complete(POM)
}

/// Runs a broker of its own for a moment, so that Java writes down the classes that it loads (JEP 350). They are bound to
/// the jars' path, so this comes after these have their final name.
async fn archive(home: &Home, tools: &Tools, dir: &Path) -> Result<()> {
    const LONGEST: Duration = Duration::from_secs(90);
    let data = dir.join("data");
    files::create_dir(&data)?;
    let ports = Ports::free()?;
    let properties = dir.join("kafka.properties");
    files::write(&properties, kafka::settings(ports, "data").as_bytes())?;
    kafka::format(tool(home, &tools.java), home, &properties).await?;

    let classes = dir.join("classes.jsa");
    let mut option = OsString::from("-XX:ArchiveClassesAtExit=");
    option.push(&classes);
    let mut java = tool(home, &tools.java);
    java.arg(option).args(kafka::broker(home, &properties)).current_dir(dir).kill_on_drop(true);
    java.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |err| Error::io("run", "Kafka to archive its classes", err);
    let mut broker = java.spawn().map_err(failed)?;
    let run = async {
        while !kafka::is_ready(ports.kafka).await && broker.try_wait()?.is_none() {
            sleep(Duration::from_millis(50)).await;
        }
        if let Some(it) = broker.id().and_then(Process::find) {
            it.signal(Signal::TERM);
        }
        broker.wait().await
    };
    timeout(LONGEST, run).await.map_err(|err| failed(err.into()))?.map_err(failed)?;
    files::rename(&classes, &home.kafka_classes())
}
