//! The logs of tasks: what a process writes, with every secret masked, up to a limit.

use std::{fs::File, io, io::PipeReader, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::Receiver,
    task::JoinHandle,
};

use crate::local::databricks::secret::Secrets;

/// What stands in a secret's place.
const MASK: &str = "[REDACTED]";
/// Secrets that are shorter stay: they would mask ordinary words.
const SHORTEST: usize = 4;
/// The largest log, in bytes.
const LARGEST: usize = 16 << 20;

/// Masks all secrets in a text.
pub(super) fn mask(text: &str, secrets: &Secrets) -> String {
    String::from_utf8_lossy(&masked(text.as_bytes().to_vec(), &words(secrets))).into_owned()
}

/// Writes what comes out of a pipe to a file, until the pipe ends.
pub(super) fn keep(reader: PipeReader, path: PathBuf, secrets: &Arc<Secrets>) -> io::Result<JoinHandle<()>> {
    let mut reader = Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let mut file = tokio::fs::File::from_std(File::create(path)?);
    let secrets = Arc::clone(secrets);
    Ok(tokio::spawn(async move {
        let mut held = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let mut written = 0;
        loop {
            let count = reader.read(&mut buffer).await.unwrap_or(0);
            held.extend_from_slice(&buffer[..count]);
            let words = words(&secrets);
            held = masked(held, &words);
            // What may be the beginning of a secret waits for the rest of it.
            let rest = if count == 0 { 0 } else { beginning(&held, &words) };
            let now: Vec<u8> = held.drain(..held.len() - rest).collect();
            if written < LARGEST {
                let fits = now.len().min(LARGEST - written);
                written += fits;
                // A log that cannot be written is no reason to fail a task.
                file.write_all(&now[..fits]).await.ok();
                if written == LARGEST {
                    file.write_all(b"\n[the rest is not kept]\n").await.ok();
                }
                file.flush().await.ok();
            }
            if count == 0 {
                return;
            }
        }
    }))
}

/// What is to be masked: each secret, and within one that is a JSON object each text that is secret by its name.
fn words(secrets: &Secrets) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    for value in secrets.values() {
        if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&value) {
            let is_secret =
                |name: &str| ["password", "secret", "token"].iter().any(|it| name.to_lowercase().contains(it));
            let inner = fields.iter().filter(|it| is_secret(it.0)).filter_map(|it| it.1.as_str());
            words.extend(inner.map(|it| it.as_bytes().to_vec()));
        }
        words.push(value.into_bytes());
    }
    words.retain(|it| it.len() >= SHORTEST);
    // A secret that holds another one goes first.
    words.sort_by_key(|it| std::cmp::Reverse(it.len()));
    words
}

fn masked(mut text: Vec<u8>, words: &[Vec<u8>]) -> Vec<u8> {
    for word in words {
        let mut from = 0;
        while let Some(at) = text[from..].windows(word.len()).position(|it| it == word) {
            text.splice(from + at..from + at + word.len(), MASK.bytes());
            from += at + MASK.len();
        }
    }
    text
}

/// The length of the longest end of a text that is the beginning of a secret.
fn beginning(text: &[u8], words: &[Vec<u8>]) -> usize {
    let longest =
        |word: &Vec<u8>| (1..word.len().min(text.len() + 1)).rev().find(|it| text.ends_with(&word[..*it])).unwrap_or(0);
    words.iter().map(longest).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|it| it.as_bytes().to_vec()).collect()
    }

    #[test]
    fn every_occurrence_is_masked() {
        let words = all(&["geheim"]);
        assert_eq!(masked(b"geheim, geheim!".to_vec(), &words), b"[REDACTED], [REDACTED]!");
        assert_eq!(masked(b"nothing".to_vec(), &words), b"nothing");
    }

    #[test]
    fn the_beginning_of_a_secret_waits_for_its_end() {
        let words = all(&["geheim", "hexe"]);
        assert_eq!(beginning(b"so geh", &words), 3);
        assert_eq!(beginning(b"so gehe", &words), 4);
        assert_eq!(beginning(b"so", &words), 0);
        assert_eq!(beginning(b"", &words), 0);
    }
}
