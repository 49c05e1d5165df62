//! ministack in a Python environment of its own, from pinned and hashed requirements.

use super::{Draft, PATIENCE, is_made_from, tool};
use crate::local::{
    doctor::Tools,
    error::Result,
    files,
    home::Home,
    run::{Run, ask},
};

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Says whether there is nothing to do.
pub(crate) async fn is_complete(home: &Home) -> bool {
    // Its interpreter is a link to the system's, which may have gone, or become another version, since.
    let imports = ["-I", "-c", "import cbor2, ministack"];
    is_made_from(&home.venv(), REQUIREMENTS) && ask(&home.venv().join("bin/python"), &imports).await.is_some()
}

/// Makes the environment with `venv` and `pip`, whose own configuration says where packages come from.
pub(crate) async fn make(home: &Home, tools: &Tools) -> Result<()> {
    let draft = Draft::begin(home.venv())?;
    let help =
        "check that Python's venv module and pip work, and that pip reaches its index; then run the same command again";
    let run = Run { what: "make a Python environment for ministack", help, patience: PATIENCE };
    run.run(tool(home, &tools.python).args(["-m", "venv"]).arg(&draft.path)).await?;

    let requirements = draft.path.join("requirements.txt");
    files::write(&requirements, REQUIREMENTS.as_bytes())?;
    let python = draft.path.join("bin/python");
    let run = Run { what: "install ministack", ..run };
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--require-hashes",
        "--requirement",
    ];
    run.run(tool(home, &python).args(pip).arg(&requirements)).await?;

    draft.complete(REQUIREMENTS)
}
