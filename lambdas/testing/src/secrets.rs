//! A stand-in for Secrets Manager that answers `GetSecretValue` and counts the calls. Own stub: it proves what the
//! client does with answers, not that the answers are AWS's.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::Error;

/// A loopback server; each call takes the next of its secrets, and the last one stays.
#[derive(Debug)]
pub struct SecretsApi {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SecretsApi {
    /// Serves these secret strings, in order.
    pub fn serve(secrets: &[String]) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, secrets) = (Arc::clone(&asked), secrets.to_vec());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, secrets) = (Arc::clone(&log), secrets.clone());
                // A connection that breaks is the client's to notice.
                thread::spawn(move || answer(stream, &log, &secrets).ok());
            }
        });
        Ok(Self { endpoint, asked })
    }

    /// Where it listens, as an endpoint URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The bodies of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The JSON of a database's secret as RDS writes it.
pub fn secret_json(username: &str, password: &str) -> String {
    format!(r#"{{"username":"{username}","password":"{password}"}}"#)
}

fn answer(stream: TcpStream, asked: &Mutex<Vec<String>>, secrets: &[String]) -> Result<(), Error> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let secret = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(String::from_utf8(body)?);
            secrets.get(asked.len() - 1).or(secrets.last()).cloned().unwrap_or_default()
        };
        let quoted = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let body = format!(r#"{{"ARN":"arn","Name":"name","VersionId":"1","SecretString":"{quoted}"}}"#);
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}
