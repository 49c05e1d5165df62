//! The logs of tasks: what a process writes, with every secret masked; of a long one, the end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, PipeReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, task::JoinHandle};

use crate::local::databricks::secret::Secrets;

/// What stands in a secret's place.
const MASK: &str = "[REDACTED]";
/// Secrets that are shorter stay: they would mask ordinary words.
const SHORTEST: usize = 4;
/// The largest log, in bytes. One that would be larger loses its first half.
const LARGEST: u64 = 16 << 20;
/// What stands at the beginning of a log that lost it.
const CUT: &[u8] = b"[what came before is not kept]\n";

/// Masks all secrets in a text.
pub(super) fn mask(text: &str, secrets: &Secrets) -> String {
    let mut mask = Mask::default();
    let text = mask.take(text.as_bytes(), &words(secrets), true);
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes what comes out of a pipe to a file, until the pipe ends.
pub(super) fn keep(reader: PipeReader, path: PathBuf, secrets: &Arc<Secrets>) -> io::Result<JoinHandle<()>> {
    let mut reader = Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let mut log = Log::begin(path, LARGEST)?;
    let secrets = Arc::clone(secrets);
    Ok(tokio::spawn(async move {
        let mut mask = Mask::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = reader.read(&mut buffer).await.unwrap_or(0);
            let text = mask.take(&buffer[..count], &words(&secrets), count == 0);
            // A log that cannot be written is no reason to fail a task.
            let written = tokio::task::spawn_blocking(move || {
                log.write(&text).ok();
                log
            });
            match written.await {
                Ok(it) if count > 0 => log = it,
                _ => return,
            }
        }
    }))
}

/// A log with a bound.
struct Log {
    path: PathBuf,
    file: File,
    length: u64,
    largest: u64,
}

impl Log {
    fn begin(path: PathBuf, largest: u64) -> io::Result<Self> {
        Ok(Self { file: File::create(&path)?, path, length: 0, largest })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.length += text.len() as u64;
        if self.length > self.largest {
            self.length = cut(&self.path, self.length, self.largest / 2)?;
            self.file = OpenOptions::new().append(true).open(&self.path)?;
        }
        Ok(())
    }
}

/// Leaves the last lines of a file; those who read it see one or the other. Returns its new length.
fn cut(path: &Path, length: u64, kept: u64) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(length.saturating_sub(kept)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    // From the beginning of a line, unless it is a single one.
    let from = end.iter().position(|it| *it == b'\n').map_or(0, |it| it + 1).min(end.len());
    let whole = [CUT, &end[from..]].concat();
    let draft = path.with_extension("draft");
    fs::write(&draft, &whole)?;
    fs::rename(draft, path)?;
    Ok(whole.len() as u64)
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
    words
}

/// Masks secrets in a text that comes in pieces, wherever it is cut.
#[derive(Default)]
struct Mask {
    /// What may be the beginning of a secret, and waits for the rest.
    held: Vec<u8>,
}

impl Mask {
    /// Returns what can be told of the text by now; all of it, where this is its end.
    fn take(&mut self, text: &[u8], words: &[Vec<u8>], end: bool) -> Vec<u8> {
        self.held.extend_from_slice(text);
        let mut by_first: [Vec<&Vec<u8>>; 256] = [const { Vec::new() }; 256];
        words.iter().for_each(|it| by_first[usize::from(it[0])].push(it));
        let (mut told, mut at) = (Vec::with_capacity(self.held.len()), 0);
        while at < self.held.len() {
            // Secrets that overlap are masked as one.
            let (mut from, mut to) = (at, at);
            while from == at || from < to {
                let rest = &self.held[from..];
                let Some(first) = rest.first() else { break };
                for word in &by_first[usize::from(*first)] {
                    if rest.starts_with(word) {
                        to = to.max(from + word.len());
                    } else if !end && word.starts_with(rest) {
                        self.held.drain(..at);
                        return told;
                    }
                }
                from += 1;
            }
            if to > at {
                told.extend_from_slice(MASK.as_bytes());
                at = to;
            } else {
                told.push(self.held[at]);
                at += 1;
            }
        }
        self.held.clear();
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|it| it.as_bytes().to_vec()).collect()
    }

    /// Masks a text that is cut into pieces of a size.
    fn masked(text: &str, words: &[&str], size: usize) -> String {
        let (mut mask, words) = (Mask::default(), all(words));
        let mut told: Vec<u8> = text.as_bytes().chunks(size).flat_map(|it| mask.take(it, &words, false)).collect();
        told.extend(mask.take(b"", &words, true));
        String::from_utf8(told).expect("text")
    }

    #[test]
    fn every_occurrence_is_masked_wherever_the_text_is_cut() {
        for (text, words, expected) in [
            ("geheim, geheim!", &["geheim"][..], "[REDACTED], [REDACTED]!"),
            ("nothing geh", &["geheim"], "nothing geh"),
            ("abcdefgh", &["abcd", "abcdefgh"], "[REDACTED]"),
            ("abcdefgx", &["abcd", "abcdefgh"], "[REDACTED]efgx"),
            ("abcdef.", &["abcd", "cdef"], "[REDACTED]."),
            ("xabcdabcde", &["abcd"], "x[REDACTED][REDACTED]e"),
            ("aaaaa", &["aaaa"], "[REDACTED]"),
        ] {
            for size in 1..=text.len() {
                assert_eq!(masked(text, words, size), expected, "{size}");
            }
        }
    }

    #[test]
    fn what_cannot_be_a_secret_does_not_wait() {
        let mut mask = Mask::default();
        assert_eq!(mask.take(b"so gehe", &all(&["geheim"]), false), b"so ");
        assert_eq!(mask.take(b"n wir", &all(&["geheim"]), false), b"gehen wir");
    }

    #[test]
    fn of_a_long_log_the_end_is_kept() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("log");
        let mut log = Log::begin(path.clone(), 1000).expect("a log");
        for at in 0..1000 {
            log.write(format!("line {at}\n").as_bytes()).expect("written");
        }
        let kept = fs::read_to_string(&path).expect("a log");
        assert!(kept.len() <= 1000 && kept.starts_with("[what came before is not kept]\nline "), "{kept}");
        assert!(kept.ends_with("line 998\nline 999\n"), "{kept}");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }
}
