//! Where the database is and how to reach it, as the function's environment says.

use crate::Error;

/// Everything but the credentials, which are read from Secrets Manager when they are needed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host name; a path means the directory of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the database.
    pub name: String,
    /// ARN or name of the secret with `username` and `password`.
    pub secret: String,
    /// How the connection is protected.
    pub tls: Tls,
}

/// How the connection is protected; there is nothing in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: for a database on the same machine.
    Disable,
    /// Encrypted, and the server's certificate must be valid for its host name.
    VerifyFull {
        /// The authorities to trust, as a path or as PEM text; the platform's and those of RDS when `None`.
        ca: Option<String>,
    },
}

impl Settings {
    /// Reads `DATABASE_HOST`, `DATABASE_PORT` (5432), `DATABASE_NAME`, `DATABASE_SECRET_ARN`, `DATABASE_SSLMODE`
    /// (`verify-full` or `disable`) and `DATABASE_CA` (a path, or PEM text).
    pub fn from_env() -> Result<Self, Error> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// As `from_env`, over any source of variables.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let given = |name| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let needed = |name| given(name).ok_or(Error::Setting { name, problem: "not set".to_owned() });
        let port = match given("DATABASE_PORT") {
            None => 5432,
            Some(text) => text.parse().map_err(|_| Error::Setting {
                name: "DATABASE_PORT",
                problem: format!("`{text}` is not a port number"),
            })?,
        };
        let tls = match given("DATABASE_SSLMODE").as_deref() {
            Some("disable") => Tls::Disable,
            None | Some("verify-full") => Tls::VerifyFull { ca: given("DATABASE_CA") },
            Some(other) => {
                let problem = format!("`{other}` is neither `verify-full` nor `disable`");
                return Err(Error::Setting { name: "DATABASE_SSLMODE", problem });
            }
        };
        Ok(Self {
            host: needed("DATABASE_HOST")?,
            port,
            name: needed("DATABASE_NAME")?,
            secret: needed("DATABASE_SECRET_ARN")?,
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let base = [("DATABASE_HOST", "db"), ("DATABASE_NAME", "shop"), ("DATABASE_SECRET_ARN", "arn:s")];
        Settings::from_lookup(|name| {
            let found = pairs.iter().chain(&base).find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .map_err(|e| e.to_string())
    }

    #[test]
    fn verifies_the_server_unless_told_otherwise() {
        let default = settings(&[]).unwrap();
        assert_eq!((default.port, default.tls), (5432, Tls::VerifyFull { ca: None }));
        assert_eq!(settings(&[("DATABASE_SSLMODE", "disable")]).unwrap().tls, Tls::Disable);
        let ca = settings(&[("DATABASE_CA", "/opt/ca.pem")]).unwrap().tls;
        assert_eq!(ca, Tls::VerifyFull { ca: Some("/opt/ca.pem".to_owned()) });
    }

    #[test]
    fn names_the_variable_that_is_wrong() {
        let said = |pairs: &[(&str, &str)]| settings(pairs).unwrap_err();
        assert_eq!(said(&[("DATABASE_HOST", " ")]), "environment variable DATABASE_HOST: not set");
        assert_eq!(said(&[("DATABASE_PORT", "x")]), "environment variable DATABASE_PORT: `x` is not a port number");
        assert_eq!(
            said(&[("DATABASE_SSLMODE", "prefer")]),
            "environment variable DATABASE_SSLMODE: `prefer` is neither `verify-full` nor `disable`"
        );
    }
}
