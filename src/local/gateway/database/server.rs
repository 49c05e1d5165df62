//! The one PostgreSQL behind all instances: a role and a database for each.
//!
//! Passwords reach it as SCRAM verifiers only, so that neither its log nor its statistics can hold one. A snapshot is the
//! database itself under another name, owned by the superuser.

use futures::future::BoxFuture;
use postgres_protocol::password::scram_sha_256;
use tokio_postgres::{Client, NoTls};

use crate::local::gateway::Postgres;

/// The database that every PostgreSQL has.
const DEFAULT: &str = "postgres";

/// What went wrong, in PostgreSQL's words.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// What the instances need of a server. An interface, so that the API can be tested without one.
pub(crate) trait Server: Send + Sync + std::fmt::Debug {
    /// Makes a role that may log in with this password; where it is there, it gets the password.
    fn role<'a>(&'a self, user: &'a str, password: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Makes a database that the role owns, unless it is there.
    fn database<'a>(&'a self, name: &'a str, user: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Says whether the role can log in to the database.
    fn admits<'a>(&'a self, name: &'a str, user: &'a str, password: &'a str) -> BoxFuture<'a, bool>;
    /// Says whether there is such a role.
    fn has_role<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<bool>>;
    /// Renames a database and takes it from its role; nothing happens where it is gone.
    fn archive<'a>(&'a self, name: &'a str, user: &'a str, archived: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Drops a database with all its data; nothing happens where it is gone.
    fn drop_database<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Drops a role and what it still owns; nothing happens where it is gone.
    fn drop_role<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<()>>;
}

impl Postgres {
    /// Connects as the superuser.
    pub(in crate::local::gateway) async fn connect(&self, database: &str) -> Result<Client> {
        self.login(database, &self.user, &self.password).await
    }

    /// Connects as somebody.
    pub(in crate::local::gateway) async fn login(&self, database: &str, user: &str, password: &str) -> Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).user(user).password(password).dbname(database);
        config.application_name("ecomctl").connect_timeout(std::time::Duration::from_secs(5));
        let (client, connection) = config.connect(NoTls).await.map_err(|err| words(&err))?;
        tokio::spawn(async move {
            // The client reports the same failure to whoever uses it.
            let _ = connection.await;
        });
        Ok(client)
    }
}

impl Server for Postgres {
    fn role<'a>(&'a self, user: &'a str, password: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let client = self.connect(DEFAULT).await?;
            let verb = if role_exists(&client, user).await? { "ALTER" } else { "CREATE" };
            let verifier = scram_sha_256(password.as_bytes());
            let statement = format!("{verb} ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD '{verifier}'", quoted(user));
            client.batch_execute(&statement).await.map_err(|err| words(&err))
        })
    }

    fn database<'a>(&'a self, name: &'a str, user: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let client = self.connect(DEFAULT).await?;
            if name != DEFAULT && !database_exists(&client, name).await? {
                let statement = format!("CREATE DATABASE {} OWNER {}", quoted(name), quoted(user));
                client.batch_execute(&statement).await.map_err(|err| words(&err))?;
                let statement = format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", quoted(name));
                client.batch_execute(&statement).await.map_err(|err| words(&err))?;
            }
            Ok(())
        })
    }

    fn admits<'a>(&'a self, name: &'a str, user: &'a str, password: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            match self.login(name, user, password).await {
                Ok(it) => it.simple_query("SELECT 1").await.is_ok(),
                Err(_) => false,
            }
        })
    }

    fn has_role<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { role_exists(&self.connect(DEFAULT).await?, user).await })
    }

    fn archive<'a>(&'a self, name: &'a str, user: &'a str, archived: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let client = self.connect(DEFAULT).await?;
            if database_exists(&client, name).await? {
                let statement = format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", quoted(name));
                client.batch_execute(&statement).await.map_err(|err| words(&err))?;
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
                client.execute(end, &[&name]).await.map_err(|err| words(&err))?;
                let statement = format!("ALTER DATABASE {} RENAME TO {}", quoted(name), quoted(archived));
                client.batch_execute(&statement).await.map_err(|err| words(&err))?;
            }
            // Also after a crash in between.
            if database_exists(&client, archived).await? && role_exists(&client, user).await? {
                let statement = format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", quoted(archived));
                client.batch_execute(&statement).await.map_err(|err| words(&err))?;
                let statement =
                    format!("REASSIGN OWNED BY {0} TO {1}; DROP OWNED BY {0}", quoted(user), quoted(&self.user));
                self.connect(archived).await?.batch_execute(&statement).await.map_err(|err| words(&err))?;
            }
            Ok(())
        })
    }

    fn drop_database<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if name == DEFAULT {
                return Ok(());
            }
            let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
            self.connect(DEFAULT).await?.batch_execute(&statement).await.map_err(|err| words(&err))
        })
    }

    fn drop_role<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let client = self.connect(DEFAULT).await?;
            if !role_exists(&client, user).await? {
                return Ok(());
            }
            let owned = "SELECT datname FROM pg_database JOIN pg_roles r ON r.oid = datdba WHERE rolname = $1";
            for row in client.query(owned, &[&user]).await.map_err(|err| words(&err))? {
                self.drop_database(row.get(0)).await?;
            }
            let statement = format!("DROP OWNED BY {0}; DROP ROLE {0}", quoted(user));
            client.batch_execute(&statement).await.map_err(|err| words(&err))
        })
    }
}

async fn role_exists(client: &Client, user: &str) -> Result<bool> {
    let found = client.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&user]).await;
    found.map(|it| it.is_some()).map_err(|err| words(&err))
}

async fn database_exists(client: &Client, name: &str) -> Result<bool> {
    let found = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await;
    found.map(|it| it.is_some()).map_err(|err| words(&err))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Tells the server's own words, not the statement: that one may hold a verifier.
fn words(err: &tokio_postgres::Error) -> String {
    match err.as_db_error() {
        Some(it) => it.message().to_owned(),
        None => format!("PostgreSQL does not answer: {err}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
    }
}
