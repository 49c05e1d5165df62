//! What RDS would refuse of a PostgreSQL instance, and what it adds to a new one. Pure.
//!
//! Source: the RDS API reference and user guide. Not checked, as there is nothing behind it on this machine: which
//! instance classes exist, groups, keys, roles. The engine's version is remembered and shown; what runs is the one
//! PostgreSQL of this machine.

use std::collections::BTreeMap;

use super::{form::Form, record::Instance};
use crate::local::gateway::call::Fault;

/// What is shown under the name by which it is given, with what is shown when it is not.
const FIELDS: [(&str, &str); 27] = [
    ("AllocatedStorage", ""),
    ("AutoMinorVersionUpgrade", "true"),
    ("AvailabilityZone", ""),
    ("BackupRetentionPeriod", "1"),
    ("BackupTarget", "region"),
    ("CACertificateIdentifier", "rds-ca-rsa2048-g1"),
    ("CopyTagsToSnapshot", "false"),
    ("DBInstanceClass", ""),
    ("DatabaseInsightsMode", "standard"),
    ("DedicatedLogVolume", "false"),
    ("DeletionProtection", "false"),
    ("EngineVersion", "17.6"),
    ("Iops", ""),
    ("KmsKeyId", ""),
    ("LicenseModel", "postgresql-license"),
    ("MaxAllocatedStorage", ""),
    ("MonitoringInterval", "0"),
    ("MonitoringRoleArn", ""),
    ("MultiAZ", "false"),
    ("NetworkType", "IPV4"),
    ("PerformanceInsightsKMSKeyId", ""),
    ("PerformanceInsightsRetentionPeriod", ""),
    ("PreferredBackupWindow", "03:00-03:30"),
    ("PreferredMaintenanceWindow", "sun:04:00-sun:04:30"),
    ("PubliclyAccessible", "false"),
    ("StorageThroughput", ""),
    ("StorageType", "gp3"),
];

/// What is given under one name and shown under another.
const RENAMED: [(&str, &str, &str); 3] = [
    ("EnableIAMDatabaseAuthentication", "IAMDatabaseAuthenticationEnabled", "false"),
    ("EnablePerformanceInsights", "PerformanceInsightsEnabled", "false"),
    ("StorageEncrypted", "StorageEncrypted", "false"),
];

/// What waits for the maintenance window unless asked otherwise.
const DEFERRED: [&str; 9] = [
    "AllocatedStorage",
    "DBInstanceClass",
    "DedicatedLogVolume",
    "EngineVersion",
    "Iops",
    "MultiAZ",
    "CACertificateIdentifier",
    "StorageThroughput",
    "StorageType",
];

/// Checks a new instance; returns its fields.
pub(super) fn fields(form: &Form) -> Result<BTreeMap<String, String>, Fault> {
    let engine = form.required("Engine")?;
    if engine != "postgres" {
        return Err(invalid(format!("Invalid DB engine: {engine}. The local cloud has postgres.")));
    }
    let mut fields = BTreeMap::new();
    let defaults = FIELDS.iter().map(|(name, default)| (*name, *name, *default)).chain(RENAMED);
    for (given, shown, default) in defaults {
        let value = form.text(given).unwrap_or(default);
        if !value.is_empty() {
            fields.insert(shown.to_owned(), value.to_owned());
        }
    }
    // RDS completes a major version with a minor one of its choice.
    if let Some(it) = fields.get_mut("EngineVersion").filter(|it| !it.contains('.')) {
        it.push_str(".6");
    }
    class(form.required("DBInstanceClass")?)?;
    let storage = form.number("AllocatedStorage")?;
    match storage {
        None => return Err(combination("AllocatedStorage is required for engine postgres.")),
        Some(20..=65_536) => (),
        Some(it) => {
            return Err(invalid(format!("Invalid storage size for engine name postgres and storage type gp3: {it}")));
        }
    }
    common(form, storage.unwrap_or(0))?;
    if let Some(it) = form.text("DBName") {
        name("DBName", it)?;
    }
    Ok(fields)
}

/// Checks the role, and how its password comes about; `true` when RDS shall look after it.
pub(super) fn credentials(form: &Form) -> Result<bool, Fault> {
    let user = form.required("MasterUsername")?;
    name("MasterUsername", user)?;
    if ["rdsadmin", "public", "none"].contains(&user) {
        return Err(invalid(format!(
            "MasterUsername {user} cannot be used as it is a reserved word used by the engine"
        )));
    }
    match (form.is_true("ManageMasterUserPassword"), form.text("MasterUserPassword")) {
        (true, Some(_)) => Err(combination(
            "You can't specify MasterUserPassword for an instance with ManageMasterUserPassword enabled.",
        )),
        (false, None) => Err(invalid("The parameter MasterUserPassword must be provided and must not be blank.")),
        (true, None) => Ok(true),
        (false, Some(it)) => password(it).map(|()| false),
    }
}

/// Checks a password.
pub(super) fn password(password: &str) -> Result<(), Fault> {
    if !(8..=128).contains(&password.len()) {
        return Err(invalid(
            "The parameter MasterUserPassword is not a valid password: it must have 8 to 128 characters.",
        ));
    }
    if !password.chars().all(|it| (' '..='~').contains(&it) && !"/@\" ".contains(it)) {
        let message = "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.";
        return Err(invalid(message));
    }
    Ok(())
}

/// Checks an identifier of an instance or a snapshot; returns it in small letters.
pub(super) fn identifier(what: &str, given: &str) -> Result<String, Fault> {
    let fits = (1..=63).contains(&given.len())
        && given.starts_with(|it: char| it.is_ascii_alphabetic())
        && given.chars().all(|it| it.is_ascii_alphanumeric() || it == '-')
        && !given.ends_with('-')
        && !given.contains("--");
    let message = || {
        format!(
            "The parameter {what} is not a valid identifier. Identifiers must begin with a letter; must contain only \
             ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        )
    };
    fits.then(|| given.to_lowercase()).ok_or_else(|| invalid(message()))
}

/// What a modification changes, by shown name: at once, and in the maintenance window.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// At once.
    pub(super) now: BTreeMap<String, String>,
    /// In the maintenance window, or soon when so asked.
    pub(super) later: BTreeMap<String, String>,
}

/// Checks a modification.
pub(super) fn changes(form: &Form, instance: &Instance) -> Result<Changes, Fault> {
    let mut changes = Changes::default();
    let names = FIELDS.iter().map(|(name, _)| (*name, *name)).chain(RENAMED.map(|(given, shown, _)| (given, shown)));
    for (given, shown) in names {
        let Some(value) = form.text(given) else { continue };
        if ["AvailabilityZone", "KmsKeyId", "StorageEncrypted"].contains(&given) {
            return Err(invalid(format!("{given} cannot be modified.")));
        }
        // A major version alone means whichever minor version there is.
        let same = shown == "EngineVersion" && instance.field(shown).starts_with(&format!("{value}."));
        if instance.field(shown) != value && !same {
            let group = if DEFERRED.contains(&shown) { &mut changes.later } else { &mut changes.now };
            group.insert(shown.to_owned(), value.to_owned());
        }
    }
    if let Some(it) = form.text("DBInstanceClass") {
        class(it)?;
    }
    let current = instance.number("AllocatedStorage");
    let storage = form.number("AllocatedStorage")?.unwrap_or(current);
    if storage < current {
        return Err(invalid(format!(
            "Requested storage size of {storage} GiB is smaller than the current {current} GiB: storage never shrinks"
        )));
    }
    if storage > current && storage * 10 < current * 11 {
        return Err(combination(format!(
            "Invalid storage size: {storage} GiB. It must grow by at least 10%, to {} GiB.",
            (current * 11 + 9) / 10
        )));
    }
    common(form, storage)?;
    if let Some(target) = form.text("EngineVersion") {
        version(instance.field("EngineVersion"), target, form.is_true("AllowMajorVersionUpgrade"))?;
    }
    Ok(changes)
}

fn common(form: &Form, storage: i64) -> Result<(), Fault> {
    within(form, "BackupRetentionPeriod", |it| (0..=35).contains(&it))?;
    within(form, "MonitoringInterval", |it| [0, 1, 5, 10, 15, 30, 60].contains(&it))?;
    let maximum = form.number("MaxAllocatedStorage")?;
    // Equal to the storage, it turns autoscaling off, as RDS documents it.
    if maximum.is_some_and(|it| it < storage) {
        return Err(combination("MaxAllocatedStorage must not be less than AllocatedStorage."));
    }
    if form.number("MonitoringInterval")?.is_some_and(|it| it > 0) && form.text("MonitoringRoleArn").is_none() {
        return Err(combination(
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.",
        ));
    }
    Ok(())
}

fn version(current: &str, target: &str, major_allowed: bool) -> Result<(), Fault> {
    let numbers = |it: &str| it.split('.').filter_map(|it| it.parse::<u32>().ok()).collect::<Vec<_>>();
    let (now, then) = (numbers(current), numbers(target));
    if then < now && !now.starts_with(&then) {
        return Err(combination(format!("Cannot upgrade postgres from {current} to {target}")));
    }
    if then.first() != now.first() && !major_allowed {
        let message = "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.";
        return Err(combination(message));
    }
    Ok(())
}

fn within(form: &Form, name: &str, fits: fn(i64) -> bool) -> Result<(), Fault> {
    match form.number(name)? {
        Some(it) if !fits(it) => Err(invalid(format!("Invalid value {it} for {name}"))),
        _ => Ok(()),
    }
}

fn class(class: &str) -> Result<(), Fault> {
    let fits = class.starts_with("db.") && class.split('.').count() == 3;
    fits.then_some(()).ok_or_else(|| invalid(format!("Invalid DB Instance class: {class}")))
}

fn name(what: &str, name: &str) -> Result<(), Fault> {
    let fits = (1..=63).contains(&name.len())
        && name.starts_with(|it: char| it.is_ascii_alphabetic())
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    fits.then_some(()).ok_or_else(|| {
        invalid(format!(
            "{what} must begin with a letter and contain only letters, digits and underscores, at most 63."
        ))
    })
}

/// Refuses a value as RDS does.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidParameterValue", message)
}

/// Refuses values that do not go together as RDS does.
pub(super) fn combination(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidParameterCombination", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Engine=postgres&DBInstanceClass=db.t4g.micro&AllocatedStorage=20&MasterUsername=shop&MasterUserPassword=long-enough";

    fn form(more: &str) -> Form {
        Form::parse(format!("{GOOD}&{more}").as_bytes())
    }

    fn instance() -> Instance {
        Instance {
            id: "shop".into(),
            arn: String::new(),
            resource_id: String::new(),
            created: String::new(),
            status: super::super::record::Status::Available,
            user: "shop".into(),
            database: None,
            secret: None,
            fields: fields(&form("EngineVersion=16.4")).expect("valid"),
            pending: BTreeMap::new(),
            security_groups: Vec::new(),
            log_exports: Vec::new(),
            subnet_group: None,
            parameter_group: String::new(),
            tags: BTreeMap::new(),
            last_snapshot: None,
        }
    }

    #[test]
    fn a_new_instance_gets_defaults() {
        let fields = fields(&form("EnablePerformanceInsights=true&EngineVersion=16")).expect("valid");
        assert_eq!(fields["EngineVersion"], "16.6");
        assert_eq!(fields["BackupRetentionPeriod"], "1");
        assert_eq!(fields["PerformanceInsightsEnabled"], "true");
        assert!(!fields.contains_key("Iops") && !fields.contains_key("MasterUserPassword"));
    }

    #[test]
    fn mistakes_are_refused() {
        for (wrong, word) in [
            ("Engine=mysql", "engine"),
            ("AllocatedStorage=19", "storage"),
            ("DBInstanceClass=large", "class"),
            ("BackupRetentionPeriod=36", "BackupRetentionPeriod"),
            ("DBName=1shop", "DBName"),
            ("MonitoringInterval=60", "MonitoringRoleARN"),
            ("MaxAllocatedStorage=10", "MaxAllocatedStorage"),
        ] {
            let err = fields(&form(wrong)).expect_err(wrong);
            assert!(err.message.contains(word), "{wrong}: {err}");
        }
        for id in ["", "1a", "a-", "a--b", "a_b"] {
            assert!(identifier("DBInstanceIdentifier", id).is_err(), "{id}");
        }
        assert_eq!(identifier("DBInstanceIdentifier", "Shop-1"), Ok("shop-1".into()));
    }

    #[test]
    fn a_password_is_given_or_looked_after_but_not_both() {
        assert_eq!(credentials(&form("")), Ok(false));
        assert!(credentials(&form("ManageMasterUserPassword=true")).is_err());
        let bare = |it: &str| credentials(&Form::parse(it.as_bytes()));
        assert_eq!(bare("MasterUsername=shop&ManageMasterUserPassword=true"), Ok(true));
        assert!(bare("MasterUsername=shop").is_err());
        assert!(bare("MasterUsername=rdsadmin&ManageMasterUserPassword=true").is_err());
        for wrong in ["short", "with space", "with/slash", "with@sign"] {
            assert!(password(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_modification_is_cut_into_now_and_later() {
        let it =
            form("AllocatedStorage=22&DeletionProtection=true&DBInstanceClass=db.t4g.micro&BackupRetentionPeriod=7");
        let changes = changes(&it, &instance()).expect("valid");
        assert_eq!(changes.later, BTreeMap::from([("AllocatedStorage".into(), "22".into())]));
        assert_eq!(changes.now.keys().collect::<Vec<_>>(), ["BackupRetentionPeriod", "DeletionProtection"]);
    }

    #[test]
    fn storage_never_shrinks_and_versions_never_go_back() {
        for (wrong, word) in [
            ("AllocatedStorage=19", "shrinks"),
            ("AllocatedStorage=21", "10%"),
            ("EngineVersion=15.9", "Cannot upgrade"),
            ("EngineVersion=17.1", "AllowMajorVersionUpgrade"),
        ] {
            let err = changes(&form(wrong), &instance()).expect_err(wrong);
            assert!(err.message.contains(word), "{wrong}: {err}");
        }
        assert!(changes(&form("EngineVersion=17.1&AllowMajorVersionUpgrade=true"), &instance()).is_ok());
        assert_eq!(
            changes(&form("EngineVersion=16"), &instance()),
            Ok(Changes::default()),
            "no minor version is asked for"
        );
    }
}
