//! How commands and the supervisor talk: lines of JSON over a Unix socket that only its owner may use.

use std::{fs::File, io, os::fd::AsRawFd, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    time::timeout,
};

use super::{
    Status,
    board::Board,
    error::{Error, Result},
    files,
    home::Home,
};

const NAME: &str = "control.sock";

/// What is asked of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Request {
    /// How are you?
    Status,
    /// The same, with the memory of each part.
    Memory,
    /// Stop all parts, and yourself.
    Stop,
}

/// A socket's path must be short (unix(7): 108 bytes), and a project's need not be; through an open directory it is.
struct Short {
    _dir: File,
    path: String,
}

impl Short {
    fn new(dir: &Path) -> io::Result<Self> {
        let dir = File::open(dir)?;
        let path = format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd());
        Ok(Self { _dir: dir, path })
    }
}

/// Asks the supervisor; none when there is none, or none that listens yet.
pub(crate) async fn ask(home: &Home, request: Request) -> Result<Option<Status>> {
    let io = |err| Error::io("ask", home.local().join(NAME).display(), err);
    let stream = match Short::new(home.local()) {
        Ok(it) => UnixStream::connect(&it.path).await,
        Err(err) => Err(err),
    };
    let stream = match stream {
        Ok(it) => it,
        Err(err) if is_gone(&err) => return Ok(None),
        Err(err) => return Err(io(err)),
    };
    let talk = async move {
        let mut stream = BufReader::new(stream);
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    match timeout(Duration::from_secs(10), talk).await {
        // It was killed while it answered.
        Ok(Ok(answer)) if answer.is_empty() => Ok(None),
        Ok(Ok(answer)) => serde_json::from_str(&answer).map(Some).map_err(|err| io(err.into())),
        Ok(Err(err)) if is_gone(&err) => Ok(None),
        Ok(Err(err)) => Err(io(err)),
        Err(_) => Err(Error::Supervisor {
            message: "does not answer within 10 s".to_owned(),
            log: files::tail(&home.log("supervisor"), 15),
        }),
    }
}

/// Says whether an error means that no supervisor is there, or that it was killed while it was asked.
fn is_gone(err: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    matches!(err.kind(), NotFound | ConnectionRefused | ConnectionReset | BrokenPipe | UnexpectedEof)
}

/// Listens for commands. The caller holds the supervisor's lock, so a socket that is there is a dead one's.
pub(crate) fn bind(home: &Home) -> Result<UnixListener> {
    let path = home.local().join(NAME);
    files::remove(&path)?;
    let bind = || {
        let short = Short::new(home.local())?;
        let listener = UnixListener::bind(&short.path)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(|err| Error::io("listen on", path.display(), err))
}

/// Answers commands for as long as it is polled.
pub(crate) async fn answer(listener: UnixListener, board: Arc<Board>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(talk(stream, board.clone()))),
            Err(err) => {
                board.log(&format!("cannot accept a command: {err}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn talk(stream: UnixStream, board: Arc<Board>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let request: Request = serde_json::from_str(&line)?;
        if request == Request::Stop {
            board.log("asked to stop");
            board.stop.cancel();
        }
        let mut answer = serde_json::to_vec(&board.status(request == Request::Memory))?;
        answer.push(b'\n');
        stream.write_all(&answer).await?;
        line.clear();
    }
    Ok(())
}
