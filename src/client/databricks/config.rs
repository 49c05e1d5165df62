//! How the workspace and the credentials are found: as the official SDKs do.
//!
//! What is given explicitly goes before the environment, and that before `~/.databrickscfg`. The file is read when a
//! profile is named, or when neither a host nor credentials are known; profiles inherit nothing from `[DEFAULT]`. One
//! step beyond the SDKs, as bundles do it: a host without credentials picks the only profile of that host.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ini::{Ini, ParseOption};

use super::{Hidden, shown, unusable};
use crate::client::Result;

/// The configuration that is given explicitly, before the environment and the file are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    host: Option<String>,
    profile: Option<String>,
    token: Option<Hidden>,
}

impl Target {
    /// What the environment and `~/.databrickscfg` say.
    pub fn ambient() -> Self {
        Self::default()
    }

    /// Takes this workspace, whatever the environment says.
    #[must_use]
    pub fn host(mut self, host: Option<String>) -> Self {
        self.host = host;
        self
    }

    /// Takes this profile of the file.
    #[must_use]
    pub fn profile(mut self, profile: Option<String>) -> Self {
        self.profile = profile;
        self
    }

    /// Takes this personal access token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Hidden(token.into()));
        self
    }
}

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// The workspace's address, without a slash at its end.
    pub(super) host: String,
    /// As whom to speak to it.
    pub(super) credentials: Credentials,
    /// The workspace's number, where it is known.
    pub(super) workspace_id: Option<String>,
}

/// As whom to speak to a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A personal access token.
    Token(Hidden),
    /// A service principal with an OAuth secret.
    Principal { id: String, secret: Hidden },
}

/// The settings that are read, as the file spells them, with the variables that set them.
const SETTINGS: [(&str, &str); 6] = [
    ("host", "DATABRICKS_HOST"),
    ("token", "DATABRICKS_TOKEN"),
    ("client_id", "DATABRICKS_CLIENT_ID"),
    ("client_secret", "DATABRICKS_CLIENT_SECRET"),
    ("auth_type", "DATABRICKS_AUTH_TYPE"),
    ("workspace_id", "DATABRICKS_WORKSPACE_ID"),
];

type Settings = BTreeMap<String, String>;

/// Finds the configuration. `environment` looks a variable up, `file` is where the file usually lies.
pub(super) fn resolve(
    target: &Target,
    environment: &dyn Fn(&str) -> Option<String>,
    file: Option<&PathBuf>,
) -> Result<Config> {
    let variable = |name: &str| environment(name).filter(|it| !it.is_empty());
    let mut settings: Settings =
        SETTINGS.iter().filter_map(|(key, name)| Some(((*key).to_owned(), variable(name)?))).collect();
    if let Some(Hidden(token)) = &target.token {
        // Who names a token means that one, whatever other credentials lie around.
        settings.retain(|key, _| key == "host" || key == "workspace_id");
        settings.insert("token".into(), token.clone());
    }
    if let Some(host) = &target.host {
        if settings.get("host").is_some_and(|it| normal(it) != normal(host)) {
            settings.remove("workspace_id");
        }
        settings.insert("host".into(), host.clone());
    }
    let file = variable("DATABRICKS_CONFIG_FILE").map(PathBuf::from).or_else(|| file.cloned());
    let profile = target.profile.clone().or_else(|| variable("DATABRICKS_CONFIG_PROFILE"));
    let authenticated = settings.contains_key("token") || settings.contains_key("client_id");
    if let Some(path) = file.filter(|_| profile.is_some() || !authenticated) {
        let profiles = if path.is_file() { profiles(&path)? } else { BTreeMap::new() };
        let found = match (profile, settings.get("host")) {
            (Some(name), _) => Some(named(&profiles, &name, &path)?),
            (None, Some(host)) => of_host(&profiles, host, &path)?,
            (None, None) => default(&profiles),
        };
        for (key, value) in found.into_iter().flatten() {
            settings.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    usable(settings)
}

/// Makes sure that everything is there, and nothing twice.
fn usable(mut settings: Settings) -> Result<Config> {
    let Some(host) = settings.get("host").map(|it| normal(it)) else {
        return Err(unusable(
            "no workspace is named: set `stack.databricks` in the stack file, DATABRICKS_HOST, or a profile in ~/.databrickscfg",
        ));
    };
    let workspace_id = settings.remove("workspace_id");
    let token = settings.remove("token").map(|it| Credentials::Token(Hidden(it)));
    let principal = match (settings.remove("client_id"), settings.remove("client_secret")) {
        (Some(id), Some(secret)) => Some(Credentials::Principal { id, secret: Hidden(secret) }),
        (Some(_), None) if token.is_none() => {
            return Err(unusable("there is a client_id without its client_secret: set DATABRICKS_CLIENT_SECRET"));
        }
        _ => None,
    };
    let credentials = match (settings.get("auth_type").map(String::as_str), token, principal) {
        (None, Some(_), Some(_)) => {
            return Err(unusable(
                "there is both a token and a client_id: remove one, or say which with DATABRICKS_AUTH_TYPE=pat or oauth-m2m",
            ));
        }
        (None | Some("pat"), Some(it), _) | (None | Some("oauth-m2m"), _, Some(it)) => it,
        (Some(kind), ..) if kind != "pat" && kind != "oauth-m2m" => {
            return Err(unusable(format!("credentials of type `{kind}` are not known here: use pat or oauth-m2m")));
        }
        _ => {
            return Err(unusable(format!(
                "no credentials for {host}: set DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID with DATABRICKS_CLIENT_SECRET, \
                 or a profile in ~/.databrickscfg"
            )));
        }
    };
    Ok(Config { host, credentials, workspace_id })
}

/// Brings a host into the form in which it is used: with a scheme, without what may follow it.
fn normal(host: &str) -> String {
    let host = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
    let end = host.find("://").map_or(0, |it| it + 3);
    let end = host[end..].find(['/', '?', '#']).map_or(host.len(), |it| it + end);
    let host = &host[..end];
    if host.starts_with("https://") { host.strip_suffix(":443").unwrap_or(host).to_owned() } else { host.to_owned() }
}

fn profiles(path: &Path) -> Result<BTreeMap<String, Settings>> {
    // As Python's own reader of such files: neither quotes nor backslashes mean anything.
    let options = ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    let file = Ini::load_from_file_opt(path, options);
    // The parser's own words might quote the file, and the file holds secrets.
    let file = file.map_err(|err| match err {
        ini::Error::Io(err) => unusable(format!("cannot read {}: {err}", shown(path))),
        ini::Error::Parse(err) => unusable(format!("{}:{}:{} is not as expected", shown(path), err.line, err.col)),
    })?;
    let text = |(key, value): (&str, &str)| (key.trim().to_lowercase(), value.trim().to_owned());
    let section = |(name, it): (Option<&str>, &ini::Properties)| {
        Some((name?.to_owned(), it.iter().map(text).filter(|it| !it.1.is_empty()).collect()))
    };
    Ok(file.iter().filter_map(section).collect())
}

fn named<'a>(profiles: &'a BTreeMap<String, Settings>, name: &str, path: &Path) -> Result<&'a Settings> {
    profiles.get(name).ok_or_else(|| {
        let there: Vec<&str> = profiles.keys().map(String::as_str).filter(|it| *it != "__settings__").collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        unusable(format!("{} has no profile `{name}`; it has: {there}", shown(path)))
    })
}

/// The profile that is taken when nothing is said.
fn default(profiles: &BTreeMap<String, Settings>) -> Option<&Settings> {
    let chosen = profiles.get("__settings__").and_then(|it| it.get("default_profile"));
    profiles.get(chosen.map_or("DEFAULT", String::as_str))
}

/// The only profile of a workspace.
fn of_host<'a>(profiles: &'a BTreeMap<String, Settings>, host: &str, path: &Path) -> Result<Option<&'a Settings>> {
    let same = |it: &&(&String, &Settings)| it.1.get("host").is_some_and(|it| normal(it) == normal(host));
    let all: Vec<_> = profiles.iter().collect();
    match all.iter().filter(same).collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [(_, only)] => Ok(Some(*only)),
        several => {
            let names: Vec<&str> = several.iter().map(|it| it.0.as_str()).collect();
            let message = format!("{} has several profiles for {host}: {}", shown(path), names.join(", "));
            Err(unusable(format!("{message}; say which with `stack.databricks.profile` or DATABRICKS_CONFIG_PROFILE")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "; comment\n\
        [DEFAULT]\nhost = https://default.example.com/\ntoken = dapi-default\n\n\
        [staging]\nhost=staging.example.com:443\nclient_id = robot\nclient_secret = se#cr\\et\n\n\
        [bare]\nhost = https://bare.example.com\n\n\
        [twice]\nhost = staging.example.com\ntoken = dapi-twice\n";

    fn look(target: &Target, variables: &[(&str, &str)], text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("databrickscfg");
        std::fs::write(&path, text).expect("written");
        let environment = |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
        resolve(target, &environment, Some(&path))
    }

    fn token(it: &str) -> Credentials {
        Credentials::Token(Hidden(it.into()))
    }

    #[test]
    fn explicit_before_environment_before_file() {
        let found = look(&Target::ambient(), &[], FILE).expect("the default profile");
        assert_eq!((found.host.as_str(), found.credentials), ("https://default.example.com", token("dapi-default")));

        let variables = [("DATABRICKS_HOST", "env.example.com"), ("DATABRICKS_TOKEN", "dapi-env")];
        let found = look(&Target::ambient(), &variables, FILE).expect("the environment");
        assert_eq!((found.host.as_str(), found.credentials), ("https://env.example.com", token("dapi-env")));

        let explicit = Target::ambient().host(Some("http://127.0.0.1:14568".into())).token("x");
        let all =
            [("DATABRICKS_CLIENT_ID", "i"), ("DATABRICKS_CLIENT_SECRET", "s"), ("DATABRICKS_AUTH_TYPE", "oauth-m2m")];
        let found = look(&explicit, &[&variables[..], &all].concat(), FILE).expect("what is explicit");
        assert_eq!((found.host.as_str(), found.credentials), ("http://127.0.0.1:14568", token("x")));
    }

    #[test]
    fn profiles_are_named_and_inherit_nothing() {
        let staging = Target::ambient().profile(Some("staging".into()));
        let found = look(&staging, &[], FILE).expect("the profile");
        let principal = Credentials::Principal { id: "robot".into(), secret: Hidden("se#cr\\et".into()) };
        assert_eq!((found.host.as_str(), found.credentials), ("https://staging.example.com", principal));

        let variable = [("DATABRICKS_CONFIG_PROFILE", "bare")];
        let err = look(&Target::ambient(), &variable, FILE).expect_err("no token of its own");
        assert!(err.message.starts_with("no credentials for https://bare.example.com: "), "{err}");

        let err = look(&Target::ambient().profile(Some("stagin".into())), &[], FILE).expect_err("no such profile");
        assert!(err.message.ends_with("has no profile `stagin`; it has: DEFAULT, bare, staging, twice"), "{err}");

        let chosen = format!("[__settings__]\ndefault_profile = staging\n{FILE}");
        let found = look(&Target::ambient(), &[], &chosen).expect("the chosen default");
        assert_eq!(found.host, "https://staging.example.com");
    }

    #[test]
    fn the_file_never_overrides_the_environment() {
        let staging = Target::ambient().profile(Some("twice".into()));
        let found = look(&staging, &[("DATABRICKS_TOKEN", "dapi-env")], FILE).expect("both");
        assert_eq!((found.host.as_str(), found.credentials), ("https://staging.example.com", token("dapi-env")));
    }

    #[test]
    fn a_host_picks_its_only_profile() {
        let of = |host: &str| look(&Target::ambient().host(Some(host.into())), &[], FILE);
        assert_eq!(of("default.example.com").expect("one").credentials, token("dapi-default"));
        let err = of("https://staging.example.com/").expect_err("two");
        assert!(err.message.contains("several profiles for https://staging.example.com/: staging, twice"), "{err}");
        assert!(of("other.example.com").expect_err("none").message.starts_with("no credentials for"));
    }

    #[test]
    fn two_kinds_of_credentials_need_a_choice() {
        let both = [
            ("DATABRICKS_HOST", "h"),
            ("DATABRICKS_TOKEN", "t"),
            ("DATABRICKS_CLIENT_ID", "i"),
            ("DATABRICKS_CLIENT_SECRET", "s"),
        ];
        let err = look(&Target::ambient(), &both, "").expect_err("which?");
        assert!(err.message.starts_with("there is both a token and a client_id"), "{err}");
        let chosen = [&both[..], &[("DATABRICKS_AUTH_TYPE", "oauth-m2m")]].concat();
        let found = look(&Target::ambient(), &chosen, "").expect("the principal");
        assert!(matches!(found.credentials, Credentials::Principal { .. }));
        let other = [&both[..], &[("DATABRICKS_AUTH_TYPE", "azure-cli")]].concat();
        assert!(look(&Target::ambient(), &other, "").expect_err("not ours").message.contains("`azure-cli`"));
        let half = [("DATABRICKS_HOST", "h"), ("DATABRICKS_CLIENT_ID", "i")];
        assert!(look(&Target::ambient(), &half, "").expect_err("half").message.contains("client_secret"));
        let none = look(&Target::ambient(), &[], "").expect_err("nothing");
        assert!(none.message.starts_with("no workspace is named"), "{none}");
    }

    #[test]
    fn hosts_are_brought_into_one_form() {
        for (written, used) in [
            ("a.example.com", "https://a.example.com"),
            ("https://a.example.com:443/", "https://a.example.com"),
            ("https://a.example.com/?o=123", "https://a.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(normal(written), used);
        }
    }

    #[test]
    fn credentials_never_show() {
        let config = look(&Target::ambient().profile(Some("staging".into())), &[], FILE).expect("a profile");
        let shown = format!("{config:?} {:?}", Target::ambient().token("dapi-explicit"));
        assert!(!shown.contains("se#cr") && !shown.contains("dapi"), "{shown}");
        let err = look(&Target::ambient(), &[], "[DEFAULT]\ntoken dapi-secret\n[").expect_err("no INI");
        assert!(!err.to_string().contains("dapi"), "{err}");
    }
}
