//! A proxy before the local cloud's gateway and its Databricks workspace: it passes everything on unchanged, byte for byte,
//! so that signatures hold; it records what was asked; it kills the client at requests that nobody died at yet, or
//! answers what a cloud answers that is not at its best.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, Uri, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

use crate::{asked::Asked, fault::Fault, share::Share, stored, told::Told};

/// The largest body that is passed on: a function's code, in base64.
const LARGEST: usize = 256 << 20;

/// When a client is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Moment {
    /// The cloud never hears of the request; and whatever else the client had asked for dies with its connections.
    Before,
    /// The cloud has done what was asked; the client never hears of it. What else it had asked for is done, too.
    After,
    /// The client was told; the last byte of the answer was handed to its socket.
    Answered,
}

impl Moment {
    /// All of them, in the order in which a request meets them.
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::After, Self::Answered];
}

/// A request that a client was killed at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Point(pub(crate) Asked, pub(crate) Moment);

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let moment = match self.1 {
            Moment::Before => "before  ",
            Moment::After => "after   ",
            Moment::Answered => "answered",
        };
        write!(f, "{moment} {}", self.0)
    }
}

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is watched.
    Watch,
    /// It is watched, and what it asks of AWS is kept as it came.
    Keep,
    /// It dies at its first request that nobody died at, at one of the moments, as far as these are of the share.
    Kill(Share),
    /// It dies at its first write of the state that says anything at which nobody died, at one of the moments.
    Write(Share),
    /// Each of its requests that did not fail like this before does so once.
    Fail(Fault),
}

/// The proxy, as far as it outlives a run.
pub(crate) struct Proxy(Arc<Shared>);

struct Shared {
    gateway: String,
    workspace: String,
    client: Client<HttpConnector, Full<Bytes>>,
    visited: Mutex<BTreeSet<Point>>,
    failed: Mutex<BTreeSet<(Asked, Fault)>>,
    /// The state of the one stack that keeps it in a bucket, as last written.
    state: Mutex<serde_json::Value>,
    /// What identifiers of the cloud's own stand for, as far as its answers said.
    names: Mutex<BTreeMap<String, String>>,
}

/// The proxy of one run, with ports of its own: what a client that was killed had still sent concerns no later one. It
/// ends when dropped.
pub(crate) struct Watch {
    pub(crate) gateway: String,
    pub(crate) workspace: String,
    run: Arc<Run>,
    servers: [JoinHandle<()>; 2],
}

pub(crate) struct Run {
    shared: Arc<Shared>,
    mode: Mode,
    seen: Mutex<Vec<Asked>>,
    /// What the client dies at.
    point: Mutex<Option<Point>>,
    kept: Mutex<Vec<Kept>>,
    /// Whether the client is dying: nothing that it asks for from then on is heard of.
    sprung: AtomicBool,
    /// Whether requests are passed on; else they wait.
    open: watch::Sender<bool>,
    under_way: Mutex<Vec<AbortHandle>>,
    /// How many requests failed on purpose.
    failures: Mutex<usize>,
    /// The client's process; 0 until it is known.
    victim: watch::Sender<u32>,
}

/// The end of a client, which comes when this is dropped: with the last byte of an answer, or with the connection that it
/// was to go over.
pub(crate) struct Doom(Arc<Run>);

/// What hangs over the client of a connection.
pub(crate) type Last = Arc<Mutex<Option<Doom>>>;

impl Drop for Doom {
    fn drop(&mut self) {
        let run = Arc::clone(&self.0);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { run.kill().await });
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Kept {
    method: String,
    /// The path and the query.
    target: String,
    headers: BTreeMap<String, String>,
    /// The body, in base64.
    body: String,
    /// What EC2 or KMS answered, which number what they make; empty for other services, whose names say it.
    answer: String,
}

impl Kept {
    fn new(head: &Parts, body: &[u8]) -> Self {
        let text = |it: &header::HeaderValue| String::from_utf8_lossy(it.as_bytes()).into_owned();
        Self {
            method: head.method.to_string(),
            target: head.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned(),
            headers: head.headers.iter().map(|(name, it)| (name.to_string(), text(it))).collect(),
            body: base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body),
            answer: String::new(),
        }
    }

    /// Whether it is signed for a service that numbers what it makes.
    fn makes_numbers(&self) -> bool {
        let signed_for = |of: &str| self.headers.get("authorization").is_some_and(|it| it.contains(of));
        signed_for("/ec2/aws4_request") || signed_for("/kms/aws4_request")
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    /// The client dies at it.
    Kills(Moment),
    Fails(Fault),
    /// It comes when the client is as good as dead, and is never heard of.
    Held,
}

/// What the client gets.
enum Answer {
    Full(Response<Body>),
    /// The same, and the client dies once it has it, or no longer wants it.
    Last(Response<Body>, Doom),
    /// The connection is closed.
    Closed,
    /// Nothing, for as long as the client lives.
    None,
}

impl Proxy {
    pub(crate) fn before(gateway: &str, workspace: &str) -> Self {
        Self(Arc::new(Shared {
            gateway: gateway.to_owned(),
            workspace: workspace.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            visited: Mutex::default(),
            failed: Mutex::default(),
            state: Mutex::default(),
            names: Mutex::default(),
        }))
    }

    /// Watches one run.
    pub(crate) async fn watch(&self, mode: Mode) -> Watch {
        let run = Arc::new(Run {
            shared: Arc::clone(&self.0),
            mode,
            seen: Mutex::default(),
            point: Mutex::default(),
            kept: Mutex::default(),
            sprung: AtomicBool::new(false),
            open: watch::Sender::new(true),
            under_way: Mutex::default(),
            failures: Mutex::default(),
            victim: watch::Sender::new(0),
        });
        let (gateway, first) = serve(&run, false).await;
        let (workspace, second) = serve(&run, true).await;
        Watch { gateway, workspace, run, servers: [first, second] }
    }

    /// Begins another sweep: what was met in the one before does not count.
    pub(crate) fn begin(&self) {
        lock(&self.0.visited).clear();
        lock(&self.0.failed).clear();
    }

    /// Takes back that a client died at a point: it did not.
    pub(crate) fn unvisit(&self, point: &Point) {
        lock(&self.0.visited).remove(point);
    }

    pub(crate) fn visited(&self) -> BTreeSet<Point> {
        lock(&self.0.visited).clone()
    }

    pub(crate) fn failed(&self) -> BTreeSet<(Asked, Fault)> {
        lock(&self.0.failed).clone()
    }
}

impl Watch {
    /// Says which process asks; 0 when none does any more.
    pub(crate) fn client(&self, pid: u32) {
        self.run.victim.send_replace(pid);
    }

    /// Returns what was asked, in order.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        lock(&self.run.seen).clone()
    }

    /// Returns what the client was to die at.
    pub(crate) fn point(&self) -> Option<Point> {
        lock(&self.run.point).clone()
    }

    /// Returns what was asked of AWS as it came, where that is kept.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        lock(&self.run.kept).clone()
    }

    /// Returns how many requests failed on purpose.
    pub(crate) fn failures(&self) -> usize {
        *lock(&self.run.failures)
    }

    /// Says whether some of its requests are never answered.
    pub(crate) fn is_silent(&self) -> bool {
        self.run.mode == Mode::Fail(Fault::Silent)
    }

    /// Lets requests through, or keeps them waiting.
    pub(crate) fn open(&self, open: bool) {
        self.run.open.send_replace(open);
    }

    /// Hears of nothing more that the client asks for.
    pub(crate) fn deafen(&self) {
        self.run.sprung.store(true, Ordering::SeqCst);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.deafen();
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

async fn serve(run: &Arc<Run>, workspace: bool) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let run = Arc::clone(run);
    let server = tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (run, last) = (Arc::clone(&run), Last::default());
            let told = Told::new(TokioIo::new(stream), Arc::clone(&last));
            let service = service_fn(move |request| answer(Arc::clone(&run), workspace, Arc::clone(&last), request));
            // How a client that dies closes its connections is no matter.
            tokio::spawn(async move { http1::Builder::new().serve_connection(told, service).await.ok() });
        }
    });
    (url, server)
}

/// A connection that is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed")]
struct Closed;

async fn answer(
    run: Arc<Run>,
    workspace: bool,
    last: Last,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    let Ok(body) = http_body_util::Limited::new(body, LARGEST).collect().await else {
        return Ok(failure(StatusCode::PAYLOAD_TOO_LARGE));
    };
    let body = body.to_bytes();
    let asked = Asked::read(&head, &body, workspace, &lock(&run.shared.names));
    lock(&run.seen).push(asked.clone());
    // A client that is gone, or no longer wants to know, takes back nothing that it asked for; nor does it escape.
    let task = tokio::spawn(Arc::clone(&run).settle(asked, workspace, head, body));
    lock(&run.under_way).push(task.abort_handle());
    match task.await {
        Ok(Answer::Full(it)) => Ok(it),
        Ok(Answer::Last(it, doom)) => {
            lock(&last).replace(doom);
            Ok(it)
        }
        Ok(Answer::Closed) => Err(Closed),
        // Ends with the connection.
        Ok(Answer::None) | Err(_) => std::future::pending().await,
    }
}

impl Run {
    async fn settle(self: Arc<Self>, asked: Asked, workspace: bool, head: Parts, body: Bytes) -> Answer {
        let mut open = self.open.subscribe();
        open.wait_for(|it| *it).await.expect("the sender lives here");
        match self.fate(&asked, &head, &body) {
            Fate::Kills(Moment::Before) => {
                let own = tokio::task::id();
                lock(&self.under_way).iter().filter(|it| it.id() != own).for_each(AbortHandle::abort);
                self.kill().await;
                Answer::None
            }
            Fate::Kills(Moment::After) => {
                self.shared.pass(workspace, head, body).await;
                self.kill().await;
                Answer::None
            }
            Fate::Kills(Moment::Answered) => {
                let doom = Doom(Arc::clone(&self));
                Answer::Last(self.shared.pass(workspace, head, body).await, doom)
            }
            Fate::Fails(fault) => self.fail(fault, &asked, workspace, head, body).await,
            Fate::Held => Answer::None,
            Fate::Passes if self.mode == Mode::Keep && !workspace => Answer::Full(self.keep(head, body).await),
            Fate::Passes => Answer::Full(self.shared.pass(workspace, head, body).await),
        }
    }

    /// Passes a request of AWS on, and keeps it with what EC2 and KMS answered, in the order in which they came.
    async fn keep(&self, head: Parts, body: Bytes) -> Response<Body> {
        let kept = Kept::new(&head, &body);
        let makes_numbers = kept.makes_numbers();
        let at = {
            let mut all = lock(&self.kept);
            all.push(kept);
            all.len() - 1
        };
        let (head, body) = self.shared.pass(false, head, body).await.into_parts();
        let Ok(body) = body.collect().await else { return failure(StatusCode::BAD_GATEWAY) };
        let body = body.to_bytes();
        if makes_numbers {
            lock(&self.kept)[at].answer = String::from_utf8_lossy(&body).into_owned();
        }
        Response::from_parts(head, Body::from(body))
    }

    /// Decides what becomes of a request. While a client is to die, none that nobody died at yet takes effect unseen.
    fn fate(&self, asked: &Asked, head: &Parts, body: &[u8]) -> Fate {
        if self.sprung.load(Ordering::SeqCst) {
            return Fate::Held;
        }
        match self.mode {
            Mode::Watch | Mode::Keep => Fate::Passes,
            Mode::Fail(fault) => {
                let fails = fault.concerns(asked) && lock(&self.shared.failed).insert((asked.clone(), fault));
                if fails { Fate::Fails(fault) } else { Fate::Passes }
            }
            Mode::Kill(share) => self.doom(share, std::slice::from_ref(asked)),
            Mode::Write(share) => {
                let said = match stored::of_request(head, body) {
                    Some(_) if lock(&self.shared.state).is_null() && !stored::is_first(head) => {
                        panic!("a state that nobody wrote is written over")
                    }
                    Some(now) if stored::is_first(head) => stored::said(&serde_json::Value::Null, &now),
                    Some(now) => stored::said(&lock(&self.shared.state), &now),
                    None => stored::shelf(head).map(str::to_owned).into_iter().collect(),
                };
                let said = said.into_iter().map(|resource| Asked { resource, ..asked.clone() });
                self.doom(share, &said.collect::<Vec<_>>())
            }
        }
    }

    /// Decides whether the client dies at something that is several things at once.
    fn doom(&self, share: Share, asked: &[Asked]) -> Fate {
        let mut visited = lock(&self.shared.visited);
        for moment in Moment::ALL {
            let points = asked.iter().map(|it| Point(it.clone(), moment));
            let open = |it: &Point| share.holds(it) && !visited.contains(it);
            let Some(point) = points.clone().find(open) else { continue };
            lock(&self.point).replace(point);
            visited.extend(points);
            self.sprung.store(true, Ordering::SeqCst);
            return Fate::Kills(moment);
        }
        Fate::Passes
    }

    async fn fail(&self, fault: Fault, asked: &Asked, workspace: bool, head: Parts, body: Bytes) -> Answer {
        *lock(&self.failures) += 1;
        if fault.takes_effect() {
            let answer = self.shared.pass(workspace, head, body).await;
            if fault == Fault::Silent {
                return Answer::None;
            }
            return fault.cut(answer).await.map_or(Answer::Closed, Answer::Full);
        }
        fault.answer(asked).map_or(Answer::Closed, Answer::Full)
    }

    /// Kills the client.
    pub(crate) async fn kill(&self) {
        let mut victim = self.victim.subscribe();
        let pid = *victim.wait_for(|it| *it != 0).await.expect("the sender lives here");
        // Its parent says 0 as soon as it has waited for it: the number is not another process's.
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).ok();
    }
}

impl Shared {
    async fn pass(&self, workspace: bool, mut head: Parts, body: Bytes) -> Response<Body> {
        let state = stored::of_request(&head, &body);
        let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
        let base = if workspace { &self.workspace } else { &self.gateway };
        head.uri = format!("{base}{target}").parse::<Uri>().expect("a URL");
        for it in [header::CONNECTION, header::EXPECT, header::TRANSFER_ENCODING] {
            head.headers.remove(it);
        }
        let Ok(answer) = self.client.request(Request::from_parts(head, Full::new(body))).await else {
            return failure(StatusCode::BAD_GATEWAY);
        };
        let (mut head, body) = answer.into_parts();
        let Ok(body) = body.collect().await else { return failure(StatusCode::BAD_GATEWAY) };
        let body = body.to_bytes();
        head.headers.remove(header::TRANSFER_ENCODING);
        head.headers.remove(header::CONNECTION);
        lock(&self.names).extend(Asked::names(&body));
        if let Some(state) = state.filter(|_| head.status.is_success()) {
            *lock(&self.state) = state;
        }
        Response::from_parts(head, Body::from(body))
    }
}

fn failure(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
