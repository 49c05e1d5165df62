//! Processes that servers of the supervisor need for a while, such as those of a job's run.
//!
//! They are started from the supervisor's first thread: the kernel ends them when the *thread* that started them ends
//! (prctl(2), `PR_SET_PDEATHSIG`). The supervisor's record names them, so that the next one finds what outlived it.

use std::{
    ffi::{OsStr, OsString},
    io,
    sync::Arc,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

use super::{
    board::Board,
    process::{Process, started_with},
};

/// The variable by which who left the group is known.
const FOLDER: &str = "TMPDIR";
/// How often it is looked for who is left: one that is ending may have begun another.
const ROUNDS: usize = 5;

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// Has processes started.
#[derive(Clone)]
pub(crate) struct Starter {
    orders: mpsc::UnboundedSender<Order>,
    board: Arc<Board>,
}

/// Where orders arrive.
pub(crate) struct Orders(mpsc::UnboundedReceiver<Order>);

/// A process that leads a group of its own, all of which ends when this is dropped: also who left the group, as daemons do, as
/// long as it has the process's own folder for temporary files in its environment.
pub(crate) struct Group {
    name: String,
    /// That folder.
    folder: Option<OsString>,
    /// The leader.
    pub(crate) child: Child,
    pid: Option<Pid>,
    board: Arc<Board>,
}

impl Starter {
    /// Prepares to take orders.
    pub(crate) fn new(board: Arc<Board>) -> (Self, Orders) {
        let (orders, arriving) = mpsc::unbounded_channel();
        (Self { orders, board }, Orders(arriving))
    }

    /// Has a process started, in a group of its own, under a name that no other process has meanwhile.
    pub(crate) async fn start(&self, name: String, mut command: Command) -> io::Result<Group> {
        command.process_group(0).kill_on_drop(true);
        let folder = command.as_std().get_envs().find(|it| it.0 == FOLDER).and_then(|it| it.1).map(ToOwned::to_owned);
        let (answer, started) = oneshot::channel();
        self.orders.send((command, answer)).map_err(io::Error::other)?;
        let child = started.await.map_err(io::Error::other)??;
        let pid = child.id();
        let group = Group {
            name,
            folder,
            pid: pid.and_then(|it| Pid::from_raw(i32::try_from(it).ok()?)),
            child,
            board: Arc::clone(&self.board),
        };
        // The record is for the case that this process is killed; without it the kernel still does its part.
        self.board.set_process(&group.name, pid.and_then(Process::find)).ok();
        Ok(group)
    }
}

impl Orders {
    /// Starts what is ordered, for as long as it is polled: on the supervisor's first thread.
    pub(crate) async fn serve(mut self) {
        while let Some((mut command, answer)) = self.0.recv().await {
            // Nobody may want it any more; then it is dropped, which ends it.
            answer.send(command.spawn()).ok();
        }
        std::future::pending::<()>().await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group without members is gone already.
        if let Some(pid) = self.pid {
            kill_process_group(pid, Signal::KILL).ok();
        }
        for _ in 0..ROUNDS {
            let left = self.folder.as_deref().map(|it| started_with(OsStr::new(FOLDER), it)).unwrap_or_default();
            if left.is_empty() {
                break;
            }
            left.into_iter().for_each(|it| it.signal(Signal::KILL));
        }
        self.board.set_process(&self.name, None).ok();
    }
}
