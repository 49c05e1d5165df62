//! Deadlocks of the database. RDS for PostgreSQL has no metric of them; PostgreSQL counts them since its statistics were
//! last reset, so that what is told is the difference to the last look.

use database::{Database, postgres};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The last count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Count {
    deadlocks: Option<i64>,
}

impl Count {
    /// Takes note of a count; says whether it differs, and how many there were since. What was before the first look
    /// does not count.
    pub(crate) fn note(&mut self, now: i64) -> (bool, i64) {
        let before = self.deadlocks.replace(now);
        let since = match before {
            None => 0,
            // The statistics were reset, or the database is another one.
            Some(before) if now < before => now,
            Some(before) => now - before,
        };
        (before != Some(now), since)
    }
}

/// Reads the count of the database that is connected to.
pub(crate) async fn count(database: &mut Database) -> Result<i64, Error> {
    let connection = database.connect().await?;
    let sql = "SELECT coalesce(sum(deadlocks), 0)::int8 FROM pg_stat_database WHERE datname = current_database()";
    let row = connection.client().query_one(sql, &[]).await;
    connection.close().await;
    row.and_then(|it| it.try_get(0)).map_err(|err: postgres::Error| Error::Query(database::reason(&err)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_told_once() {
        let mut count = Count::default();
        assert_eq!(count.note(5), (true, 0), "nobody looked before");
        assert_eq!(count.note(5), (false, 0));
        assert_eq!(count.note(7), (true, 2));
        assert_eq!(count.note(1), (true, 1), "reset meanwhile");
    }
}
