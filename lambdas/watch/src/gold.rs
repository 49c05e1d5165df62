//! How old the tables of the lake are: when their Delta logs got their newest commit, by S3's own clock.
//!
//! A commit that only compacts a table counts as well; it hides old numbers for a while, at most once per compaction.

use serde_json::Value;
use tokio::time::Instant;

use crate::{aws::Aws, http::Error, settings::Place};

/// Returns when a table was last written, in milliseconds since 1970; `None` while there is no table.
pub(crate) async fn newest_commit(aws: &Aws, place: &Place, end: Instant) -> Result<Option<i64>, Error> {
    let log = format!("{}/_delta_log/", place.folder);
    // With a checkpoint, only what comes after it need be listed: a log may hold a month of commits.
    let checkpoint = aws.object(&place.bucket, &format!("{log}_last_checkpoint"), end).await?;
    let version = checkpoint.and_then(|(body, _)| serde_json::from_slice::<Value>(&body).ok()?["version"].as_u64());
    let after = version.map(|it| format!("{log}{it:020}."));
    let objects = aws.list(&place.bucket, &log, after.as_deref(), end).await?;
    let commits = objects.iter().filter(|it| it.key.strip_prefix(&log).is_some_and(is_commit));
    Ok(commits.max_by_key(|it| &it.key).map(|it| it.written))
}

/// Says whether a file of a log is a commit: 20 digits and `.json` (Delta protocol, "Delta Log Entries").
fn is_commit(name: &str) -> bool {
    name.strip_suffix(".json").is_some_and(|it| it.len() == 20 && it.bytes().all(|it| it.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commits_count() {
        assert!(is_commit("00000000000000000012.json"));
        for other in
            ["00000000000000000012.checkpoint.parquet", "00000000000000000012.crc", "_last_checkpoint", "12.json"]
        {
            assert!(!is_commit(other), "{other}");
        }
    }
}
