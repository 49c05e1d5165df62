//! The gateway: one loopback endpoint for all AWS services. What it does not own it passes on unchanged.
//!
//! It owns clusters and topics (MSK), database instances (RDS), event source mappings for Kafka (Lambda), queries (Athena),
//! schedules (EventBridge Scheduler), and metrics, alarms and dashboards (CloudWatch), each kept in one document below the
//! data folder. It checks no signature. Functions' own addresses lead to it, too; the cloud behind it answers there.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, middleware::from_fn, response::IntoResponse};
use http::{Method, Request, Response};
use miette::Diagnostic;
use tokio::net::TcpListener;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

mod athena;
pub(crate) mod broker;
pub(crate) mod call;
pub(crate) mod cloudwatch;
mod cluster;
mod database;
pub(crate) mod record;
mod redshift;
mod route;
mod schedule;
#[cfg(test)]
mod tests;
mod topic;
mod trigger;
pub(crate) mod upstream;
mod url;

use athena::AthenaApi;
pub use athena::Sql;
use broker::Brokers;
use call::{Call, Fault, Reply};
use cloudwatch::{
    CloudWatch,
    source::{Meter, Sources, function},
};
use cluster::ClusterApi;
use database::DatabaseApi;
use record::Records;
use redshift::RedshiftApi;
use route::{Owner, Scope};
use schedule::ScheduleApi;
use serde_json::json;
use trigger::TriggerApi;
use upstream::Upstream;

use crate::local::{guard, poller::Poller};

/// The largest body that is read as a whole: of calls that the gateway answers itself.
const LARGEST_CALL: usize = 4 << 20;

/// Where the gateway listens, and what is behind it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen: a loopback address.
    pub listen: SocketAddr,
    /// The cloud behind it, as `http://host:port`.
    pub cloud: String,
    /// The Kafka behind it, as `host:port`.
    pub kafka: String,
    /// The PostgreSQL behind it.
    pub postgres: Postgres,
    /// What runs Athena's queries.
    pub sql: Sql,
    /// The folder for its documents.
    pub data: PathBuf,
    /// The account of all ARNs, 12 digits.
    pub account: String,
    /// The region of requests that do not say theirs.
    pub region: String,
    /// The least time that a change of state takes, so that waiting for it is exercised.
    pub pace: Duration,
}

/// The PostgreSQL behind the gateway.
#[derive(Clone)]
pub struct Postgres {
    /// The host, as clients reach it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// A superuser.
    pub user: String,
    /// The superuser's password.
    pub password: String,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    /// It would be reachable from other machines.
    #[error("{0} is not a loopback address")]
    #[diagnostic(code(gateway::listen), help("the gateway checks no signature: let it listen on 127.0.0.1"))]
    NotLoopback(SocketAddr),
    /// The address is taken.
    #[error("cannot listen on {address}: {cause}")]
    #[diagnostic(code(gateway::listen), help("stop what uses the port, or choose another one"))]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// The system's words.
        cause: std::io::Error,
    },
    /// Its documents cannot be read or written.
    #[error("cannot use the records of the local cloud in {folder}: {cause}")]
    #[diagnostic(code(gateway::records), help("`ecomctl local reset` starts afresh, without any data"))]
    Records {
        /// Where they are.
        folder: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The cloud's URL is not of the form `http://host:port`.
    #[error("{0} is not of the form http://host:port")]
    Cloud(String),
    /// The server ended by itself.
    #[error("the gateway ended: {0}")]
    Serve(std::io::Error),
}

/// Everything that answers.
#[derive(Clone, Debug)]
struct Gateway {
    upstream: Upstream,
    clusters: ClusterApi,
    databases: DatabaseApi,
    triggers: TriggerApi,
    queries: AthenaApi,
    statements: RedshiftApi,
    schedules: ScheduleApi,
    monitor: CloudWatch,
    sources: Arc<Sources>,
    meter: Meter,
    poller: Poller,
    region: Arc<str>,
    /// Where it is reached.
    address: SocketAddr,
    /// The requests under way, also those whose client is gone.
    work: TaskTracker,
}

/// Serves until `shutdown` is cancelled; requests under way are finished first.
///
/// # Errors
/// When it cannot listen, or cannot use its documents.
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    if !config.listen.ip().is_loopback() {
        return Err(Error::NotLoopback(config.listen));
    }
    let listen = |cause| Error::Listen { address: config.listen, cause };
    let gateway = Gateway::open(&config, Arc::new(config.postgres.clone()))?;
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    Box::pin(run(gateway, listener, shutdown)).await
}

async fn run(mut gateway: Gateway, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
    // The port may have been left to the system.
    gateway.address = listener.local_addr().map_err(Error::Serve)?;
    gateway.clusters.resume();
    let (databases, triggers, poller) = (gateway.databases.clone(), gateway.triggers.clone(), gateway.poller.clone());
    let queries = gateway.queries.clone();
    queries.resume().await;
    let resumed = tokio::spawn(async move { futures::join!(databases.resume(), triggers.resume()) });
    // Ends with the gateway, whatever ends that.
    let clock = AbortOnDropHandle::new(tokio::spawn(gateway.schedules.clone().serve()));
    let (monitor, sources, watching) =
        (gateway.monitor.clone(), Arc::clone(&gateway.sources), CancellationToken::new());
    let watch = tokio::spawn({
        let stop = watching.clone();
        async move { futures::join!(monitor.watch(stop.clone()), sources.run(stop)) }
    });
    let work = gateway.work.clone();
    let app = Router::new().fallback(answer).with_state(gateway).layer(from_fn(guard::own));
    let served = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    work.close();
    work.wait().await;
    resumed.abort();
    drop(clock);
    watching.cancel();
    if let Err(err) = watch.await {
        tracing::warn!("{err}");
    }
    futures::join!(poller.pause_all(), queries.stop());
    served.map_err(Error::Serve)
}

impl Gateway {
    fn open(config: &Config, server: Arc<dyn database::Server>) -> Result<Self, Error> {
        let records = |cause| Error::Records { folder: config.data.clone(), cause };
        std::fs::create_dir_all(&config.data).map_err(records)?;
        let upstream = Upstream::new(&config.cloud, &config.account).map_err(|_| Error::Cloud(config.cloud.clone()))?;
        let brokers = Arc::new(Brokers::new(&config.kafka));
        let clusters = Records::open(config.data.join("clusters.json")).map_err(records)?;
        let clusters = ClusterApi::new(clusters, Arc::clone(&brokers), &config.account, config.pace);
        let monitor = config.data.join("monitor.json");
        let monitor = CloudWatch::open(monitor, upstream.clone(), &config.account).map_err(records)?;
        let meter = Meter::new(Arc::clone(&monitor.store));
        let poller = Poller::new(upstream.clone(), Arc::clone(&brokers), meter.clone());
        let triggers = TriggerApi::new(
            Records::open(config.data.join("triggers.json")).map_err(records)?,
            Arc::clone(&clusters.records),
            poller.clone(),
            upstream.clone(),
            &config.account,
            config.pace,
        );
        let databases = DatabaseApi::new(
            Records::open(config.data.join("databases.json")).map_err(records)?,
            server,
            &config.postgres,
            upstream.clone(),
            &config.account,
            config.pace,
        );
        let queries = config.data.join("queries.json");
        let queries = AthenaApi::open(queries, config.sql.clone(), upstream.clone()).map_err(records)?;
        let schedules = ScheduleApi::new(
            Records::open(config.data.join("schedules.json")).map_err(records)?,
            upstream.clone(),
            &config.account,
            config.pace,
        );
        let sources = Arc::new(Sources {
            meter: meter.clone(),
            upstream: upstream.clone(),
            brokers,
            postgres: config.postgres.clone(),
            databases: databases.clone(),
            triggers: triggers.clone(),
            region: config.region.clone(),
        });
        Ok(Self {
            upstream: upstream.clone(),
            clusters,
            databases,
            triggers,
            queries,
            statements: RedshiftApi::new(&config.postgres, upstream),
            schedules,
            monitor,
            sources,
            meter,
            poller,
            region: config.region.as_str().into(),
            address: config.listen,
            work: TaskTracker::new(),
        })
    }

    async fn route(&self, request: Request<Body>) -> Result<Response<Body>, upstream::Unreachable> {
        let scope = Scope::of(request.headers());
        let owner = route::owner(request.uri(), scope.as_ref());
        if let Some(address) = url::Address::of(request.uri().path()) {
            return self.call(address, request).await;
        }
        if owner == Owner::Upstream {
            let invoked = function::invoked(request.method(), request.uri().path());
            let region = || scope.as_ref().map_or(&*self.region, |it| &it.region);
            if let Some(function) = url::configured(request.uri().path()) {
                return self.tell_address(region().to_owned(), &function, request).await;
            }
            let running = invoked.map(|it| self.meter.begin(region(), &it));
            let response = self.upstream.pass(request).await?;
            if let Some(it) = running {
                it.end(response.status(), response.headers());
            }
            return Ok(response);
        }
        let (head, body) = request.into_parts();
        let body = match axum::body::to_bytes(body, LARGEST_CALL).await {
            Ok(it) => it,
            Err(err) => return Ok(Fault::new(413, "RequestEntityTooLargeException", err.to_string()).json()),
        };
        let region = scope.map_or_else(|| self.region.to_string(), |it| it.region);
        let query = head.uri.query().unwrap_or_default();
        let call = Call::new(head.method.clone(), head.uri.path(), query, body.clone(), region);
        let answer = match owner {
            Owner::Kafka => match self.clusters.answer_topic(&call).await {
                Ok(Reply::Pass) => self.clusters.answer(&call).await,
                it => it,
            },
            Owner::Database => Ok(self.databases.answer(&call).await),
            Owner::Trigger => self.triggers.answer(&call).await,
            Owner::Schedule => self.schedules.answer(&call).await,
            Owner::Query => self.queries.answer(target(&head.headers), &call).await,
            Owner::Statement => self.statements.answer(target(&head.headers), &call).await,
            Owner::Monitor => match self.monitor.answer(&head.headers, &call).await {
                Some(it) => return Ok(it),
                None => Ok(Reply::Pass),
            },
            Owner::Health => Ok(Reply::ok(self.health().await)),
            Owner::Upstream => Ok(Reply::Pass),
        };
        note(&head.method, head.uri.path(), &answer);
        let answer = match answer {
            Ok(reply) => reply.render(),
            Err(fault) => Some(fault.json()),
        };
        match answer {
            Some(it) => Ok(it),
            None => self.upstream.pass(Request::from_parts(head, Body::from(body))).await,
        }
    }
}

impl Gateway {
    /// Says whether the brokers answer, and how every mapping is doing.
    async fn health(&self) -> serde_json::Value {
        json!({ "kafka": self.clusters.brokers.is_up().await, "triggers": self.triggers.health() })
    }
}

/// The operation that a request of AWS's JSON protocol names.
fn target(headers: &http::HeaderMap) -> &str {
    headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default()
}

/// Answers in a task of its own: a client that goes away takes nothing back, and what it asked for is finished.
async fn answer(State(gateway): State<Gateway>, request: Request<Body>) -> Response<Body> {
    let work = gateway.work.clone();
    let answered = work.spawn(async move { gateway.route(request).await.map_err(|err| err.to_string()) }).await;
    answered.unwrap_or_else(|err| Err(err.to_string())).unwrap_or_else(|err| {
        tracing::warn!("{err}");
        Fault::new(503, "ServiceUnavailableException", err).json().into_response()
    })
}

/// Logs a request that the gateway answered, when it may have changed something or was refused.
fn note(method: &Method, path: &str, answer: &Result<Reply, Fault>) {
    match answer {
        Err(fault) => tracing::info!("{method} {path}: {fault}"),
        Ok(Reply::Pass) => (),
        Ok(_) if method != Method::GET => tracing::info!("{method} {path}"),
        Ok(_) => (),
    }
}
