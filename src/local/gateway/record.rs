//! The gateway's memory: one JSON document per service, replaced as a whole before any change is acknowledged.
//!
//! A crash leaves the old document or the new one. Not shared between processes.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Serialize, de::DeserializeOwned};

use super::call::Fault;
use crate::durable;

/// A document of type `T` and its file.
#[derive(Debug)]
pub(crate) struct Records<T> {
    path: PathBuf,
    now: RwLock<Arc<T>>,
    writing: tokio::sync::Mutex<()>,
}

impl<T: Serialize + DeserializeOwned + Clone + Default + Send + Sync + 'static> Records<T> {
    /// Reads the document; where there is no file, it starts empty.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let now = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|err| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {err}", path.display()))
            })?,
            Err(err) if err.kind() == io::ErrorKind::NotFound => T::default(),
            Err(err) => return Err(err),
        };
        Ok(Self { path, now: RwLock::new(Arc::new(now)), writing: tokio::sync::Mutex::new(()) })
    }

    /// Returns the document as it is on disk.
    pub(crate) fn now(&self) -> Arc<T> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the document: one change at a time, on disk before this returns. Nothing changes when `change` refuses.
    pub(crate) async fn change<R>(&self, change: impl FnOnce(&mut T) -> Result<R, Fault>) -> Result<R, Fault> {
        let _one_at_a_time = self.writing.lock().await;
        let mut next = T::clone(&self.now());
        let answer = change(&mut next)?;
        let next = Arc::new(next);
        let (path, document) = (self.path.clone(), Arc::clone(&next));
        let written = tokio::task::spawn_blocking(move || {
            durable::replace(&path, &serde_json::to_vec_pretty(document.as_ref())?)
        });
        let written = written.await;
        let failed = |err: String| Fault::new(500, "InternalFailure", format!("cannot write the records: {err}"));
        written.map_err(|err| failed(err.to_string()))?.map_err(|err| failed(err.to_string()))?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Document = BTreeMap<String, u32>;

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_crash() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.json");
        let records: Records<Document> = Records::open(path.clone()).expect("an empty document");
        records.change(|it| Ok(it.insert("a".into(), 1))).await.expect("a change");
        let refused = records.change(|it| {
            it.clear();
            Err::<(), _>(Fault::new(400, "No", "no"))
        });
        assert_eq!(refused.await.expect_err("a refusal").code, "No");
        assert_eq!(records.now().get("a"), Some(&1));
        std::mem::forget(records);
        let again: Records<Document> = Records::open(path).expect("the document");
        assert_eq!(again.now().get("a"), Some(&1));
    }

    #[test]
    fn a_damaged_document_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("clusters.json");
        fs::write(&path, "{\"a\":").expect("a file");
        let err = Records::<Document>::open(path).expect_err("half a document");
        assert!(err.to_string().contains("clusters.json is damaged"), "{err}");
    }
}
