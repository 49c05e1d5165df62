//! Apache `ECharts` as an ES module, by pip: whoever opens the dashboard needs Python, and no Node.
//!
//! Fetched when it is first drawn with, not at set-up: a pipeline runs without.

use std::path::{Path, PathBuf};

use super::{Draft, PATIENCE, is_made_from, piece, tool, wait_for};
use crate::local::{
    Progress, doctor,
    error::{Error, Result},
    files,
    home::Home,
    run::Run,
};

const REQUIREMENT: &str = include_str!("../echarts-requirements.txt");

/// Where the wheel has the module and what it loads.
const INSIDE: &str = "nicegui/elements/echart/dist";

/// Gets the module unless it is there, and returns its directory: `index.js` exports `echarts`. Several processes may do
/// this at a time.
///
/// # Errors
/// Says that there is no Python, or why pip failed.
pub async fn echarts(home: &Home, progress: &(dyn Fn(Progress) + Sync)) -> Result<PathBuf> {
    let name = home.echarts();
    if is_made_from(&name, REQUIREMENT) {
        return Ok(name);
    }
    let python = doctor::python_for_setup().await.map_err(|it| Error::Prerequisites(vec![it]))?;
    let lock = home.setup_lock();
    files::create_dir(lock.parent().unwrap_or(home.local()))?;
    let _turn = wait_for(&lock, progress).await?;
    let complete = is_made_from(&name, REQUIREMENT);
    piece(complete, "echarts", "installing with pip", progress, make(home, &python)).await?;
    Ok(name)
}

/// Installs the wheel beside an environment that lasts as long as that takes: the system's own Python may lack pip.
async fn make(home: &Home, python: &Path) -> Result<()> {
    let draft = Draft::begin(home.echarts())?;
    let help =
        "check that Python's venv module and pip work, and that pip reaches its index; then run the same command again";
    let run = Run { what: "make a Python environment to get ECharts with", help, patience: PATIENCE };
    let work = draft.path.join("work");
    run.run(tool(home, python).args(["-m", "venv"]).arg(&work)).await?;
    let requirement = work.join("requirements.txt");
    files::write(&requirement, REQUIREMENT.as_bytes())?;
    let run = Run { what: "install ECharts", ..run };
    let target = work.join("wheel");
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let mut pip_install = tool(home, &work.join("bin/python"));
    pip_install.args(pip).args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target"]).arg(&target);
    run.run(pip_install.arg("--requirement").arg(&requirement)).await?;
    let dist = target.join(INSIDE);
    for file in std::fs::read_dir(&dist).map_err(|err| Error::io("read", dist.display(), err))?.flatten() {
        if file.path().extension().is_some_and(|it| it == "js") {
            files::rename(&file.path(), &draft.path.join(file.file_name()))?;
        }
    }
    files::remove(&work)?;
    draft.complete(REQUIREMENT)
}
