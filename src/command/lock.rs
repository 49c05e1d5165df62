//! `ecomctl lock`: who holds a stack; and how every verb that changes a stack takes hold of it.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    command::{
        Exit, Global, Result,
        consent::{Deed, STACK},
        fault::{of_session, of_store},
        place::SILENCE,
        project::{Project, StackArg},
        who,
    },
    report::{Terminal, human},
    stack,
    state::{BEAT, Claim, DEADLINE, Holder, Lease, Session, SessionError, Store, StoreError},
};

/// See who holds a stack, or end a hold
///
/// A run that changes a stack holds it by a lease that it renews. A run that died needs no help: its lease expires within
/// 90 seconds, and at once where it died on the machine that the next run starts on.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_value_name = "VERB",
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ecomctl lock status staging
  ecomctl lock break staging        take the stack from its holder, after asking
"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say who holds a stack, since when, and until when
    Status(StackArg),
    /// Take a stack from its holder, which then changes nothing more
    Break {
        #[command(flatten)]
        stack: StackArg,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// How long to wait for another run.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Waiting {
    /// Wait this long for another run to finish, such as `10m`; without it, end with code 7
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub lock_wait: Option<Duration>,
}

/// Does what the arguments ask for.
///
/// # Errors
/// Says why the state cannot be read or written, or that nobody consented.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let (terminal, project) = (global.terminal(), Project::open(global)?);
    let (Verb::Status(StackArg { stack }) | Verb::Break { stack: StackArg { stack }, .. }) = &args.verb;
    let store = project.find_store(stack).await?;
    let stored = store.load().await.map_err(of_store)?;
    if stored.is_none() {
        // A stack whose file is gone may still have a state; one that has neither does not exist.
        stack::find(&project.root, stack)?;
    }
    let lease = stored.and_then(|it| it.0.lease);
    let holder = who::holder(&project.root);
    match (args.verb, lease) {
        (Verb::Status(it), lease) => show(&it.stack, lease.as_ref(), &holder, terminal),
        (Verb::Break { stack, .. }, None) => {
            terminal.tell(&json!({ "broken": null }), &format!("Nobody holds `{}`.", stack.stack));
        }
        (Verb::Break { stack, yes }, Some(lease)) => end(&stack.stack, store, &lease, holder, yes, terminal).await?,
    }
    Ok(Exit::Done)
}

/// Takes hold of a stack; waits for another run, where that is wanted, and says so.
///
/// # Errors
/// Says who holds it, or why its state cannot be read or written.
pub async fn take(
    store: Arc<dyn Store>,
    holder: &Holder,
    verb: &str,
    waiting: Waiting,
    terminal: Terminal,
) -> Result<Session> {
    let (begun, patience) = (Instant::now(), waiting.lock_wait.unwrap_or_default());
    let mut told: Option<(u64, Instant)> = None;
    loop {
        let claim = Claim { verb, breaks: None };
        let mut claimed = pin!(Session::claim(Arc::clone(&store), holder.clone(), claim));
        let claimed = if let Ok(it) = tokio::time::timeout(SILENCE, &mut claimed).await {
            it
        } else {
            terminal.remark(
                "locked",
                "waiting for the stack's state: it is slow to answer, or its last lease is from the future and is watched \
                 for up to 90 s",
            );
            claimed.await
        };
        let err = match claimed {
            Ok(it) => return Ok(it),
            Err(err) => err,
        };
        let left = patience.saturating_sub(begun.elapsed());
        let epoch = match &err {
            SessionError::Locked { lease, .. } => lease.epoch,
            SessionError::Store(StoreError::Standing { .. }) => 0,
            _ => return Err(of_session(err)),
        };
        if left.is_zero() {
            return Err(of_session(err));
        }
        if told.is_none_or(|it| it.0 != epoch || it.1.elapsed() > Duration::from_secs(30)) {
            told = Some((epoch, Instant::now()));
            terminal.remark("locked", &format!("{err}; waiting for up to {}", human::duration(left)));
        }
        // Not in step with others that wait for the same.
        let pause = Duration::from_secs(1).mul_f64(rand::random_range(0.5..1.5));
        tokio::time::sleep(pause.min(left)).await;
    }
}

fn show(stack: &str, lease: Option<&Lease>, own: &Holder, terminal: Terminal) {
    let remaining = lease.and_then(Lease::remaining);
    let dead = lease.is_some_and(|it| it.holder.is_dead(&own.host));
    if terminal.json {
        let held = lease.map(|it| {
            json!({
                "lease": it, "held": remaining.is_some() && !dead, "expires_in": remaining.map(|it| it.as_secs()), "dead": dead,
            })
        });
        terminal.print(&held.unwrap_or_else(|| json!({ "lease": null, "held": false })).to_string());
        return;
    }
    let Some(lease) = lease else {
        terminal.print(&format!("Nobody holds `{stack}`."));
        return;
    };
    let (it, now) = (&lease.holder, Timestamp::now());
    let state = match remaining {
        _ if dead => "its process is gone; the next run takes over at once".to_owned(),
        None => "expired; the next run takes over at once".to_owned(),
        Some(left) if it.host == own.host => {
            format!("its process runs; the lease expires in {}", human::duration(left))
        }
        Some(left) => format!("it runs on another machine; the lease expires in {}", human::duration(left)),
    };
    let verb = if lease.verb.is_empty() { "nothing that it told" } else { &lease.verb };
    let mut lines = vec![
        format!("`{stack}` is held by {}@{} (process {}) for {verb}", it.user, it.host, it.pid),
        format!("  since   {} ({})", lease.since.strftime("%Y-%m-%d %H:%M:%S UTC"), human::ago(now, lease.since)),
        format!("  renewed {}", human::ago(now, lease.beat)),
        format!("  {state}"),
    ];
    lines.extend(it.ci.as_ref().map(|it| format!("  ci      {it}")));
    lines.extend(it.commit.as_ref().map(|it| format!("  commit  {it}")));
    terminal.print(&lines.join("\n"));
}

/// Takes the lease that was seen, and no other, and gives it back. Whoever had it fails at its next write.
async fn end(
    stack: &str,
    store: Arc<dyn Store>,
    lease: &Lease,
    holder: Holder,
    yes: bool,
    terminal: Terminal,
) -> Result<()> {
    if !yes {
        let question = format!("This takes `{stack}` from {}@{}.", lease.holder.user, lease.holder.host);
        let what = "ending another run's hold";
        let command = format!("ecomctl lock break {stack} --yes");
        Deed { sentence: &question, what, asked: STACK, word: stack, command: &command }.agree(&terminal)?;
    }
    let claim = Claim { verb: "lock break", breaks: Some(lease.epoch) };
    let session = Session::claim(store, holder, claim).await.map_err(of_session)?;
    session.release().await.map_err(of_session)?;
    let text = format!(
        "Nobody holds `{stack}` any more. If that run still lives, it finds out within {} s and changes nothing more; what it \
         sent before that may still take effect for {} s.",
        BEAT.as_secs(),
        DEADLINE.as_secs()
    );
    terminal.tell(&json!({ "broken": lease }), &text);
    Ok(())
}
