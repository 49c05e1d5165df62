//! The local Databricks: one loopback endpoint that answers as a workspace's REST API does, and runs jobs on this machine.
//!
//! It keeps a workspace's files, jobs, runs, permissions, secrets, cluster policies and notification destinations below
//! its data folder. It has one user, and takes the token `local`, or the client `local` with the secret `local`.

mod auth;
mod call;
mod destination;
pub(super) mod job;
mod log;
mod permission;
mod policy;
mod run;
mod runner;
mod secret;
mod workspace;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, body::Body, extract::State, middleware::from_fn, response::Html, routing::get};
use http::{Request, Response};
use miette::Diagnostic;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    gateway::{
        call::{Call, Fault},
        record::Records,
    },
    guard,
    starter::Starter,
};
use call::{Answer, Reply};
use destination::Destinations;
use job::Jobs;
use log::Log;
use permission::{Permissions, directory::Directories};
use policy::Policies;
use run::{RunApi, store::Runs};
use runner::{Place, Runner};
use secret::Secrets;
use workspace::Workspace;

/// The largest body that is taken.
const LARGEST_BODY: usize = 256 << 20;

/// Where it listens, and what it works with.
pub(crate) struct Config {
    /// Where to listen: a loopback address.
    pub(crate) listen: SocketAddr,
    /// The folder for everything that it keeps.
    pub(crate) data: PathBuf,
    /// Its log.
    pub(crate) log: PathBuf,
    /// The Python environment of Spark.
    pub(crate) python: PathBuf,
    /// URL of all AWS services, for the code of jobs.
    pub(crate) gateway: String,
    /// Starts the processes of runs.
    pub(crate) starter: Starter,
}

/// Why it cannot serve.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    /// It would be reachable from other machines.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The address is taken.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// The system's words.
        cause: std::io::Error,
    },
    /// What it keeps cannot be read or written.
    #[error("cannot use what the local Databricks keeps in {folder}: {cause}")]
    Records {
        /// Where that is.
        folder: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the local Databricks ended: {0}")]
    Serve(std::io::Error),
}

/// Everything that answers.
struct Server {
    workspace: Arc<Workspace>,
    runs: RunApi,
    jobs: Arc<Jobs>,
    permissions: Permissions,
    directories: Directories,
    secrets: Arc<Secrets>,
    policies: Policies,
    destinations: Arc<Destinations>,
    log: Arc<Log>,
}

/// Serves until `shutdown` is cancelled.
///
/// # Errors
/// When it cannot listen, or cannot use what it keeps.
pub(crate) async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    if !config.listen.ip().is_loopback() {
        return Err(Error::NotLoopback(config.listen));
    }
    let listen = |cause| Error::Listen { address: config.listen, cause };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let (server, runner) = Server::open(config)?;
    // Where the URLs of jobs and runs lead that the API gives out, as a browser asks for them: without a token.
    let page = || get(async || Html(include_str!("databricks/page.html")));
    let app = Router::new().route("/", page()).route("/jobs/{*rest}", page());
    let app = app.fallback(answer).with_state(Arc::new(server)).layer(from_fn(guard::own));
    // Runs end with the server, whatever ends it.
    let stop = shutdown.child_token();
    let served = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned());
    let served = async {
        let served = served.await;
        stop.cancel();
        served
    };
    tokio::join!(served, runner.serve(stop.clone())).0.map_err(Error::Serve)
}

impl Server {
    fn open(config: Config) -> Result<(Self, Runner), Error> {
        let records = |cause| Error::Records { folder: config.data.clone(), cause };
        std::fs::create_dir_all(&config.data).map_err(records)?;
        let path = |name: &str| config.data.join(name);
        let destinations = Arc::new(Destinations::new(Records::open(path("destinations.json")).map_err(records)?));
        let jobs = Records::open(path("jobs.json")).map_err(records)?;
        let jobs = Arc::new(Jobs::new(jobs, Arc::clone(&destinations)));
        let permissions = Records::open(path("permissions.json")).map_err(records)?;
        let secrets = Arc::new(Secrets::new(Records::open(path("secrets.json")).map_err(records)?));
        let policies = Records::open(path("policies.json")).map_err(records)?;
        let workspace = Arc::new(Workspace::open(path("workspace.json"), path("workspace")).map_err(records)?);
        let log = Arc::new(Log::open(&config.log).map_err(|err| records(std::io::Error::other(err)))?);
        let (runs, left_out) = Runs::open(path("runs")).map_err(records)?;
        for it in left_out {
            tracing::warn!("{it}");
            log.write(&it);
        }
        let runs = Arc::new(runs);
        let address = format!("http://{}", config.listen);
        let place = Place {
            python: config.python,
            data: config.data.clone(),
            gateway: config.gateway,
            address: address.clone(),
            starter: config.starter,
            log: Arc::clone(&log),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let runner = Runner::new(
            place,
            Arc::clone(&runs),
            Arc::clone(&jobs),
            Arc::clone(&workspace),
            Arc::clone(&secrets),
            Arc::clone(&destinations),
        )
        .map_err(records)?;
        let directories = Records::open(path("directories.json")).map_err(records)?;
        let server = Self {
            directories: Directories::new(directories, Arc::clone(&workspace)),
            workspace,
            runs: RunApi::new(Arc::clone(&jobs), runs, runner.clone(), address),
            permissions: Permissions::new(permissions, Arc::clone(&jobs)),
            jobs,
            secrets,
            policies: Policies::new(policies),
            destinations,
            log,
        };
        Ok((server, runner))
    }

    async fn route(&self, request: Request<Body>) -> Result<Reply, Fault> {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, LARGEST_BODY).await;
        let body = body.map_err(|err| Fault::new(413, "MALFORMED_REQUEST", err.to_string()))?;
        let query = head.uri.query().unwrap_or_default();
        let call = Call::new(head.method.clone(), head.uri.path(), query, body, String::new());
        if let Some(answer) = auth::discover(&call, &head.headers) {
            return answer;
        }
        let caller = auth::caller(&head.headers)?;
        let (method, path) = call.route();
        match (method, &path[..]) {
            ("GET", ["api", "2.0", "preview", "scim", "v2", "Me"]) => caller.me(),
            (_, ["api", "2.0", "workspace", verb]) => self.workspace.answer(verb, &call, &head.headers).await,
            (_, ["api", "2.0", "secrets", rest @ ..]) => self.secrets.answer(rest, &call, caller).await,
            (_, ["api", "2.0", "permissions", "directories", id, rest @ ..]) => {
                self.directories.answer(id, rest, &call).await
            }
            (_, ["api", "2.0", "permissions", "jobs", id, rest @ ..]) => {
                self.permissions.answer(id, rest, &call, caller).await
            }
            (_, ["api", "2.0", "policies", "clusters", verb]) => self.policies.answer(verb, &call, caller).await,
            (_, ["api", "2.0", "notification-destinations", rest @ ..]) => self.destinations.answer(rest, &call).await,
            (_, ["api", version @ ("2.0" | "2.1" | "2.2"), "jobs", rest @ ..]) => {
                match self.runs.answer(version, rest, &call, caller).await {
                    Some(it) => it,
                    None => self.answer_job(version, rest, &call, caller).await,
                }
            }
            _ => Err(call::no_such_api(&call)),
        }
    }

    async fn answer_job(&self, version: &str, path: &[&str], call: &Call, caller: auth::Caller) -> Answer {
        match (call.method.as_str(), path) {
            ("POST", ["create"]) => {
                let (mut settings, wanted) = job::new_settings(call)?;
                let acl = wanted.map(|it| permission::check(it, caller)).transpose()?;
                let id = self.jobs.create(&mut settings, caller).await?;
                self.permissions.begin(id, acl, caller).await?;
                call::ok(serde_json::json!({ "job_id": id }))
            }
            ("POST", ["delete"]) => self.jobs.delete(call).await,
            (_, [verb]) => self.jobs.answer(version, verb, call).await,
            _ => Err(call::no_such_api(call)),
        }
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request<Body>) -> Response<Body> {
    let what = format!("{} {}", request.method(), request.uri().path());
    let is_read = request.method() == http::Method::GET;
    let answer = server.route(request).await;
    match &answer {
        Err(fault) => {
            tracing::info!("{what}: {fault}");
            server.log.write(&format!("{what}: {fault}"));
        }
        Ok(_) if !is_read => {
            tracing::info!("{what}");
            server.log.write(&what);
        }
        Ok(_) => {}
    }
    call::render(answer)
}
