//! Lists the files of this repository that a new project begins with, for `ecomctl init`: the real ones, so that there is no
//! copy that could fall behind.

use std::{
    env, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

/// What a project consists of, relative to the repository.
const PARTS: [&str; 8] = [
    ".github/workflows/deploy.yml",
    ".gitignore",
    "Cargo.lock",
    "lambdas",
    "notebooks",
    "rustfmt.toml",
    "stacks",
    "templates",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut files = Vec::new();
    for part in PARTS {
        writeln!(io::stdout(), "cargo:rerun-if-changed={part}")?;
        collect(&root.join(part), &mut files)?;
    }
    files.sort();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let mut list = io::BufWriter::new(fs::File::create(out.join("project.rs"))?);
    writeln!(list, "&[")?;
    for file in files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        let (name, file) = (name.display().to_string(), file.display().to_string());
        writeln!(list, "    ({name:?}, include_bytes!({file:?})),")?;
    }
    writeln!(list, "]")?;
    list.flush()
}

/// Collects the files below a path, what tools leave behind excepted.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let left = name.starts_with('.')
            || ["__pycache__", "target", "dist", "build", "node_modules"].contains(&name.as_str())
            || path.extension().is_some_and(|it| it == "new" || it == "pyc" || it == "egg-info");
        if !left {
            collect(&path, files)?;
        }
    }
    Ok(())
}
