//! What is to be watched, as the function's environment says. A part whose variables are not there is not watched.

use std::collections::BTreeMap;

use crate::Error;

/// What is to be watched.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stack, for the dimension `Stack`.
    pub stack: String,
    /// The Databricks workspace with its jobs.
    pub workspace: Option<Workspace>,
    /// Tables of the lake, by name: where they lie.
    pub tables: BTreeMap<String, Place>,
    /// The number of the job that writes the tables, when it has news for them.
    pub writer: Option<i64>,
    /// The topic that people are subscribed to.
    pub people: Option<String>,
    /// The database whose deadlocks are counted.
    pub database: Option<database::Settings>,
    /// The bucket that keeps what is remembered.
    pub bucket: Option<String>,
}

/// The Databricks workspace with its jobs.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its address.
    pub host: String,
    /// The secret with a token, or with a client's identifier and secret.
    pub secret: String,
    /// Numbers of jobs, by the jobs' names. None for a function that only answers webhooks: it cannot know them, as the jobs
    /// know its address. It goes by what the one that looks has remembered.
    pub jobs: BTreeMap<String, i64>,
    /// The secret with the password of the jobs' webhook.
    pub webhook: Option<String>,
}

/// A folder in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The folder, without a slash at its end.
    pub folder: String,
}

impl Settings {
    /// Reads `STACK`; `DATABRICKS_HOST`, `DATABRICKS_SECRET_ARN`, `WEBHOOK_SECRET_ARN` and `JOB_<NAME>` (a job's number);
    /// `TABLE_<NAME>` (`s3://bucket/folder`) and `WRITER_JOB` (the number of the job that writes them); `STATE_BUCKET`;
    /// `PEOPLE_TOPIC_ARN`; and what `database::Settings` reads.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(std::env::vars().collect())
    }

    /// As `from_env`, from any variables.
    pub fn from_variables(variables: BTreeMap<String, String>) -> Result<Self, Error> {
        let given = |name: &str| variables.get(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let wrong = |name: &str, problem: &str| Error::Setting { name: name.to_owned(), problem: problem.to_owned() };
        let needed = |name: &str| given(name).ok_or_else(|| wrong(name, "not set"));
        let stack = needed("STACK")?;
        let of = |prefix: &'static str| {
            variables.iter().filter_map(move |(name, value)| Some((name, name.strip_prefix(prefix)?, value.trim())))
        };

        let mut jobs = BTreeMap::new();
        for (variable, name, value) in of("JOB_") {
            // As jobs are named in the workspace: with the stack, and hyphens.
            let name = format!("{stack}-{}", name.to_lowercase()).replace('_', "-");
            jobs.insert(name, value.parse().map_err(|_| wrong(variable, "not the number of a job"))?);
        }
        let mut tables = BTreeMap::new();
        for (variable, name, value) in of("TABLE_") {
            let place = value.strip_prefix("s3://").and_then(|it| it.split_once('/'));
            let place = place
                .map(|(bucket, it)| (bucket, it.trim_matches('/')))
                .filter(|it| !it.0.is_empty() && !it.1.is_empty());
            let (bucket, folder) = place.ok_or_else(|| wrong(variable, "not of the form s3://bucket/folder"))?;
            tables.insert(name.to_lowercase(), Place { bucket: bucket.to_owned(), folder: folder.to_owned() });
        }
        let writer =
            given("WRITER_JOB").map(|it| it.parse().map_err(|_| wrong("WRITER_JOB", "not the number of a job")));
        let writer = writer.transpose()?;
        let database = match given("DATABASE_HOST") {
            Some(_) => Some(database::Settings::from_lookup(|name| variables.get(name).cloned())?),
            None => None,
        };
        let webhook = given("WEBHOOK_SECRET_ARN");
        let workspace = if jobs.is_empty() && webhook.is_none() {
            None
        } else {
            let (host, secret) = (needed("DATABRICKS_HOST")?, needed("DATABRICKS_SECRET_ARN")?);
            Some(Workspace { host, secret, jobs, webhook })
        };
        let bucket = if workspace.is_some() || database.is_some() || writer.is_some() {
            Some(needed("STATE_BUCKET")?)
        } else {
            None
        };
        Ok(Self { stack, workspace, tables, writer, people: given("PEOPLE_TOPIC_ARN"), database, bucket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let base =
            [("STACK", "my_shop"), ("DATABRICKS_HOST", "h"), ("DATABRICKS_SECRET_ARN", "arn:s"), ("STATE_BUCKET", "b")];
        let all = base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_variables(all.collect()).map_err(|err| err.to_string())
    }

    #[test]
    fn names_are_those_that_jobs_and_tables_have() {
        let it =
            settings(&[("JOB_DAILY_WORK", "9007199254740993"), ("TABLE_DAILY_SALES", "s3://lake/gold/daily_sales/")]);
        let it = it.unwrap();
        let jobs = it.workspace.unwrap().jobs;
        assert_eq!(jobs, BTreeMap::from([("my-shop-daily-work".to_owned(), 9_007_199_254_740_993)]));
        let place = Place { bucket: "lake".to_owned(), folder: "gold/daily_sales".to_owned() };
        assert_eq!(it.tables, BTreeMap::from([("daily_sales".to_owned(), place)]));
    }

    #[test]
    fn what_is_not_there_is_not_watched() {
        let it = settings(&[]).unwrap();
        assert!(it.workspace.is_none() && it.tables.is_empty() && it.database.is_none() && it.people.is_none());
        let it = settings(&[("WEBHOOK_SECRET_ARN", "arn:w")]).unwrap().workspace.unwrap();
        assert!(it.jobs.is_empty() && it.webhook.is_some(), "it answers, and looks at no job by itself");
    }

    #[test]
    fn the_variable_that_is_wrong_is_named() {
        let said = |pairs: &[(&str, &str)]| settings(pairs).unwrap_err();
        assert_eq!(said(&[("JOB_A", "x")]), "environment variable JOB_A: not the number of a job");
        assert_eq!(
            said(&[("TABLE_A", "s3://lake")]),
            "environment variable TABLE_A: not of the form s3://bucket/folder"
        );
        assert_eq!(said(&[("JOB_A", "1"), ("DATABRICKS_HOST", " ")]), "environment variable DATABRICKS_HOST: not set");
        assert_eq!(said(&[("DATABASE_HOST", "h")]), "environment variable DATABASE_NAME: not set");
        assert_eq!(said(&[("STACK", "")]), "environment variable STACK: not set");
    }
}
