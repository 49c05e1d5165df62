//! A loopback HTTP server whose answers the test makes up: it proves what a client does with answers, not that anybody
//! gives them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::Error;

/// A request, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET` and the like.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query, as it was sent; empty where there is none.
    pub query: String,
    /// The headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Request {
    /// Returns a parameter of the query, as it was sent.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|it| it.split_once('=')).find(|it| it.0 == name).map(|it| it.1)
    }
}

/// What a request is answered with.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status; 0 hangs up without an answer.
    pub status: u16,
    /// The headers, beside the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Answers with a body.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Handle = dyn Fn(&Request) -> Answer + Send + Sync;

/// A server, and what it was asked.
#[derive(Debug)]
pub struct Web {
    address: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Web {
    /// Serves on a free port of this machine until the test's process ends.
    pub fn serve(handle: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let (asked, handle): (_, Arc<Handle>) = (Arc::new(Mutex::new(Vec::new())), Arc::new(handle));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, handle) = (Arc::clone(&log), Arc::clone(&handle));
                // A connection that breaks is the client's to notice.
                thread::spawn(move || converse(stream, &log, &*handle).ok());
            }
        });
        Ok(Self { address, asked })
    }

    /// Where it listens: `http://127.0.0.1:<port>`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn converse(stream: TcpStream, log: &Mutex<Vec<Request>>, handle: &Handle) -> Result<(), Error> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let Answer { status, headers, body } = handle(&request);
        if status == 0 {
            return Ok(());
        }
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        // In one piece: the kernel would hold back a second one until the first is acknowledged.
        let answer = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        writer.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Reads a request; `None` where the connection ends.
fn read(reader: &mut impl BufRead) -> Result<Option<Request>, Error> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request { method, path: path.to_owned(), query: query.to_owned(), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = request.headers.get("content-length").map_or(Ok(0), |it| it.parse())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8(body)?;
    Ok(Some(request))
}
