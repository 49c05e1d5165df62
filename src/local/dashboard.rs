//! The dashboard's server: one page on loopback, its scripts, and the numbers that it asks for.
//!
//! Knows neither what the numbers are nor how they are computed: it is handed a source of JSON, and asks it at most once
//! in a few seconds, however many pages are open. It answers `GET` only, and only requests that name it by a loopback name,
//! so that no other site's page can reach it by a name of its own (DNS rebinding).

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    pin::Pin,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::State};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, RETRY_AFTER},
    request::Parts,
};
use miette::Diagnostic;
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::sync::CancellationToken;

use super::{error, guard::is_foreign};

#[cfg(test)]
mod tests;

/// How long an answer of the source is good for.
const FRESH: Duration = Duration::from_secs(5);

/// What the page may do: load its own files and ask its own server. No script or style within the markup, nothing from
/// elsewhere, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The page's own files.
const FILES: [(&str, &str, &str); 6] = [
    ("/", HTML, include_str!("dashboard/index.html")),
    ("/page.css", CSS, include_str!("dashboard/page.css")),
    ("/page.js", SCRIPT, include_str!("dashboard/page.js")),
    ("/views.js", SCRIPT, include_str!("dashboard/views.js")),
    ("/charts.js", SCRIPT, include_str!("dashboard/charts.js")),
    ("/format.js", SCRIPT, include_str!("dashboard/format.js")),
];

/// The numbers as the JSON that the page reads, or why there are none.
pub type Answer = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Where the numbers come from.
pub type Source = Arc<dyn Fn() -> Answer + Send + Sync>;

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// The port is taken.
    #[error("cannot listen on port {port} of this machine: {cause}")]
    #[diagnostic(code(dashboard::listen), help("choose another with `--port`, or leave it out to get a free one"))]
    Listen {
        /// Which port.
        port: u16,
        /// The system's words.
        cause: io::Error,
    },
    /// The library that draws cannot be read.
    #[error("cannot read the drawing library in {folder}: {cause}")]
    #[diagnostic(
        code(dashboard::library),
        help("remove that folder and run the same command again: it is fetched anew")
    )]
    Library {
        /// Where it should be.
        folder: String,
        /// The system's words.
        cause: io::Error,
    },
    /// The server ended by itself.
    #[error("the dashboard's server ended: {0}")]
    #[diagnostic(code(dashboard::server))]
    Server(io::Error),
}

/// A file as it is answered.
#[derive(Debug)]
struct File {
    path: String,
    kind: &'static str,
    body: Bytes,
    tag: HeaderValue,
}

/// The page and what it is made of, listening and not yet answering.
pub struct Dashboard {
    listener: TcpListener,
    address: SocketAddr,
    page: Arc<Page>,
}

struct Page {
    port: u16,
    files: Vec<File>,
    source: Source,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Dashboard {
    /// Listens on a port of 127.0.0.1: the given one, or else the preferred one, or else any that is free. `library` is
    /// the folder of `ECharts`, an ES module.
    ///
    /// # Errors
    /// [`Error::Listen`], [`Error::Library`].
    pub async fn bind(port: Option<u16>, preferred: u16, library: &Path, source: Source) -> Result<Self, Error> {
        let files = files(library).map_err(|cause| Error::Library { folder: library.display().to_string(), cause })?;
        let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let bound = match port {
            Some(it) => listen(it).await,
            None => match listen(preferred).await {
                Ok(it) => Ok(it),
                Err(_) => listen(0).await,
            },
        };
        let failed = |cause| Error::Listen { port: port.unwrap_or_default(), cause };
        let listener = bound.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let page = Arc::new(Page { port: address.port(), files, source, last: Mutex::new(None) });
        Ok(Self { listener, address, page })
    }

    /// The page's address in a browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until it is told to stop.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub async fn serve(self, stop: CancellationToken) -> Result<(), Error> {
        let router = Router::new().fallback(answer).with_state(self.page.clone());
        // Whoever opens the page waits less when the numbers are on their way already. What fails is told to them.
        tokio::spawn(async move { self.page.ask().await.ok() });
        // Open connections are not waited for: a browser keeps them, and nothing is lost with them.
        tokio::select! {
            it = async { axum::serve(self.listener, router).await } => it.map_err(Error::Server),
            () = stop.cancelled() => Ok(()),
        }
    }
}

/// Opens a page in the browser of whoever sits at this machine. Does not wait for it.
///
/// # Errors
/// Says that there is nothing to open it with.
pub fn open(url: &str) -> error::Result<()> {
    let mut command = tokio::process::Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|err| error::Error::io("run", "xdg-open", err))
}

/// Collects the page's own files and the library's scripts.
fn files(library: &Path) -> io::Result<Vec<File>> {
    let own = FILES.iter().map(|(path, kind, text)| File::new((*path).to_owned(), kind, text.as_bytes().into()));
    let mut all: Vec<File> = own.collect();
    for file in std::fs::read_dir(library)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|it| it == "js") {
            all.push(File::new(format!("/echarts/{name}"), SCRIPT, std::fs::read(file.path())?.into()));
        }
    }
    if all.iter().any(|it| it.path == "/echarts/index.js") { Ok(all) } else { Err(io::ErrorKind::NotFound.into()) }
}

impl File {
    fn new(path: String, kind: &'static str, body: Bytes) -> Self {
        let hash: String = Sha256::digest(&body).iter().take(12).map(|it| format!("{it:02x}")).collect();
        let tag = HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { path, kind, body, tag }
    }
}

async fn answer(State(page): State<Arc<Page>>, request: Request<Body>) -> Response<Body> {
    let (request, _) = request.into_parts();
    let mut answer = page.answer(&request).await;
    if request.method == Method::HEAD {
        *answer.body_mut() = Body::empty();
    }
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

impl Page {
    async fn answer(self: &Arc<Self>, request: &Parts) -> Response<Body> {
        let headers = &request.headers;
        if !self.is_named(headers) {
            return plain(StatusCode::FORBIDDEN, "this page is served to 127.0.0.1 and localhost only");
        }
        if ![Method::GET, Method::HEAD].contains(&request.method) {
            let mut it = plain(StatusCode::METHOD_NOT_ALLOWED, "this page is only read");
            it.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return it;
        }
        match request.uri.path() {
            // Another site's page cannot read the answer, and may not cause the work either: queries cost.
            "/api/numbers" if is_foreign(headers) => plain(StatusCode::FORBIDDEN, "another site may not ask"),
            "/api/numbers" => self.numbers().await,
            path => match self.files.iter().find(|it| it.path == path) {
                Some(it) => file(it, headers),
                None => plain(StatusCode::NOT_FOUND, "there is nothing here; the page is at /"),
            },
        }
    }

    /// Says whether the request names this server as a browser at this machine would.
    fn is_named(&self, headers: &HeaderMap) -> bool {
        let named = headers.get(HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
        ["127.0.0.1", "localhost"].iter().any(|it| named == format!("{it}:{}", self.port))
    }

    async fn numbers(self: &Arc<Self>) -> Response<Body> {
        // A task of its own: when the page that asked is closed, the others still get the answer.
        let page = self.clone();
        match tokio::spawn(async move { page.ask().await }).await {
            Ok(Ok(it)) => respond(StatusCode::OK, JSON, Body::from(it), "no-store"),
            Ok(Err(why)) => {
                let mut it = plain(StatusCode::SERVICE_UNAVAILABLE, &why);
                it.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
                it
            }
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the numbers could not be asked for"),
        }
    }

    /// Asks the source, unless it was asked a moment ago. Whoever comes meanwhile waits for the same answer.
    async fn ask(&self) -> Result<Bytes, String> {
        let mut last = self.last.lock().await;
        if let Some((when, it)) = last.as_ref().filter(|it| it.0.elapsed() < FRESH) {
            tracing::debug!("numbers of {} ms ago", when.elapsed().as_millis());
            return Ok(it.clone());
        }
        let text = Bytes::from((self.source)().await?);
        *last = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}

fn file(file: &File, headers: &HeaderMap) -> Response<Body> {
    let known = headers.get(IF_NONE_MATCH).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let tag = file.tag.to_str().unwrap_or_default();
    let same = known.split(',').any(|it| it.trim().trim_start_matches("W/") == tag);
    // The browser keeps it, and asks whether it is still the same: another version of `ecomctl` may answer tomorrow.
    let mut it = match same {
        true => respond(StatusCode::NOT_MODIFIED, file.kind, Body::empty(), "no-cache"),
        false => respond(StatusCode::OK, file.kind, Body::from(file.body.clone()), "no-cache"),
    };
    it.headers_mut().insert(ETAG, file.tag.clone());
    it
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    respond(status, TEXT, Body::from(text.to_owned()), "no-store")
}

fn respond(status: StatusCode, kind: &'static str, body: Body, cache: &'static str) -> Response<Body> {
    let mut it = Response::new(body);
    *it.status_mut() = status;
    it.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    it.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    it
}
