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
    address::Address,
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
    state::{BEAT, Claim, DEADLINE, Document, Holder, Lease, QUIET, Session, SessionError, Status, Store, StoreError},
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
    let document = stored.map(|it| it.0).unwrap_or_default();
    let holder = who::holder(&project.root);
    match (args.verb, document.lease.clone()) {
        (Verb::Status(it), _) => show(&it.stack, &document, &holder, terminal),
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
                "waiting for the stack's state: it is slow to answer, or its last lease was never given back, and is watched \
                 for 20 s, or for 90 s where it is from the future",
            );
            claimed.await
        };
        let err = match claimed {
            Ok(it) => {
                it.restored().inspect(|serial| terminal.remark("restored", &restored(*serial)));
                return Ok(it);
            }
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

/// Says that a state was lost, and what takes its place.
pub fn restored(serial: u64) -> String {
    format!(
        "the stack's state was lost: what counts is its newest copy, serial {serial} of its history; to begin without any, delete \
         the history, too"
    )
}

/// What was begun and is not recorded as done: how far it got, and what.
#[derive(Debug, serde::Serialize)]
struct Begun {
    address: Address,
    status: &'static str,
}

impl std::fmt::Display for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.address)
    }
}

/// Lists what a run may have under way, as far as the records say.
fn begun(document: &Document) -> Vec<Begun> {
    let open = document.resources.iter().filter(|it| it.1.status != Status::Ready);
    open.map(|(address, it)| Begun { address: address.clone(), status: it.status.name() }).collect()
}

/// Names it, the first few of it one by one.
fn named(begun: &[Begun]) -> String {
    const MOST: usize = 12;
    let mut names: Vec<_> = begun.iter().take(MOST).map(ToString::to_string).collect();
    names.extend(begun.len().checked_sub(MOST).filter(|it| *it > 0).map(|it| format!("{it} more")));
    names.join(", ")
}

fn show(stack: &str, document: &Document, own: &Holder, terminal: Terminal) {
    let (lease, begun) = (document.lease.as_ref(), begun(document));
    let remaining = lease.and_then(Lease::remaining);
    let dead = lease.is_some_and(|it| it.holder.is_dead(own));
    if terminal.json {
        let held = lease.map(|it| {
            json!({
                "lease": it, "held": remaining.is_some() && !dead, "expires_in": remaining.map(|it| it.as_secs()), "dead": dead,
                "begun": begun,
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
        None if it.is_here(own) => "expired; the next run takes over at once".to_owned(),
        None => format!(
            "expired, unless the clock there is wrong: the next run takes over if nobody renews it within {}",
            human::duration(QUIET)
        ),
        Some(left) if it.is_here(own) => format!("its process runs; the lease expires in {}", human::duration(left)),
        Some(left) if it.host == own.host => format!(
            "it runs in another container, on a machine of the same name, or ran before this one started; the lease expires in {}",
            human::duration(left)
        ),
        Some(left) => format!("it runs on another machine; the lease expires in {}", human::duration(left)),
    };
    let verb = if lease.verb.is_empty() { "nothing that it told" } else { &lease.verb };
    let mut lines = vec![
        format!("`{stack}` is held by {}@{} (process {}) for {verb}", it.user, it.host, it.pid),
        format!("  since   {} ({})", lease.since.strftime("%Y-%m-%d %H:%M:%S UTC"), human::ago(now, lease.since)),
        format!("  renewed {}", human::ago(now, lease.beat)),
        format!("  {state}"),
    ];
    lines.extend((!begun.is_empty()).then(|| format!("  begun   {}", named(&begun))));
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
    // As it stood when the hold ended: nothing is recorded after that.
    let begun = begun(session.document());
    session.release().await.map_err(of_session)?;
    let open = match begun.as_slice() {
        [] => "It had recorded nothing that is not done.".to_owned(),
        some => format!("It had begun, and not recorded as done: {}. `ecomctl up {stack}` finishes that.", named(some)),
    };
    let text = format!(
        "Nobody holds `{stack}` any more. If that run still lives, it finds out within {} s and changes nothing more; what it \
         sent before that may still take effect for {} s.\n{open}",
        BEAT.as_secs(),
        DEADLINE.as_secs()
    );
    terminal.tell(&json!({ "broken": lease, "begun": begun }), &text);
    Ok(())
}
