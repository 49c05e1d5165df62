use std::{collections::BTreeSet, sync::Mutex};

use super::*;
use crate::artifact::{self, Build};

const MANIFEST: &str = "[build-system]\nrequires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"\n\
    [project]\nname = \"shop-jobs\"\nversion = \"1.2.0\"\nrequires-python = \">=3.10\"\n[project.scripts]\nbronze = \"shop_jobs:bronze\"\n\
    [tool.hatch.build.targets.wheel]\npackages = [\"src/shop_jobs\"]\n";

/// A Python project within a project, and nothing else.
fn project() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for (path, text) in [
        ("notebooks/pyproject.toml", MANIFEST),
        ("notebooks/src/shop_jobs/__init__.py", "def bronze():\n    print('bronze')\n"),
        ("notebooks/src/shop_jobs/contracts/bronze.json", "{}"),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("created");
        fs::write(path, text).expect("written");
    }
    root
}

/// Builds, and says whether hatchling was called. What is installed is shared.
async fn run(root: &Path) -> Result<(Artifact, bool), Error> {
    let program = std::env::current_exe().expect("this very test");
    let home = program.ancestors().nth(3).expect("below the target folder").join("tmp");
    fs::create_dir_all(&home).expect("created");
    let (folder, progress) = (root.join("wheels"), |_| ());
    fs::create_dir_all(&folder).expect("created");
    let shop = Shop { root, home: &home, folder: &folder, progress: &progress };
    shop.build(Path::new("notebooks")).await
}

#[tokio::test]
async fn same_sources_same_wheel_and_no_second_build() {
    let (here, there) = (project(), project());
    let (first, called) = run(here.path()).await.expect("built");
    assert!(called && first.fresh);
    assert_eq!(first.path.file_name().and_then(|it| it.to_str()), Some("shop_jobs-1.2.0-py3-none-any.whl"));
    let (elsewhere, _) = run(there.path()).await.expect("built");
    assert_eq!(elsewhere.sha256, first.sha256, "wherever it is built");

    let (again, called) = run(here.path()).await.expect("there");
    assert!(!called && !again.fresh);
    assert_eq!((&again.path, &again.sha256), (&first.path, &first.sha256));

    let contract = here.path().join("notebooks/src/shop_jobs/contracts/bronze.json");
    fs::write(&contract, "{ }").expect("written");
    let (other, called) = run(here.path()).await.expect("built");
    assert!(called && other.fresh, "every file of the package counts");
    assert_ne!(other.sha256, first.sha256);
    fs::write(&contract, "{}").expect("written");
    let (back, called) = run(here.path()).await.expect("there");
    assert_eq!((back.sha256, called), (first.sha256, false), "earlier builds are remembered");
}

#[tokio::test]
async fn a_wheel_holds_the_package_and_its_entry_points() {
    let project = project();
    let (wheel, _) = run(project.path()).await.expect("built");
    let bytes = fs::read(wheel.path).expect("readable");
    let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("a zip");
    let names: Vec<String> = zip.file_names().map(|it| it.expect("text").into_owned()).collect();
    assert!(names.contains(&"shop_jobs/contracts/bronze.json".to_owned()), "{names:?}");
    let mut text = String::new();
    let mut entry = zip.by_name("shop_jobs-1.2.0.dist-info/entry_points.txt").expect("entry points");
    entry.read_to_string(&mut text).expect("text");
    assert_eq!(text, "[console_scripts]\nbronze = shop_jobs:bronze\n");
    assert_eq!(entry.last_modified(), Some(DateTime::default()));
}

#[tokio::test]
async fn what_is_no_project_says_so() {
    let project = project();
    let manifest = project.path().join("notebooks/pyproject.toml");
    fs::write(&manifest, MANIFEST.replace("hatchling.build", "setuptools.build_meta")).expect("written");
    assert!(matches!(run(project.path()).await, Err(Error::Backend { .. })));
    fs::write(&manifest, MANIFEST.replace("1.2.0\"", "one\"")).expect("written");
    let err = run(project.path()).await.expect_err("no version");
    assert!(matches!(&err, Error::Wheel { output, .. } if output.contains("one")), "{err}");
    fs::remove_file(&manifest).expect("removed");
    assert!(matches!(run(project.path()).await, Err(Error::NoProject { .. })));
}

#[tokio::test]
async fn a_file_is_taken_as_it_is() {
    let project = project();
    let path = PathBuf::from("notebooks/pyproject.toml");
    let request = Build::File { path };
    let told = Mutex::new(0);
    let progress = |_| *told.lock().expect("nobody panicked") += 1;
    let home = project.path().join(".ecomctl");
    let requests = BTreeSet::from([request.clone()]);
    let built = artifact::build(project.path(), &home, &requests, &progress).await.expect("taken");
    assert_eq!(fs::read_to_string(&built[&request].path).expect("readable"), MANIFEST);
    assert_eq!(built[&request].path.file_name().and_then(|it| it.to_str()), Some("pyproject.toml"));
    assert_eq!(*told.lock().expect("nobody panicked"), 1);
}
