//! The workspace's files and notebooks: real files below a folder, so that code can be run and imported from there, and
//! an index that says which is what.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::call::{Answer, Reply, done, exists, input, invalid, missing, new_id, no_such_api, now, ok, required};
use crate::local::gateway::{
    call::{Call, Fault},
    record::Records,
};

/// The largest file that may come in a JSON document, in bytes; a multipart form may bring larger ones.
const LARGEST_JSON: usize = 10 << 20;
/// How the names of files begin that are not yet imported.
const DRAFT: &str = ".import-";
/// Directories that every workspace has.
const BORN_WITH: [&str; 4] = ["/", "/Shared", "/Users", "/Users/local@localhost"];

/// A file, a notebook or a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    id: i64,
    /// What it is.
    pub(super) kind: Kind,
    language: Option<Language>,
    size: usize,
    /// The content's SHA-256, in hexadecimal digits; empty for a directory.
    pub(super) hash: String,
    created: i64,
    modified: i64,
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Kind {
    Directory,
    File,
    Notebook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Language {
    Python,
    Sql,
    Scala,
    R,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Format {
    #[default]
    Source,
    Auto,
    Raw,
    Html,
    Jupyter,
    Dbc,
    #[serde(rename = "R_MARKDOWN")]
    RMarkdown,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    path: String,
    #[serde(default)]
    format: Format,
    language: Option<Language>,
    #[serde(default)]
    content: String,
    #[serde(default)]
    overwrite: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    path: String,
    #[serde(default)]
    recursive: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    path: String,
}

type Index = BTreeMap<String, Object>;

/// The API of the workspace's files.
pub(super) struct Workspace {
    records: Records<Index>,
    folder: PathBuf,
}

impl Workspace {
    /// Opens the index, and the folder that holds the content.
    pub(super) fn open(index: PathBuf, folder: PathBuf) -> io::Result<Self> {
        for it in BORN_WITH {
            fs::create_dir_all(folder.join(it.trim_start_matches('/')))?;
        }
        // What a killed server was about to import.
        for it in fs::read_dir(&folder)?.flatten().filter(|it| it.file_name().to_string_lossy().starts_with(DRAFT)) {
            fs::remove_file(it.path())?;
        }
        Ok(Self { records: Records::open(index)?, folder })
    }

    /// Looks up by its number where something lies, and what it is.
    pub(super) fn path_of(&self, id: i64) -> Option<(String, Kind)> {
        self.records.now().iter().find(|it| it.1.id == id).map(|(path, it)| (path.clone(), it.kind))
    }

    /// Answers a call beneath `/api/2.0/workspace`.
    pub(super) async fn answer(&self, verb: &str, call: &Call, headers: &HeaderMap) -> Answer {
        match (call.method.as_str(), verb) {
            ("POST", "import") => self.import(call, headers).await,
            ("POST", "mkdirs") => self.make_directories(&input::<At>(call)?.path).await,
            ("POST", "delete") => self.delete(input(call)?).await,
            ("GET", "get-status") => {
                let path = clean(required(call, "path")?)?;
                let object = self.find(&path).ok_or_else(|| not_there(&path))?;
                ok(object.render(&path))
            }
            ("GET", "list") => self.list(&clean(required(call, "path")?)?),
            ("GET", "export") => self.export(call),
            _ => Err(no_such_api(call)),
        }
    }

    /// Looks an object up by its path, with or without `/Workspace` in front.
    pub(super) fn find(&self, path: &str) -> Option<Object> {
        let path = clean(path).ok()?;
        self.records.now().get(&path).cloned().or_else(|| {
            let (id, size, hash) = (1, 0, String::new());
            let object = Object { id, kind: Kind::Directory, language: None, size, hash, created: 0, modified: 0 };
            BORN_WITH.contains(&path.as_str()).then_some(object)
        })
    }

    /// The file that has an object's content; none for a path that cannot be.
    pub(super) fn file(&self, path: &str) -> Option<PathBuf> {
        Some(self.folder.join(clean(path).ok()?.trim_start_matches('/')))
    }

    async fn import(&self, call: &Call, headers: &HeaderMap) -> Answer {
        let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let (it, content) = if let Ok(boundary) = multer::parse_boundary(kind) {
            form(call.body.clone(), boundary).await?
        } else {
            let it: Import = input(call)?;
            let content = BASE64_STANDARD.decode(&it.content).map_err(|_| invalid("content is not base 64."))?;
            if content.len() > LARGEST_JSON {
                let message = format!(
                    "File size imported is ({} bytes), exceeded max size ({LARGEST_JSON} bytes)",
                    content.len()
                );
                return Err(Fault::new(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", message));
            }
            (it, Bytes::from(content))
        };
        let (path, kind, language) = what_it_becomes(&it, &content)?;
        let draft = self.draft(content.clone()).await?;
        let place = self.folder.join(path.trim_start_matches('/'));
        let change = |all: &mut Index| {
            let parent = parent(&path);
            if !is_directory(all, parent) {
                return Err(missing(format!("The parent folder ({parent}) does not exist.")));
            }
            let before = all.get(&path);
            match before {
                Some(before) if before.kind != kind => {
                    let message = format!(
                        "Cannot overwrite the asset at {path} due to type mismatch (asked: {kind:?}, actual: {:?})",
                        before.kind
                    );
                    return Err(invalid(message));
                }
                Some(_) if !it.overwrite => {
                    let fault = exists(format!("{path} already exists. Please pass overwrite=true to overwrite it."));
                    // Files answer otherwise than notebooks do.
                    let status = if kind == Kind::File { 409 } else { 400 };
                    return Err(Fault { status, ..fault });
                }
                _ => {}
            }
            let hash = Sha256::digest(&content).iter().map(|it| format!("{it:02x}")).collect();
            let (id, created) = before.map_or_else(|| (new_id(), now()), |it| (it.id, it.created));
            let object = Object { id, kind, language, size: content.len(), hash, created, modified: now() };
            draft.persist(&place).map_err(|err| disk(&err.error))?;
            all.insert(path.clone(), object);
            Ok(())
        };
        self.records.change(change).await?;
        done()
    }

    /// Writes content under a name that nobody knows yet.
    async fn draft(&self, content: Bytes) -> Result<tempfile::NamedTempFile, Fault> {
        let folder = self.folder.clone();
        let write = move || -> io::Result<tempfile::NamedTempFile> {
            use io::Write;
            let mut file = tempfile::Builder::new().prefix(DRAFT).tempfile_in(folder)?;
            file.write_all(&content)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let written = tokio::task::spawn_blocking(write).await.map_err(|err| disk(&io::Error::other(err)))?;
        written.map_err(|err| disk(&err))
    }

    async fn make_directories(&self, path: &str) -> Answer {
        let path = clean(path)?;
        let change = |all: &mut Index| {
            let mut at = path.as_str();
            let mut missing = Vec::new();
            while !is_directory(all, at) {
                if let Some(other) = all.get(at) {
                    let message = format!("A {:?} is in the way of the directory {at}", other.kind).to_lowercase();
                    return Err(exists(message));
                }
                missing.push(at.to_owned());
                at = parent(at);
            }
            fs::create_dir_all(self.folder.join(path.trim_start_matches('/'))).map_err(|err| disk(&err))?;
            for it in missing {
                all.insert(it, Object::directory());
            }
            Ok(())
        };
        self.records.change(change).await?;
        done()
    }

    async fn delete(&self, it: Delete) -> Answer {
        let path = clean(&it.path)?;
        if BORN_WITH.contains(&path.as_str()) {
            return Err(invalid(format!("The directory {path} cannot be deleted.")));
        }
        let place = self.folder.join(path.trim_start_matches('/'));
        let change = |all: &mut Index| {
            let object = all.get(&path).ok_or_else(|| not_there(&path))?;
            let below = format!("{path}/");
            let has_children = all.keys().any(|it| it.starts_with(&below));
            if has_children && !it.recursive {
                let message = format!("Folder ({path}) is not empty");
                return Err(Fault::new(400, "DIRECTORY_NOT_EMPTY", message));
            }
            let removed =
                if object.kind == Kind::Directory { fs::remove_dir_all(&place) } else { fs::remove_file(&place) };
            if let Err(err) = removed
                && err.kind() != io::ErrorKind::NotFound
            {
                return Err(disk(&err));
            }
            all.retain(|key, _| *key != path && !key.starts_with(&below));
            Ok(())
        };
        self.records.change(change).await?;
        done()
    }

    fn list(&self, path: &str) -> Answer {
        let object = self.find(path).ok_or_else(|| not_there(path))?;
        if object.kind != Kind::Directory {
            return ok(json!({ "objects": [object.render(path)] }));
        }
        let all = self.records.now();
        let born = BORN_WITH.iter().filter(|it| **it != "/" && parent(it) == path && !all.contains_key(**it));
        let born = born.filter_map(|it| Some(self.find(it)?.render(it)));
        let objects = all.iter().filter(|it| parent(it.0) == path).map(|(path, it)| it.render(path));
        let objects: Vec<Value> = born.chain(objects).collect();
        ok(if objects.is_empty() { json!({}) } else { json!({ "objects": objects }) })
    }

    fn export(&self, call: &Call) -> Answer {
        let path = clean(required(call, "path")?)?;
        let object = self.find(&path).ok_or_else(|| not_there(&path))?;
        if object.kind == Kind::Directory {
            return Err(invalid(format!("{path} is a directory, which is not exported here.")));
        }
        if let Some(other) = call.parameter("format")
            && !["SOURCE", "AUTO", "RAW"].contains(&other)
        {
            return Err(invalid(format!("The format {other} is not exported here; SOURCE and AUTO are.")));
        }
        let content = fs::read(self.folder.join(path.trim_start_matches('/'))).map_err(|err| match err.kind() {
            // It is just being deleted.
            io::ErrorKind::NotFound => not_there(&path),
            _ => disk(&err),
        })?;
        if call.parameter("direct_download") == Some("true") {
            return Ok(Reply::Bytes(Bytes::from(content)));
        }
        let mut answer = json!({ "content": BASE64_STANDARD.encode(content) });
        if let Some(language) = object.language {
            answer["file_type"] = language.ending().into();
        }
        ok(answer)
    }
}

impl Object {
    /// Its number.
    pub(super) const fn number(&self) -> i64 {
        self.id
    }

    fn directory() -> Self {
        let (created, hash) = (now(), String::new());
        Self { id: new_id(), kind: Kind::Directory, language: None, size: 0, hash, created, modified: created }
    }

    fn render(&self, path: &str) -> Value {
        let mut it = json!({
            "object_type": self.kind,
            "path": path,
            "object_id": self.id,
            "resource_id": self.id.to_string(),
        });
        if let Some(language) = self.language {
            it["language"] = json!(language);
        }
        if self.kind != Kind::Directory {
            it["created_at"] = self.created.into();
            it["modified_at"] = self.modified.into();
        }
        if self.kind == Kind::File {
            it["size"] = self.size.into();
        }
        it
    }
}

impl Language {
    fn ending(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::Sql => "sql",
            Self::Scala => "scala",
            Self::R => "r",
        }
    }

    /// The first line of a notebook's source.
    fn heading(self) -> &'static str {
        match self {
            Self::Python | Self::R => "# Databricks notebook source",
            Self::Sql => "-- Databricks notebook source",
            Self::Scala => "// Databricks notebook source",
        }
    }
}

/// Says what an import makes, and where: `AUTO` tells notebooks by their first line, and takes the ending off their name.
fn what_it_becomes(it: &Import, content: &[u8]) -> Result<(String, Kind, Option<Language>), Fault> {
    let path = clean(&it.path)?;
    if BORN_WITH.contains(&path.as_str()) {
        return Err(invalid(format!("{path} is a directory.")));
    }
    match it.format {
        Format::Raw => Ok((path, Kind::File, None)),
        Format::Auto => {
            let name = path.rsplit('/').next().unwrap_or_default();
            let Some((stem, ending)) = name.rsplit_once('.') else { return Ok((path, Kind::File, None)) };
            let languages = [Language::Python, Language::Sql, Language::Scala, Language::R];
            let language = languages.into_iter().find(|it| it.ending() == ending.to_lowercase());
            match language {
                Some(language) if !stem.is_empty() && content.starts_with(language.heading().as_bytes()) => {
                    let path = path[..path.len() - ending.len() - 1].to_owned();
                    Ok((path, Kind::Notebook, Some(language)))
                }
                _ => Ok((path, Kind::File, None)),
            }
        }
        Format::Source => {
            let wanted = || {
                invalid("The language of a notebook must be given (PYTHON, SQL, SCALA or R) with the format SOURCE.")
            };
            Ok((path, Kind::Notebook, Some(it.language.ok_or_else(wanted)?)))
        }
        other => Err(invalid(format!("The format {other:?} is not imported here; SOURCE, AUTO and RAW are."))),
    }
}

/// Reads a multipart form: the fields of [`Import`], and the file as `content`.
async fn form(body: Bytes, boundary: String) -> Result<(Import, Bytes), Fault> {
    let bad = |err: multer::Error| Fault::new(400, "MALFORMED_REQUEST", err.to_string());
    let stream = futures::stream::once(std::future::ready(Ok::<_, io::Error>(body)));
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields = serde_json::Map::new();
    let mut content = None;
    while let Some(part) = parts.next_field().await.map_err(bad)? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "content" {
            content = Some(part.bytes().await.map_err(bad)?);
            continue;
        }
        let text = part.text().await.map_err(bad)?;
        let value = if name == "overwrite" { Value::Bool(text.eq_ignore_ascii_case("true")) } else { text.into() };
        fields.insert(name, value);
    }
    let content = content.ok_or_else(|| invalid("Missing required field: content"))?;
    Ok((super::call::read(fields.into())?, content))
}

/// Normalises a path: absolute, without `/Workspace`, and without anything that could lead elsewhere.
/// The longest path, in bytes: with the folder that it lies in, the system has to take it.
const LONGEST: usize = 2048;

/// Spells a path in one way.
fn clean(path: &str) -> Result<String, Fault> {
    let rest = path.strip_prefix("/Workspace").filter(|it| it.is_empty() || it.starts_with('/')).unwrap_or(path);
    let rest = if rest.len() > 1 { rest.trim_end_matches('/') } else { rest };
    if rest.is_empty() {
        return Ok("/".to_owned());
    }
    let is_fine = |it: &str| !it.is_empty() && it.len() <= 255 && ![".", ".."].contains(&it) && !it.contains('\0');
    let is_valid = |it: &str| it.is_empty() || it.len() <= LONGEST && it.split('/').all(is_fine);
    match rest.strip_prefix('/') {
        Some(it) if is_valid(it) => Ok(rest.to_owned()),
        _ => Err(invalid(format!("Path ({path}) is not a valid workspace path."))),
    }
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn is_directory(all: &Index, path: &str) -> bool {
    BORN_WITH.contains(&path) || all.get(path).is_some_and(|it| it.kind == Kind::Directory)
}

fn not_there(path: &str) -> Fault {
    missing(format!("Path ({path}) doesn't exist."))
}

fn disk(err: &io::Error) -> Fault {
    Fault::new(500, "INTERNAL_ERROR", format!("cannot keep the workspace's files: {err}"))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    async fn ask(workspace: &Workspace, method: &str, target: &str, input: Value) -> Answer {
        let (verb, query) = target.split_once('?').unwrap_or((target, ""));
        let body = Bytes::from(input.to_string());
        let call = Call::new(method.parse::<Method>().expect("method"), verb, query, body, String::new());
        workspace.answer(verb, &call, &HeaderMap::new()).await
    }

    fn open() -> (Workspace, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("directory");
        let workspace = Workspace::open(dir.path().join("w.json"), dir.path().join("w")).expect("workspace");
        (workspace, dir)
    }

    fn file(path: &str, text: &str, more: Value) -> Value {
        let mut it = json!({ "path": path, "content": BASE64_STANDARD.encode(text), "format": "AUTO" });
        it.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
        it
    }

    #[tokio::test]
    async fn an_import_needs_its_parent_and_overwrites_only_when_told() {
        let (workspace, dir) = open();
        let it = file("/Workspace/Shared/a/b.txt", "one", json!({}));
        let fault = ask(&workspace, "POST", "import", it.clone()).await.expect_err("no parent");
        assert_eq!((fault.status, fault.code), (404, "RESOURCE_DOES_NOT_EXIST"));
        ask(&workspace, "POST", "mkdirs", json!({ "path": "/Shared/a" })).await.expect("mkdirs");
        ask(&workspace, "POST", "mkdirs", json!({ "path": "/Shared/a/" })).await.expect("mkdirs again");
        ask(&workspace, "POST", "import", it.clone()).await.expect("import");
        assert_eq!(ask(&workspace, "POST", "import", it).await.expect_err("there already").status, 409);
        let id = workspace.find("/Shared/a/b.txt").expect("object").id;
        let it = file("/Shared/a/b.txt", "two!", json!({ "overwrite": true }));
        ask(&workspace, "POST", "import", it).await.expect("overwrite");
        drop(workspace);

        let workspace = Workspace::open(dir.path().join("w.json"), dir.path().join("w")).expect("again");
        let Ok(Reply::Json(status)) = ask(&workspace, "GET", "get-status?path=/Shared/a/b.txt", json!({})).await else {
            panic!()
        };
        assert_eq!(
            (&status["object_type"], &status["size"], &status["object_id"]),
            (&"FILE".into(), &4.into(), &id.into())
        );
        let raw = ask(&workspace, "GET", "export?path=/Shared/a/b.txt&direct_download=true", json!({})).await;
        assert_eq!(raw, Ok(Reply::Bytes("two!".into())));
        let kept = ask(&workspace, "POST", "delete", json!({ "path": "/Shared/a" })).await.expect_err("not empty");
        assert_eq!(kept.code, "DIRECTORY_NOT_EMPTY");
        ask(&workspace, "POST", "delete", json!({ "path": "/Shared/a", "recursive": true })).await.expect("delete");
        assert!(workspace.find("/Shared/a/b.txt").is_none() && !dir.path().join("w/Shared/a").exists());
    }

    #[tokio::test]
    async fn auto_tells_notebooks_from_files() {
        let (workspace, _dir) = open();
        for (path, text) in [("/Shared/n.py", "# Databricks notebook source\n1"), ("/Shared/m.py", "1")] {
            ask(&workspace, "POST", "import", file(path, text, json!({}))).await.expect("import");
        }
        assert_eq!(workspace.find("/Shared/n").map(|it| it.kind), Some(Kind::Notebook));
        assert_eq!(workspace.find("/Shared/m.py").map(|it| it.kind), Some(Kind::File));
        let it = file("/Shared/n", "x", json!({ "format": "RAW", "overwrite": true }));
        assert!(ask(&workspace, "POST", "import", it).await.expect_err("mismatch").message.contains("type mismatch"));
        let it = file("/Shared/s", "x", json!({ "format": "SOURCE" }));
        assert!(ask(&workspace, "POST", "import", it).await.expect_err("language").message.contains("language"));
        let Ok(Reply::Json(list)) = ask(&workspace, "GET", "list?path=/Shared", json!({})).await else { panic!() };
        assert_eq!(list["objects"].as_array().map(Vec::len), Some(2));
    }

    #[tokio::test]
    async fn a_multipart_form_brings_a_file() {
        let (workspace, _dir) = open();
        let parts = [("path", "/Shared/x.whl"), ("format", "AUTO"), ("overwrite", "true"), ("content", "zip")];
        let parts = parts
            .map(|(name, value)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
        let body = Bytes::from(format!("{}--b--\r\n", parts.concat()));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, "multipart/form-data; boundary=b".parse().expect("type"))]);
        let call = Call::new(Method::POST, "import", "", body, String::new());
        workspace.answer("import", &call, &headers).await.expect("import");
        assert_eq!(fs::read(workspace.file("/Workspace/Shared/x.whl").expect("path")).expect("file"), b"zip");
    }

    #[test]
    fn no_path_leads_out_of_the_workspace() {
        assert_eq!(clean("/Workspace/Shared/a/").as_deref(), Ok("/Shared/a"));
        assert_eq!(clean("/Workspace").as_deref(), Ok("/"));
        for bad in ["/a/../b", "a", "/a//b", "/./a", "/a\0"] {
            assert!(clean(bad).is_err(), "{bad}");
        }
    }
}
