//! Whether the tables of a model hold anything yet.

use futures::future::try_join_all;

use super::{Ground, Model};
use crate::{
    address::Address,
    client::{self, Error},
    resource::{Cx, Result, bucket, table::Table},
};

/// Lists the tables of a model that no run has written yet, by the names that the stack gives them: where there is no log of
/// Delta's, there is no table to query.
pub(super) async fn unwritten(cx: &Cx, model: &Address) -> Result<Vec<String>> {
    // What the file does not name any more is on its way out.
    let Ok(model) = Ground::of(cx).read::<Model>(model) else { return Ok(Vec::new()) };
    let looks = model.tables.iter().map(|it| async move {
        let table = cx.spec::<Table>(it)?;
        let (bucket, prefix) = table.place();
        let is_there = is_written(cx, &bucket::name_in(&cx.scope, bucket), prefix).await?;
        Ok::<_, crate::resource::Error>((!is_there).then(|| it.name.clone()))
    });
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

async fn is_written(cx: &Cx, bucket: &str, prefix: &str) -> client::Result<bool> {
    let request = cx.aws.s3().list_objects_v2().bucket(bucket).prefix(format!("{prefix}/_delta_log/")).max_keys(1);
    let answer = request.send().await.map_err(Error::aws("s3", "ListObjectsV2"));
    Ok(Error::missing_is_none(answer)?.is_some_and(|it| it.key_count().unwrap_or_default() > 0))
}
