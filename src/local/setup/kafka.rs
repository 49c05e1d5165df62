//! Apache Kafka's jars, by Maven.

use tokio::process::Command;

use super::{Draft, PATIENCE, is_made_from};
use crate::local::{doctor::Tools, error::Result, files, home::Home, run::Run};

const POM: &str = include_str!("../kafka-pom.xml");

/// Says whether there is nothing to do.
pub(crate) fn is_complete(home: &Home) -> bool {
    is_made_from(&home.kafka(), POM)
}

/// Downloads the jars. Maven's own configuration says from where.
pub(crate) async fn make(home: &Home, tools: &Tools) -> Result<()> {
    let draft = Draft::begin(home.kafka())?;
    let pom = draft.path.join("pom.xml");
    files::write(&pom, POM.as_bytes())?;
    let help = "check that Maven reaches its repository (`mvn --version`, ~/.m2/settings.xml), then run the same command again";
    let run = Run { what: "download Apache Kafka", help, patience: PATIENCE };
    let mut mvn = Command::new(&tools.maven);
    mvn.args(["--batch-mode", "--quiet", "--file"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    run.run(mvn.arg(format!("-DoutputDirectory={}", draft.path.join("jars").display()))).await?;
    draft.complete(POM)
}
