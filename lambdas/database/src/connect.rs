//! One connection at a time, with credentials that may have been rotated since they were read.

use std::time::Duration;

use tokio::{task::JoinHandle, time::timeout};

use aws_sdk_secretsmanager::Client as Secrets;
use tokio_postgres::{
    Client, Config, NoTls,
    config::SslMode,
    error::SqlState,
    tls::{MakeTlsConnect, TlsConnect},
};

use crate::{
    Error, Settings, Tls,
    secret::{self, Login},
};

/// The way to one database. Remembers the credentials between connections; does not keep the connections.
#[derive(Debug)]
pub struct Database {
    settings: Settings,
    options: String,
    application: &'static str,
    endpoint: Option<String>,
    secrets: Option<Secrets>,
    credentials: Option<Login>,
}

/// A connection, and the task that carries its traffic.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    traffic: JoinHandle<()>,
}

impl Connection {
    /// Longest wait for the server to have heard that it is over.
    const GOODBYE: Duration = Duration::from_secs(2);

    /// Speaks to the database.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Speaks to the database, in transactions too.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Ends the session, and with it its transaction and its locks. Merely dropped, it would keep them while Lambda has
    /// the process frozen after an invocation.
    pub async fn close(self) {
        drop(self.client);
        let abort = self.traffic.abort_handle();
        if timeout(Self::GOODBYE, self.traffic).await.is_err() {
            abort.abort();
        }
    }
}

impl Database {
    /// Prepares connections that appear in `pg_stat_activity` as `application` and start with these run-time
    /// settings of `PostgreSQL`. Sends nothing yet.
    pub fn new(settings: Settings, application: &'static str, options: &[(&str, &str)]) -> Self {
        let options = options.iter().map(|(name, value)| format!("-c {name}={value}")).collect::<Vec<_>>().join(" ");
        Self { settings, options, application, endpoint: None, secrets: None, credentials: None }
    }

    /// Asks this endpoint for the secret, whatever the environment says.
    #[must_use]
    pub fn with_secrets_endpoint(mut self, endpoint: &str) -> Self {
        self.endpoint = Some(endpoint.to_owned());
        self
    }

    /// Uses these credentials and asks Secrets Manager only when they are refused.
    #[must_use]
    pub fn with_credentials(mut self, username: &str, password: &str) -> Self {
        self.credentials = Some(Login { username: username.to_owned(), password: password.to_owned() });
        self
    }

    /// Opens a connection. When the remembered credentials are refused, the secret is read again, once: it may have
    /// been rotated.
    pub async fn connect(&mut self) -> Result<Connection, Error> {
        if let Some(known) = self.credentials.clone() {
            match self.open(&known).await {
                Err(Error::Connect { source, .. }) if is_refusal(&source) => {
                    tracing::info!("the database refused the known credentials; reading the secret again");
                }
                other => return other,
            }
        }
        // Boxed: the SDK's futures are nested deeper than the compiler follows in those of a caller.
        let fresh = Box::pin(self.read_secret()).await?;
        self.open(&fresh).await
    }

    async fn read_secret(&mut self) -> Result<Login, Error> {
        let secrets = match self.secrets.take() {
            Some(client) => client,
            None => secret::client(self.endpoint.as_deref()).await,
        };
        let secrets = self.secrets.insert(secrets);
        let fresh = secret::read(secrets, &self.settings.secret).await?;
        Ok(self.credentials.insert(fresh).clone())
    }

    async fn open(&self, credentials: &Login) -> Result<Connection, Error> {
        let Settings { host, port, name, tls, .. } = &self.settings;
        let mut config = Config::new();
        config
            .host(host)
            .port(*port)
            .dbname(name)
            .user(&credentials.username)
            .password(&credentials.password)
            .application_name(self.application)
            .connect_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_mins(1));
        if !self.options.is_empty() {
            config.options(&self.options);
        }
        let opened = match tls {
            Tls::Disable => drive(config.ssl_mode(SslMode::Disable), NoTls).await,
            Tls::VerifyFull { ca } => {
                drive(config.ssl_mode(SslMode::Require), crate::tls::verify_full(ca.as_deref())?).await
            }
        };
        opened.map_err(|source| Error::Connect { host: host.clone(), port: *port, name: name.clone(), source })
    }
}

/// Connects, and leaves the traffic to a task that ends with the client.
async fn drive<T>(config: &Config, tls: T) -> Result<Connection, tokio_postgres::Error>
where
    T: MakeTlsConnect<tokio_postgres::Socket>,
    T::TlsConnect: Send,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<tokio_postgres::Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await?;
    let traffic = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!("the database connection ended: {}", crate::reason(&error));
        }
    });
    Ok(Connection { client, traffic })
}

fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code))
}

#[cfg(test)]
mod tests {
    use testing::{PASSWORD_ROLE, SecretsApi, Server, secret_json};

    use super::*;

    fn database(server: &Server, api: &SecretsApi) -> Database {
        let settings = Settings {
            host: server.host().to_owned(),
            port: 5432,
            name: server.database().unwrap(),
            secret: "arn:shop".to_owned(),
            tls: Tls::Disable,
        };
        Database::new(settings, "test", &[("lock_timeout", "7s")]).with_secrets_endpoint(api.endpoint())
    }

    #[tokio::test]
    async fn reads_the_secret_when_needed_and_again_after_a_rotation() {
        let server = Server::shared().unwrap();
        let role = |password| format!("PASSWORD '{password}'");
        server.sql("postgres", &format!("CREATE ROLE {PASSWORD_ROLE} LOGIN {}", role("first"))).unwrap();
        let secrets = ["first", "second", "third"].map(|password| secret_json(PASSWORD_ROLE, password));
        let api = SecretsApi::serve(&secrets).unwrap();
        let mut database = database(server, &api);

        let connection = database.connect().await.unwrap();
        let row = connection
            .client()
            .query_one("SELECT current_user::text, current_setting('lock_timeout')", &[])
            .await
            .unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (PASSWORD_ROLE, "7s"));
        connection.close().await;
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{PASSWORD_ROLE}'");
        assert_eq!(server.sql("postgres", &sessions).unwrap(), "0\n", "closed, and the session is there");
        database.connect().await.unwrap();
        assert_eq!(api.asked(), [r#"{"SecretId":"arn:shop"}"#]);

        server.sql("postgres", &format!("ALTER ROLE {PASSWORD_ROLE} {}", role("second"))).unwrap();
        database.connect().await.unwrap();
        assert_eq!(api.asked().len(), 2);

        // The secret read again is refused as well: the error says so and shows no password.
        server.sql("postgres", &format!("ALTER ROLE {PASSWORD_ROLE} {}", role("elsewhere"))).unwrap();
        let error = database.connect().await.unwrap_err();
        assert_eq!(api.asked().len(), 3);
        let said = format!("{error} {error:?} {database:?}");
        assert!(said.contains("password authentication failed"), "{said}");
        assert!(!["first", "second", "third"].iter().any(|password| said.contains(password)), "{said}");
    }

    #[tokio::test]
    async fn refuses_a_secret_of_another_shape_without_quoting_it() {
        let api = SecretsApi::serve(&[r#"{"password":"hush"}"#.to_owned()]).unwrap();
        let error = database(Server::shared().unwrap(), &api).connect().await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("`username` and `password`") && !said.contains("hush"), "{said}");
    }

    #[tokio::test]
    async fn verify_full_takes_only_the_right_server() {
        let server = Server::start_tls().unwrap();
        let authority = server.authority().to_str().unwrap().to_owned();
        let connect = async |host: &str, tls: Tls| {
            let settings = Settings {
                host: host.to_owned(),
                port: server.port(),
                name: "postgres".to_owned(),
                secret: "arn:none".to_owned(),
                tls,
            };
            Database::new(settings, "test", &[]).with_credentials("postgres", "").connect().await
        };
        let trusting = || Tls::VerifyFull { ca: Some(authority.clone()) };
        let connection = connect("localhost", trusting()).await.unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert!(connection.client().query_one(sql, &[]).await.unwrap().get::<_, bool>(0));

        let pem = Tls::VerifyFull { ca: Some(std::fs::read_to_string(&authority).unwrap()) };
        connect("localhost", pem).await.unwrap();
        for (host, tls, problem) in [
            ("127.0.0.1", trusting(), "certificate not valid for name \"127.0.0.1\""),
            ("localhost", Tls::VerifyFull { ca: None }, "UnknownIssuer"),
        ] {
            let said = connect(host, tls).await.unwrap_err().to_string();
            assert!(said.contains(problem), "{said}");
        }
    }
}
