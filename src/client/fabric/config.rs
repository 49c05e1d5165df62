//! Where the APIs are and who speaks to them: what the environment says, under the names that Microsoft's own tools read.

use super::unusable;
use crate::client::{Result, http::Hidden};

/// The configuration that is given explicitly, before the environment is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    root: Option<String>,
}

impl Target {
    /// What the environment says: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` of a service principal.
    pub fn ambient() -> Self {
        Self::default()
    }

    /// Takes this address for all APIs, and made-up credentials: a server on this machine that believes them.
    #[must_use]
    pub fn at(root: impl Into<String>) -> Self {
        Self { root: Some(root.into()) }
    }
}

/// A configuration that can be used. Addresses have no slash at their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) authority: String,
    pub(super) fabric: String,
    pub(super) powerbi: String,
    pub(super) tenant: String,
    pub(super) id: String,
    pub(super) secret: Hidden,
}

/// Finds the configuration. `environment` looks a variable up.
pub(super) fn resolve(target: &Target, environment: &dyn Fn(&str) -> Option<String>) -> Result<Config> {
    let variable = |name: &str| environment(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    let address = |name: &str, usual: &str| {
        let address = target.root.clone().or_else(|| variable(name)).unwrap_or_else(|| usual.to_owned());
        let address = if address.contains("://") { address } else { format!("https://{address}") };
        address.trim_end_matches('/').to_owned()
    };
    let own = |name: &str| match (&target.root, variable(name)) {
        (Some(_), _) => Ok("here".to_owned()),
        (None, Some(it)) => Ok(it),
        (None, None) => Err(unusable(format!(
            "{name} is not set: a stack with models and reports is deployed by a service principal; set AZURE_TENANT_ID, \
             AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
        ))),
    };
    Ok(Config {
        authority: address("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com"),
        fabric: address("FABRIC_API_ROOT_URL", "https://api.fabric.microsoft.com"),
        powerbi: address("DEFAULT_API_ROOT_URL", "https://api.powerbi.com"),
        tenant: own("AZURE_TENANT_ID")?,
        id: own("AZURE_CLIENT_ID")?,
        secret: Hidden(own("AZURE_CLIENT_SECRET")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_who_speaks_and_to_whom() {
        let principal = |name: &str| match name {
            "AZURE_TENANT_ID" => Some("t".to_owned()),
            "AZURE_CLIENT_ID" => Some("c".to_owned()),
            "AZURE_CLIENT_SECRET" => Some("hush".to_owned()),
            "FABRIC_API_ROOT_URL" => Some("https://fabric.example/".to_owned()),
            _ => None,
        };
        let config = resolve(&Target::ambient(), &principal).expect("complete");
        assert_eq!(config.fabric, "https://fabric.example");
        assert_eq!(config.powerbi, "https://api.powerbi.com");
        assert_eq!((config.tenant.as_str(), config.id.as_str()), ("t", "c"));
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let err = resolve(&Target::ambient(), &|_| None).expect_err("nobody");
        assert!(err.message.contains("AZURE_TENANT_ID is not set"), "{err}");
        let here = resolve(&Target::at("http://127.0.0.1:9"), &|_| None).expect("given");
        assert_eq!((here.fabric.as_str(), here.authority.as_str()), ("http://127.0.0.1:9", "http://127.0.0.1:9"));
    }
}
