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

/// The proxy, as far as it outlives a run.
pub(crate) struct Proxy(Arc<Shared>);

struct Shared {
    gateway: String,
    client: Client<HttpConnector, Full<Bytes>>,
    visited: Mutex<BTreeSet<Point>>,
    /// What identifiers of the cloud's own stand for, as far as its answers said.
    names: Mutex<BTreeMap<String, String>>,
}

/// The proxy of one run, with a port of its own: what a client that was killed had still sent concerns no later one. It
/// ends when dropped.
pub(crate) struct Watch {
    pub(crate) url: String,
    run: Arc<Run>,
    server: JoinHandle<()>,
}

struct Run {
    shared: Arc<Shared>,
    seen: Mutex<Vec<Asked>>,
    set: Mutex<Set>,
    /// The client's process; 0 until it is known.
    victim: watch::Sender<u32>,
}

/// Whether a client is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
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
    pub(crate) fn before(gateway: &str) -> Self {
        Self(Arc::new(Shared {
            gateway: gateway.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            visited: Mutex::default(),
            names: Mutex::default(),
        }))
    }

    /// Watches one run. With `deadly`, its first request that nobody died at, at one of the moments, is its last.
    pub(crate) async fn watch(&self, deadly: bool) -> Watch {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let set = Mutex::new(if deadly { Set::Armed } else { Set::Off });
        let (shared, victim) = (Arc::clone(&self.0), watch::Sender::new(0));
        let run = Arc::new(Run { shared, seen: Mutex::default(), set, victim });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&run));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Watch { url, run, server }
    }

    pub(crate) fn visited(&self) -> BTreeSet<Point> {
        lock(&self.0.visited).clone()
    }
}

impl Watch {
    /// Says which process asks.
    pub(crate) fn client(&self, pid: u32) {
        self.run.victim.send_replace(pid);
    }

    /// Returns what was asked, in order.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        lock(&self.run.seen).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(run): State<Arc<Run>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else { return failure(StatusCode::PAYLOAD_TOO_LARGE) };
    let asked = Asked::read(&head, &body, &lock(&run.shared.names));
    lock(&run.seen).push(asked.clone());
    // A client that is gone, or no longer wants to know, takes back nothing that it asked for; nor does it escape.
    let answer = tokio::spawn(async move {
        let fate = run.fate(&asked);
        match fate {
            Fate::Kills(Moment::Before) => {
                run.kill().await;
                None
            }
            Fate::Kills(Moment::After) => {
                run.shared.pass(head, body).await;
                run.kill().await;
                None
            }
            Fate::Held => None,
            Fate::Passes => Some(run.shared.pass(head, body).await),
        }
    });
    match answer.await.unwrap_or_else(|_| Some(failure(StatusCode::BAD_GATEWAY))) {
        Some(it) => it,
        // Ends with the connection.
        None => std::future::pending().await,
    }
}

impl Run {
    /// Decides what becomes of a request. While a client is to die, none that nobody died at yet takes effect unseen.
    fn fate(&self, asked: &Asked) -> Fate {
        let mut set = lock(&self.set);
        match *set {
            Set::Off => Fate::Passes,
            Set::Sprung => Fate::Held,
            Set::Armed => {
                let mut visited = lock(&self.shared.visited);
                let open = |it: &Moment| !visited.contains(&Point(asked.clone(), *it));
                let Some(moment) = [Moment::Before, Moment::After].into_iter().find(open) else { return Fate::Passes };
                visited.insert(Point(asked.clone(), moment));
                *set = Set::Sprung;
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
}

impl Shared {
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
