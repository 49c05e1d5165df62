//! A proxy before the local cloud's gateway: it passes everything on unchanged, records what was asked, and kills the
//! client at the requests that nobody died at yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode, Uri, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::asked::Asked;

/// The largest body that is passed on: a function's code, in base64.
const LARGEST: usize = 256 << 20;

/// When a client is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// The cloud never hears of the request.
    Before,
    /// The cloud has done what was asked; the client never hears of it.
    After,
}

/// A request that a client was killed at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point(pub(crate) Asked, pub(crate) Moment);

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.1 == Moment::Before { "before" } else { "after " }, self.0)
    }
}

/// The proxy; it ends when dropped.
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    gateway: String,
    client: Client<HttpConnector, Full<Bytes>>,
    seen: Mutex<Vec<Asked>>,
    trap: Mutex<Trap>,
    /// The client's process; 0 until it is known.
    victim: watch::Sender<u32>,
    /// What identifiers of the cloud's own stand for, as far as its answers said.
    names: Mutex<BTreeMap<String, String>>,
}

#[derive(Default)]
struct Trap {
    set: Set,
    visited: BTreeSet<Point>,
}

/// Whether a client is to die.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Set {
    #[default]
    Off,
    Armed,
    Sprung,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    /// The client dies at it.
    Kills(Moment),
    /// It comes when the client is as good as dead, and is never heard of.
    Held,
}

impl Proxy {
    pub(crate) async fn before(gateway: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            gateway: gateway.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            seen: Mutex::default(),
            trap: Mutex::default(),
            victim: watch::Sender::new(0),
            names: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url, shared, server }
    }

    /// Forgets what was asked so far, and which process asks.
    pub(crate) fn begin(&self) {
        lock(&self.shared.seen).clear();
        self.shared.victim.send_replace(0);
    }

    /// Says which process asks from now on.
    pub(crate) fn client(&self, pid: u32) {
        self.shared.victim.send_replace(pid);
    }

    /// Lets the next request that nobody died at, at one of the moments, be the client's last.
    pub(crate) fn arm(&self, armed: bool) {
        lock(&self.shared.trap).set = if armed { Set::Armed } else { Set::Off };
    }

    pub(crate) fn visited(&self) -> BTreeSet<Point> {
        lock(&self.shared.trap).visited.clone()
    }

    /// Returns what was asked since the beginning, in order.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        lock(&self.shared.seen).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else { return failure(StatusCode::PAYLOAD_TOO_LARGE) };
    let asked = Asked::read(&head, &body, &lock(&shared.names));
    lock(&shared.seen).push(asked.clone());
    let fate = shared.fate(&asked);
    match fate {
        Fate::Kills(Moment::Before) => {
            shared.kill().await;
            return std::future::pending().await;
        }
        // Ends with the connection.
        Fate::Held => return std::future::pending().await,
        Fate::Kills(Moment::After) | Fate::Passes => (),
    }
    // A client that is gone takes back nothing that it asked for: what is under way goes on.
    let passed = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move { shared.pass(head, body).await }
    });
    let answer = passed.await.unwrap_or_else(|_| failure(StatusCode::BAD_GATEWAY));
    if fate == Fate::Kills(Moment::After) {
        shared.kill().await;
    }
    answer
}

impl Shared {
    /// Decides what becomes of a request. While a client is to die, none that nobody died at yet takes effect unseen.
    fn fate(&self, asked: &Asked) -> Fate {
        let mut trap = lock(&self.trap);
        match trap.set {
            Set::Off => Fate::Passes,
            Set::Sprung => Fate::Held,
            Set::Armed => {
                let open = |it: &Moment| !trap.visited.contains(&Point(asked.clone(), *it));
                let Some(moment) = [Moment::Before, Moment::After].into_iter().find(open) else { return Fate::Passes };
                trap.set = Set::Sprung;
                trap.visited.insert(Point(asked.clone(), moment));
                Fate::Kills(moment)
            }
        }
    }

    async fn kill(&self) {
        let mut victim = self.victim.subscribe();
        let pid = *victim.wait_for(|it| *it != 0).await.expect("the sender lives here");
        // Its parent waits for it after this, so the number cannot be another process's yet.
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it ran until now");
    }

    async fn pass(&self, mut head: Parts, body: Bytes) -> Response<Body> {
        let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
        head.uri = format!("{}{target}", self.gateway).parse::<Uri>().expect("a URL");
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
        Response::from_parts(head, Body::from(body))
    }
}

fn failure(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
