//! The notebooks' own suite (`notebooks/tests`), on Sail and against the local cloud's PostgreSQL.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use ecomctl::local::{self, Home};
use tokio::process::Command;

use crate::order::turn;

#[tokio::test(flavor = "multi_thread")]
async fn the_notebooks_suite_passes_on_sail() {
    let _turn = turn().await;
    let python = python().await;
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = tempfile::tempdir().expect("a folder");
    let home = Home::with_program(dir.path(), Path::new(env!("CARGO_BIN_EXE_ecomctl"))).expect("a home");
    let home = home.with_software(&shared.join("software")).expect("software").with_free_ports();
    let on = local::ensure(&home, &|_| {}).await.expect("starts");
    let password = fs::read_to_string(home.postgres_password()).expect("a password");
    let url = format!("postgresql://postgres:{}@{}/postgres", password.trim(), on.postgres);

    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--engine", "sail"]).env("ECOM_TEST_POSTGRES", url);
    let ran = pytest.current_dir(notebooks()).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).output().await;
    local::stop(&home).await.expect("stops");
    let ran = ran.expect("pytest starts");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(told.contains(" passed"), "{told}");
}

/// Makes an environment of what the suite needs, once for each lock of its requirements, and returns its interpreter.
async fn python() -> PathBuf {
    let requirements = notebooks().join("tests/requirements.txt");
    let lock = fs::read(&requirements).expect("requirements");
    let name = format!("notebooks-{:x}", fingerprint(&lock));
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (python, complete) = (venv.join("bin/python"), venv.join("complete"));
    if complete.exists() {
        return python;
    }
    fs::remove_dir_all(&venv).ok();
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv)).await;
    let pip =
        ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes", "-r"];
    run(Command::new(&python).args(pip).arg(&requirements)).await;
    fs::write(complete, "").expect("written");
    python
}

async fn run(command: &mut Command) {
    let ended = command.stdin(Stdio::null()).output().await.expect("starts");
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// Tells locks apart.
fn fingerprint(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn notebooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("notebooks")
}
