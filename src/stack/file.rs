//! Finds and reads stack files, and lays each over the one that it extends.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    mistake::{Code, Mistake, Rejected},
    near::{self, quote},
    preview,
    source::{Place, Source},
    tree::{Data, Entry, Node, merge},
    yaml,
};

/// The directory of the project that holds the stacks.
const DIRECTORY: &str = "stacks";
/// How large a stack file may be, in bytes.
const LARGEST: u64 = 1 << 20;
/// What names of stacks look like.
const NAMES: &str = "use lower-case letters, digits and hyphens, at most 20";
/// How many files may extend each other.
const LONGEST: usize = 16;

/// The files of one stack, merged.
pub(super) struct Files {
    /// The merged tree, without `extends`.
    pub tree: Node,
    /// The mistakes so far.
    pub mistakes: Vec<Mistake>,
}

/// Finds the project: the nearest directory, from here upwards, that holds `stacks/`.
///
/// # Errors
/// Says that there is none.
pub fn root(from: &Path) -> Result<PathBuf, Rejected> {
    let found = from.ancestors().find(|it| it.join(DIRECTORY).is_dir());
    found.map(Path::to_path_buf).ok_or_else(|| {
        let mistake = Mistake::new(Code::NotFound, "neither this directory nor one above it holds `stacks/`");
        Rejected::new("", vec![mistake.help("go to the project, or name its directory with `--project`".to_owned())])
    })
}

/// Lists the stacks of a project, in order: the files in `stacks/`, but not those that others extend and that extend
/// none themselves.
///
/// # Errors
/// Says that the directory cannot be read.
pub fn names(root: &Path) -> Result<Vec<String>, Rejected> {
    let all = stems(root)?;
    let path = |name: &String| Path::new(DIRECTORY).join(format!("{name}.yaml"));
    let (extending, bases) = extended(root, all.iter().map(path));
    Ok(all.into_iter().filter(|it| extending.contains(&path(it)) || !bases.contains(&path(it))).collect())
}

/// Says which files extend another, and which others.
fn extended(root: &Path, files: impl Iterator<Item = PathBuf>) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let (mut extending, mut bases) = (BTreeSet::new(), BTreeSet::new());
    for path in files {
        let Ok(source) = open(root, &path) else { continue };
        let Some(it) = yaml::read(&source, &mut Vec::new()) else { continue };
        if let Some(Entry { node: Node { data: Data::Text(to), .. }, .. }) = preview::named(&it) {
            bases.extend(resolve(&path, to));
        }
        if let Some(Entry { node: Node { data: Data::Text(to), .. }, .. }) = it.entry("extends") {
            bases.extend(resolve(&path, to));
            extending.insert(path);
        }
    }
    (extending, bases)
}

/// Complains of the YAML files in `stacks/` that are no stacks because of their names, and that none extends.
///
/// # Errors
/// Says that the directory cannot be read.
pub fn strays(root: &Path) -> Result<Option<Rejected>, Rejected> {
    let all = yaml_files(root)?;
    let (_, bases) = extended(root, all.iter().cloned());
    let stray = |it: &&PathBuf| stem(it).is_none() && !bases.contains(*it);
    let mistakes: Vec<_> = all.iter().filter(stray).map(|it| stray_file(it)).collect();
    Ok((!mistakes.is_empty()).then(|| Rejected::new("", mistakes)))
}

fn stray_file(path: &Path) -> Mistake {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let message = format!("{} is passed over: its name is not that of a stack file", path.display());
    Mistake::new(Code::InvalidName, message).help(match fits(&name.to_lowercase()) {
        true => format!("rename it to `{}.yaml`", name.to_lowercase()),
        false => format!("{NAMES}, and end the file's name in `.yaml`"),
    })
}

/// Checks that a name can be that of a stack, whether or not there is one.
///
/// # Errors
/// Says what names of stacks look like, and which there are.
pub fn check_name(root: &Path, name: &str) -> Result<(), Rejected> {
    if fits(name) { Ok(()) } else { Err(missing(root, name)) }
}

/// Checks that there is a stack of this name, without reading it.
///
/// # Errors
/// Says that there is none, and which there are.
pub fn find(root: &Path, name: &str) -> Result<(), Rejected> {
    if is_there(root, name) { Ok(()) } else { Err(missing(root, name)) }
}

/// Says whether `stacks/` holds anything by this name, be it a file or not.
fn is_there(root: &Path, name: &str) -> bool {
    called(root, name).is_some()
}

/// Says whether `stacks/` holds a file of this name, or the one of which it names a preview.
pub fn is_file(root: &Path, name: &str) -> bool {
    stem_of(root, name).is_some_and(|it| root.join(DIRECTORY).join(format!("{it}.yaml")).is_file())
}

/// Returns the name of the file that defines a stack: its own, or what follows the prefix of a preview.
pub fn stem_of<'a>(root: &Path, name: &'a str) -> Option<&'a str> {
    called(root, name).map(|it| it.1)
}

/// Takes a stack's name apart: into the prefix of a preview, where it is one, and the name of the file. A file of that very
/// name goes before a preview, and a longer name before a shorter one.
fn called<'a>(root: &Path, name: &'a str) -> Option<(Option<&'a str>, &'a str)> {
    let there = |it: &str| fits(it) && fs::symlink_metadata(root.join(DIRECTORY).join(format!("{it}.yaml"))).is_ok();
    if !fits(name) {
        return None;
    }
    if there(name) {
        return Some((None, name));
    }
    let mut parts = name.match_indices('-').map(|(at, _)| (Some(&name[..at]), &name[at + 1..]));
    parts.find(|it| there(it.1))
}

/// Reads a stack's file and what it extends.
///
/// # Errors
/// Says that there is no such stack, or why one of the files cannot be read.
pub(super) fn read(root: &Path, name: &str) -> Result<Files, Rejected> {
    let Some((prefix, stem)) = called(root, name) else { return Err(missing(root, name)) };
    let own = Path::new(DIRECTORY).join(format!("{stem}.yaml"));
    let files = chain(root, name, own)?;
    if prefix.is_none() { Ok(files) } else { preview::lay(root, name, stem, files) }
}

/// Reads a file and what it extends.
fn chain(root: &Path, name: &str, mut path: PathBuf) -> Result<Files, Rejected> {
    let mut mistakes = Vec::new();
    let mut chain: Vec<PathBuf> = Vec::new();
    let mut trees: Vec<Option<Node>> = Vec::new();
    let mut from: Option<Place> = None;
    loop {
        let source = match open(root, &path) {
            Ok(it) => it,
            Err(why) => {
                mistakes.push(unreadable(root, &path, &why, from.as_ref()));
                break;
            }
        };
        chain.push(path.clone());
        let mut tree = yaml::read(&source, &mut mistakes);
        let extends = tree.as_mut().and_then(|it| it.take("extends"));
        trees.push(tree);
        let Some(base) = extends.filter(|it| !it.node.is_null()) else {
            return finish(name, trees, mistakes);
        };
        match next(&path, &base.node, &chain) {
            Ok(Some(next)) => path = next,
            Ok(None) => break,
            Err(mistake) => {
                mistakes.push(mistake);
                break;
            }
        }
        from = Some(base.node.place);
    }
    // What the base says is not known, so that nothing sure can be said about the rest.
    Err(Rejected::new(name, mistakes))
}

/// Merges the files, the last first, unless one of them is no tree.
fn finish(name: &str, trees: Vec<Option<Node>>, mistakes: Vec<Mistake>) -> Result<Files, Rejected> {
    let whole: Option<Vec<Node>> = trees.into_iter().collect();
    match whole.and_then(|it| it.into_iter().rev().reduce(merge)) {
        Some(tree) => Ok(Files { tree, mistakes }),
        None => Err(Rejected::new(name, mistakes)),
    }
}

/// Says which file a file extends; `None` where that was complained about already.
fn next(path: &Path, extends: &Node, chain: &[PathBuf]) -> Result<Option<PathBuf>, Mistake> {
    let wrong = |message: String, label: &str| Err(Mistake::new(Code::Extends, message).at(&extends.place, label));
    let text = match &extends.data {
        Data::Text(it) => it,
        Data::Unusable => return Ok(None),
        _ => return wrong("`extends` must be the name of a file".into(), "expected a file such as `base.yaml`"),
    };
    let Some(to) = resolve(path, text) else {
        return wrong("`extends` leads out of the project".into(), "not within the project");
    };
    if chain.contains(&to) {
        let mut names: Vec<String> = chain.iter().map(|it| it.display().to_string()).collect();
        names.push(to.display().to_string());
        return wrong(format!("the files extend each other: {}", names.join(" → ")), "leads back");
    }
    if chain.len() == LONGEST {
        return wrong(format!("more than {LONGEST} files extend each other"), "one too many");
    }
    Ok(Some(to))
}

/// Resolves a path from a file, without asking the disk. `None` where it leads out of the project.
pub(super) fn resolve(from: &Path, to: &str) -> Option<PathBuf> {
    let mut path = from.parent()?.to_path_buf();
    for it in Path::new(to).components() {
        match it {
            Component::Normal(it) => path.push(it),
            Component::CurDir => (),
            Component::ParentDir if path.pop() => (),
            _ => return None,
        }
    }
    Some(path)
}

/// Why a file cannot be used.
pub(super) enum Unreadable {
    Io(io::Error),
    Large,
    NoFile(&'static str),
    NoText(usize),
}

pub(super) fn open(root: &Path, path: &Path) -> Result<Arc<Source>, Unreadable> {
    let full = root.join(path);
    let about = fs::metadata(&full).map_err(Unreadable::Io)?;
    // What is no file may never end, or wait for somebody to write it.
    match about.file_type() {
        it if it.is_dir() => return Err(Unreadable::NoFile("a directory")),
        it if !it.is_file() => return Err(Unreadable::NoFile("a pipe or a device")),
        _ => (),
    }
    let mut bytes = Vec::new();
    let limited = fs::File::open(full).map(|it| it.take(LARGEST + 1));
    limited.and_then(|mut it| it.read_to_end(&mut bytes)).map_err(Unreadable::Io)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unreadable::Large);
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Source::new(path.to_path_buf(), text)),
        Err(err) => {
            let before = &bytes[..err.valid_up_to()];
            Err(Unreadable::NoText(before.split(|it| *it == b'\n').count()))
        }
    }
}

pub(super) fn unreadable(root: &Path, path: &Path, why: &Unreadable, from: Option<&Place>) -> Mistake {
    let file = path.display();
    let at = |it: Mistake| from.map_or(it.clone(), |place| it.at(place, "named here"));
    match why {
        Unreadable::Io(err) if err.kind() == io::ErrorKind::NotFound => {
            let all = stems(root).unwrap_or_default();
            let wanted = path.file_stem().unwrap_or_default().to_string_lossy();
            let near = near::nearest(&wanted, all.iter().map(String::as_str));
            let help = near.map(|it| format!("did you mean `{it}.yaml`?"));
            at(Mistake::new(Code::Extends, format!("there is no file {file}"))).help(help)
        }
        Unreadable::Io(err) => at(Mistake::new(Code::Unreadable, format!("{file} cannot be read: {err}"))),
        Unreadable::NoFile(what) => at(Mistake::new(Code::Unreadable, format!("{file} is {what}, not a file"))),
        Unreadable::Large => at(Mistake::new(Code::Unreadable, format!("{file} is larger than {} KiB", LARGEST >> 10))),
        Unreadable::NoText(line) => {
            let help = "save it as UTF-8".to_owned();
            at(Mistake::new(Code::Unreadable, format!("{file}:{line} is not UTF-8 text"))).help(help)
        }
    }
}

fn missing(root: &Path, name: &str) -> Rejected {
    let all = match names(root) {
        Ok(it) => it,
        Err(err) => return err,
    };
    let file = Path::new(DIRECTORY).join(format!("{name}.yaml"));
    let message = match name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")) {
        Some(stem) if fits(stem) => format!("{} is a file: say the stack's name, `{stem}`", quote(name)),
        _ if fits(name) => format!("there is no stack `{name}`: no file {}", file.display()),
        _ => format!("{} is no name of a stack: {NAMES}", quote(name)),
    };
    // The file may well be there, under a name that is passed over.
    let meant = |it: &&PathBuf| it.file_stem().is_some_and(|it| it.eq_ignore_ascii_case(name));
    let stray = yaml_files(root).ok().and_then(|all| all.iter().find(meant).filter(|it| stem(it).is_none()).cloned());
    let help = match stray {
        Some(it) if fits(&name.to_lowercase()) => {
            format!("there is {}: rename it to `{}.yaml`", it.display(), name.to_lowercase())
        }
        _ => near::suggest(name, all.iter().map(String::as_str), "stacks"),
    };
    Rejected::new(name, vec![Mistake::new(Code::NotFound, message).help(help)])
}

/// Says whether a name can be that of a stack: it begins the names of everything the stack owns.
fn fits(name: &str) -> bool {
    let part = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    name.len() <= 20 && name.starts_with(|it: char| it.is_ascii_lowercase()) && name.split('-').all(part)
}

/// Lists the stack files in `stacks/`, without their endings.
fn stems(root: &Path) -> Result<Vec<String>, Rejected> {
    Ok(yaml_files(root)?.iter().filter_map(|it| stem(it).map(str::to_owned)).collect())
}

/// Returns the name of the stack that a file defines; `None` where no stack can have such a name.
fn stem(path: &Path) -> Option<&str> {
    let stem = path.file_stem()?.to_str()?;
    (fits(stem) && path.extension()? == "yaml").then_some(stem)
}

/// Lists what ends as YAML in `stacks/`, in order, relative to the project. Hidden files are left out.
fn yaml_files(root: &Path) -> Result<Vec<PathBuf>, Rejected> {
    let directory = root.join(DIRECTORY);
    let failed = |err: io::Error| {
        let message = format!("the directory {DIRECTORY}/ cannot be read: {err}");
        Rejected::new("", vec![Mistake::new(Code::Unreadable, message)])
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = Path::new(DIRECTORY).join(entry.map_err(failed)?.file_name());
        let is_yaml = path.extension().is_some_and(|it| it == "yaml" || it == "yml");
        let is_hidden = path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
        if is_yaml && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
