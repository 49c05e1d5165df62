//! The one background process of a local cloud: starts the parts, restarts those that crash, and stops them in order.
//!
//! Parts are started from this process's first thread, never from a spawned task: the kernel sends the signal that ends
//! a part when the *thread* that started it ends (prctl(2), `PR_SET_PDEATHSIG`).

use std::{
    fs::TryLockError,
    io,
    pin::Pin,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Signal, setsid};
use tokio::{
    join,
    net::TcpStream,
    process::Child,
    select,
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    ACCOUNT, Error, REGION, Result, State,
    board::{Board, Record},
    databricks,
    doctor::log_tail,
    files, gateway,
    home::Home,
    part::{Part, Parts, Programs},
    ports::Ports,
    process::{self, Process},
    setup::open_lock,
    socket,
    starter::Starter,
};

/// The longest that a part is given to end by itself.
const GRACE: Duration = Duration::from_secs(15);
/// The longest pause before a part that keeps crashing is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The least time that a change of state takes at the gateway, as it would at AWS.
const PACE: Duration = Duration::from_millis(100);
/// A part that was ready for this long starts with a clean slate.
const STABLE: Duration = Duration::from_secs(60);

/// A part's own wish to stop, and the notice that it has: parts stop in an order.
#[derive(Default)]
struct Lane {
    stop: CancellationToken,
    gone: CancellationToken,
}

/// Why a part no longer runs.
enum End {
    Wanted,
    Crashed { after: Duration, why: Error },
}

/// Runs a local cloud until it is told to stop. Returns at once when another supervisor has it.
///
/// Must be awaited on the program's first thread.
pub async fn serve(home: &Home) -> Result<()> {
    // A session of its own: no terminal can end it. Fails when it leads one already, which is as well.
    setsid().ok();
    files::create_dir(&home.run())?;
    let lock = open_lock(&home.supervisor_lock())?;
    let deadline = Instant::now() + Duration::from_millis(500);
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            // A command that asks whether a supervisor lives holds it for an instant, too.
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(Duration::from_millis(5)).await,
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(err)) => return Err(Error::io("lock", home.supervisor_lock().display(), err)),
        }
    }
    files::remove(&home.failure())?;
    let served = run(home).await;
    if let Err(err) = &served {
        let help = miette::Diagnostic::help(err).map(|it| it.to_string()).unwrap_or_default();
        files::write_json(&home.failure(), &(err.to_string(), help))?;
    }
    served
}

async fn run(home: &Home) -> Result<()> {
    clear_leftovers(home).await?;
    let ports = Ports::choose(home)?;
    ports.check()?;
    let programs: Option<Programs> = files::read_json(&home.run().join("programs.json"))?;
    let Some(programs) = programs else {
        return Err(Error::Supervisor {
            message: "must be started with `ecomctl local start`".to_owned(),
            log: String::new(),
        });
    };
    let board = Arc::new(Board::new(home, ports)?);
    let parts = Parts { home: home.clone(), ports, programs };
    let listener = socket::bind(home)?;
    board.log("started");

    let [kafka, postgres, cloud, front, bricks] = std::array::from_fn(|_| Lane::default());
    let (starter, orders) = Starter::new(board.clone());
    let gateway = |stop| serve_gateway(&parts, stop);
    let databricks = |stop| Ok(serve_databricks(&parts, &starter, stop));
    let gateway = Inner { name: "gateway", port: ports.gateway, serve: &gateway };
    let databricks = Inner { name: "databricks", port: ports.databricks, serve: &databricks };
    let stopping = async {
        board.stop.cancelled().await;
        // Who needs others stops before them.
        for lanes in [[&bricks, &bricks], [&front, &front], [&cloud, &cloud], [&kafka, &postgres]] {
            lanes.iter().for_each(|it| it.stop.cancel());
            for lane in lanes {
                lane.gone.cancelled().await;
            }
        }
    };
    let work = async {
        join!(
            keep(Part::Postgres, &parts, &board, &postgres),
            keep(Part::Kafka, &parts, &board, &kafka),
            keep(Part::Cloud, &parts, &board, &cloud),
            keep_inner(gateway, &board, &front),
            keep_inner(databricks, &board, &bricks),
            stopping,
        );
    };
    select! {
        () = work => {}
        () = socket::answer(listener, board.clone()) => {}
        () = orders.serve() => {}
        () = watch_signals(&board) => {}
    }
    board.log("stopped");
    files::remove(&home.record())?;
    board.failure().map_or(Ok(()), Err)
}

/// Takes the usual signals for the wish to stop.
async fn watch_signals(board: &Board) {
    let streams = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    if let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = streams {
        select! {
            _ = terminate.recv() => board.log("got SIGTERM"),
            _ = interrupt.recv() => board.log("got SIGINT"),
            _ = hangup.recv() => board.log("got SIGHUP"),
        }
        board.stop.cancel();
    }
    std::future::pending::<()>().await;
}

/// Runs a part until it is to stop, again and again when it crashes.
async fn keep(part: Part, parts: &Parts, board: &Board, lane: &Lane) {
    let name = part.name();
    let mut was_ready = false;
    let mut crashes = 0;
    loop {
        board.set(name, State::Starting);
        let began = Instant::now();
        match live(part, parts, board, lane).await {
            Ok(End::Wanted) => break,
            Ok(End::Crashed { after, why }) => {
                was_ready |= !after.is_zero();
                crashes = if after > STABLE { 0 } else { crashes };
                if !was_ready {
                    board.fail(why);
                    break;
                }
                board.crashed(name, &why);
            }
            Err(err) if !was_ready => {
                board.fail(err);
                break;
            }
            Err(err) => board.crashed(name, &err),
        }
        if !rest(pause(crashes).saturating_sub(began.elapsed()), lane).await {
            break;
        }
        crashes += 1;
    }
    board.set(name, State::Stopped);
    lane.gone.cancel();
    // A part that gave up is not in the way of those that stop before it.
    lane.stop.cancelled().await;
}

/// Runs a part once. A time of zero in the end means that it never became ready.
async fn live(part: Part, parts: &Parts, board: &Board, lane: &Lane) -> Result<End> {
    let name = part.name();
    let began = Instant::now();
    let log = files::open_log(&parts.home.log(name))?;
    let error_log = log.try_clone().map_err(|err| Error::io("open", parts.home.log(name).display(), err))?;
    let mut command = select! {
        it = part.command(parts) => it?,
        () = lane.stop.cancelled() => return Ok(End::Wanted),
    };
    command.stdin(Stdio::null()).stdout(log).stderr(error_log).process_group(0).current_dir(parts.home.run());
    let mut child = command.spawn().map_err(|err| Error::io("start", name, err))?;
    let process = child.id().and_then(Process::find);
    board.set_process(name, process)?;
    let crash = |ended: io::Result<ExitStatus>, after: Duration| {
        let message = ended.map_or_else(|err| err.to_string(), |it| format!("it ended ({it})"));
        let (part, log) = (name.to_owned(), log_tail(&parts.home, name));
        let why = match after.is_zero() {
            true => Error::Part { part, message, log },
            false => Error::Crashed { part, message, log },
        };
        End::Crashed { after, why }
    };
    let end = select! {
        ended = child.wait() => crash(ended, Duration::ZERO),
        () = lane.stop.cancelled() => end(part, &mut child, process, board).await,
        () = until_ready(part, parts) => {
            board.set(name, State::Ready);
            board.log(&format!("{name} is ready after {:.1} s", began.elapsed().as_secs_f32()));
            let ready = Instant::now();
            select! {
                ended = child.wait() => crash(ended, ready.elapsed().max(Duration::from_nanos(1))),
                () = lane.stop.cancelled() => end(part, &mut child, process, board).await,
            }
        }
        () = sleep(Part::PATIENCE) => {
            child.start_kill().ok();
            child.wait().await.ok();
            let message = format!("it did not answer within {} s", Part::PATIENCE.as_secs());
            End::Crashed {
                after: Duration::ZERO,
                why: Error::Part { part: name.to_owned(), message, log: log_tail(&parts.home, name) },
            }
        }
    };
    // What the part started itself, such as functions, must not outlive it.
    if let Some(leader) = process {
        let rest = process::members(leader.pid, None);
        rest.iter().for_each(|it| it.signal(Signal::KILL));
        process::wait_gone(&rest, Duration::from_secs(5)).await;
    }
    board.set_process(name, None)?;
    Ok(end)
}

async fn until_ready(part: Part, parts: &Parts) {
    while !part.is_ready(parts).await {
        sleep(Duration::from_millis(25)).await;
    }
}

/// Ends a part as it likes to be ended, and kills it when it takes too long.
async fn end(part: Part, child: &mut Child, process: Option<Process>, board: &Board) -> End {
    if let Some(it) = process {
        it.signal(part.end());
    }
    if timeout(GRACE, child.wait()).await.is_err() {
        board.log(&format!("{} did not end within {} s and is killed", part.name(), GRACE.as_secs()));
        child.start_kill().ok();
        child.wait().await.ok();
    }
    End::Wanted
}

/// A server that is a part of this process.
struct Inner<'a> {
    name: &'static str,
    port: u16,
    serve: &'a dyn Fn(CancellationToken) -> Result<Served>,
}

/// Serves until it is told to stop, or fails.
type Served = Pin<Box<dyn Future<Output = std::result::Result<(), String>> + Send>>;

/// Runs a server of this process once the parts that are processes are ready; again when it fails.
async fn keep_inner(inner: Inner<'_>, board: &Board, lane: &Lane) {
    let name = inner.name;
    while !board.processes_ready() {
        if !rest(Duration::from_millis(10), lane).await {
            lane.gone.cancel();
            return;
        }
    }
    let mut was_ready = false;
    let mut crashes = 0;
    loop {
        board.set(name, State::Starting);
        let stop = lane.stop.child_token();
        let served = match (inner.serve)(stop.clone()) {
            Ok(it) => it,
            Err(err) => {
                board.fail(err);
                break;
            }
        };
        let mut task = tokio::spawn(served);
        let ended = select! {
            ended = &mut task => ended,
            () = until_connected(inner.port) => {
                was_ready = true;
                board.set(name, State::Ready);
                board.log(&format!("{name} is ready"));
                select! {
                    ended = &mut task => ended,
                    () = lane.stop.cancelled() => timeout(GRACE, task).await.unwrap_or(Ok(Ok(()))),
                }
            }
        };
        if lane.stop.is_cancelled() {
            break;
        }
        let message = match ended {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(err)) => err,
            Err(err) => err.to_string(),
        };
        let err = Error::Part { part: name.to_owned(), message, log: String::new() };
        if !was_ready {
            board.fail(err);
            break;
        }
        board.crashed(name, &err);
        if !rest(pause(crashes), lane).await {
            break;
        }
        crashes += 1;
    }
    board.set(name, State::Stopped);
    lane.gone.cancel();
}

fn serve_gateway(parts: &Parts, stop: CancellationToken) -> Result<Served> {
    let served = gateway::serve(gateway_config(parts)?, stop);
    Ok(Box::pin(async { served.await.map_err(|err| err.to_string()) }))
}

fn serve_databricks(parts: &Parts, starter: &Starter, stop: CancellationToken) -> Served {
    let config = databricks::Config {
        listen: ([127, 0, 0, 1], parts.ports.databricks).into(),
        data: parts.home.data().join("databricks"),
        log: parts.home.log("databricks"),
        python: parts.home.spark(),
        gateway: format!("http://127.0.0.1:{}", parts.ports.gateway),
        starter: starter.clone(),
    };
    Box::pin(async { databricks::serve(config, stop).await.map_err(|err| err.to_string()) })
}

fn gateway_config(parts: &Parts) -> Result<gateway::Config> {
    let password = parts.home.postgres_password();
    let text = std::fs::read_to_string(&password);
    let text = text.map_err(|err| Error::io("read", password.display(), err))?;
    Ok(gateway::Config {
        listen: ([127, 0, 0, 1], parts.ports.gateway).into(),
        cloud: format!("http://127.0.0.1:{}", parts.ports.cloud),
        kafka: format!("127.0.0.1:{}", parts.ports.kafka),
        postgres: gateway::Postgres {
            host: "127.0.0.1".to_owned(),
            port: parts.ports.postgres,
            user: "postgres".to_owned(),
            password: text.trim_end().to_owned(),
        },
        sql: gateway::Sql {
            python: parts.home.spark().join("bin/python"),
            folder: parts.home.run().join("sql"),
            endpoint: format!("http://127.0.0.1:{}", parts.ports.gateway),
            account: ACCOUNT.to_owned(),
        },
        data: parts.home.data().join("gateway"),
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        pace: PACE,
    })
}

async fn until_connected(port: u16) {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Pauses; says whether the part is to go on.
async fn rest(time: Duration, lane: &Lane) -> bool {
    select! {
        () = sleep(time) => true,
        () = lane.stop.cancelled() => false,
    }
}

/// How long after its start a part that crashed is started again: at once, then ever later.
fn pause(crashes: u32) -> Duration {
    match crashes {
        0 => Duration::ZERO,
        _ => (Duration::from_millis(250) * 2_u32.saturating_pow(crashes)).min(LONGEST_PAUSE),
    }
}

/// Sees off what a killed supervisor left. Its parts end by themselves; those that do not are killed.
pub(crate) async fn clear_leftovers(home: &Home) -> Result<()> {
    let Some(record) = files::read_note::<Record>(&home.record()) else { return files::remove(&home.record()) };
    // A group's number stays taken while one of its members lives, and so does the session's.
    let left: Vec<_> =
        record.parts.values().flat_map(|it| process::members(it.pid, Some(record.supervisor.pid))).collect();
    if !process::wait_gone(&left, GRACE).await {
        left.iter().for_each(|it| it.signal(Signal::KILL));
        process::wait_gone(&left, Duration::from_secs(5)).await;
    }
    files::remove(&home.record())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let pauses: Vec<_> = [0, 1, 2, 7, 40].map(|it| pause(it).as_millis()).to_vec();
        assert_eq!(pauses, [0, 500, 1000, 30_000, 30_000]);
    }
}
