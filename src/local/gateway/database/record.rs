//! What is remembered of a database instance, and how RDS shows it. Pure. Never a password.
//!
//! Shapes: the RDS API reference, as aws-sdk-rds reads it.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

use super::xml::Xml;

/// All instances and snapshots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Databases {
    /// By region and identifier, as `region/identifier`.
    pub(super) instances: BTreeMap<String, Instance>,
    /// By region and identifier, as `region/identifier`.
    #[serde(default)]
    pub(super) snapshots: BTreeMap<String, Snapshot>,
}

/// One instance: a database and a role of the one PostgreSQL.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// The identifier, in small letters.
    pub(super) id: String,
    /// The ARN.
    pub(super) arn: String,
    /// The identifier that is never used twice.
    pub(super) resource_id: String,
    /// When it was asked for, as an ISO date.
    pub(super) created: String,
    /// How far along it is.
    pub(super) status: Status,
    /// The role.
    pub(super) user: String,
    /// The database; `None` where none was asked for.
    pub(super) database: Option<String>,
    /// The secret that holds the password, where RDS looks after it.
    pub(super) secret: Option<Secret>,
    /// What is shown as it is, by the name it is shown under.
    pub(super) fields: BTreeMap<String, String>,
    /// What will be shown once it is applied, likewise.
    pub(super) pending: BTreeMap<String, String>,
    /// The security groups.
    pub(super) security_groups: Vec<String>,
    /// The logs that are exported.
    pub(super) log_exports: Vec<String>,
    /// The subnet group.
    pub(super) subnet_group: Option<String>,
    /// The parameter group.
    pub(super) parameter_group: String,
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
    /// The snapshot to be made before it goes.
    #[serde(default)]
    pub(super) last_snapshot: Option<String>,
}

/// How far along an instance is, in RDS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Asked for, and not usable yet.
    Creating,
    /// Usable.
    Available,
    /// Usable, with a change under way.
    Modifying,
    /// On its way out.
    Deleting,
}

impl Status {
    /// Returns RDS's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::Modifying => "modifying",
            Self::Deleting => "deleting",
        }
    }
}

/// The secret of an instance whose password RDS looks after.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Secret {
    /// The ARN; empty until it is made.
    pub(super) arn: String,
    /// The key it is encrypted with.
    pub(super) key: String,
}

/// What remains of a deleted instance: its database under another name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// The identifier.
    pub(super) id: String,
    /// The ARN.
    pub(super) arn: String,
    /// The instance's identifier.
    pub(super) instance: String,
    /// When it was made, as an ISO date.
    pub(super) created: String,
    /// The role's name.
    pub(super) user: String,
    /// The database's name now; `None` where the instance had none.
    pub(super) database: Option<String>,
    /// What the instance showed.
    pub(super) fields: BTreeMap<String, String>,
    /// The instance's tags.
    pub(super) tags: BTreeMap<String, String>,
}

impl Instance {
    /// Returns a shown field; empty where there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Returns a shown number.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.field(name).parse().unwrap_or(0)
    }

    /// Shows it, with the endpoint under which it is reached.
    pub(super) fn show(&self, xml: &mut Xml<'_>, endpoint: (&str, u16)) -> io::Result<()> {
        xml.nest("DBInstance", |it| self.show_inside(it, endpoint))
    }

    fn show_inside(&self, xml: &mut Xml<'_>, (host, port): (&str, u16)) -> io::Result<()> {
        xml.text("DBInstanceIdentifier", &self.id)?;
        xml.text("DBInstanceArn", &self.arn)?;
        xml.text("DbiResourceId", &self.resource_id)?;
        xml.text("InstanceCreateTime", &self.created)?;
        xml.text("DBInstanceStatus", self.status.word())?;
        xml.text("Engine", "postgres")?;
        xml.text("MasterUsername", &self.user)?;
        xml.text("DbInstancePort", 0)?;
        if let Some(it) = &self.database {
            xml.text("DBName", it)?;
        }
        // As at RDS, there is no endpoint before there is a server.
        if self.status != Status::Creating {
            xml.nest("Endpoint", |it| {
                it.text("Address", host)?;
                it.text("Port", port)
            })?;
        }
        for (name, value) in &self.fields {
            xml.text(name, value)?;
        }
        xml.nest("PendingModifiedValues", |it| self.pending.iter().try_for_each(|(name, value)| it.text(name, value)))?;
        xml.nest("VpcSecurityGroups", |it| {
            self.security_groups.iter().try_for_each(|group| {
                it.nest("VpcSecurityGroupMembership", |it| {
                    it.text("VpcSecurityGroupId", group)?;
                    it.text("Status", "active")
                })
            })
        })?;
        xml.nest("DBParameterGroups", |it| {
            it.nest("DBParameterGroup", |it| {
                it.text("DBParameterGroupName", &self.parameter_group)?;
                it.text("ParameterApplyStatus", "in-sync")
            })
        })?;
        if let Some(name) = &self.subnet_group {
            xml.nest("DBSubnetGroup", |it| it.text("DBSubnetGroupName", name))?;
        }
        xml.nest("EnabledCloudwatchLogsExports", |it| {
            self.log_exports.iter().try_for_each(|name| it.text("member", name))
        })?;
        if let Some(secret) = self.secret.as_ref().filter(|it| !it.arn.is_empty()) {
            xml.nest("MasterUserSecret", |it| {
                it.text("SecretArn", &secret.arn)?;
                it.text("SecretStatus", if self.status == Status::Creating { "creating" } else { "active" })?;
                it.text("KmsKeyId", &secret.key)
            })?;
        }
        show_tags(xml, &self.tags)
    }
}

impl Snapshot {
    /// Shows it.
    pub(super) fn show(&self, xml: &mut Xml<'_>) -> io::Result<()> {
        xml.nest("DBSnapshot", |it| {
            it.text("DBSnapshotIdentifier", &self.id)?;
            it.text("DBSnapshotArn", &self.arn)?;
            it.text("DBInstanceIdentifier", &self.instance)?;
            it.text("SnapshotCreateTime", &self.created)?;
            it.text("Engine", "postgres")?;
            it.text("Status", "available")?;
            it.text("SnapshotType", "manual")?;
            it.text("PercentProgress", 100)?;
            it.text("MasterUsername", &self.user)?;
            for name in ["AllocatedStorage", "EngineVersion", "StorageType"] {
                it.text(name, self.fields.get(name).map_or("", String::as_str))?;
            }
            let encrypted = self.fields.get("StorageEncrypted").is_some_and(|it| it == "true");
            it.text("Encrypted", encrypted)?;
            show_tags(it, &self.tags)
        })
    }
}

/// Shows tags.
pub(super) fn show_tags(xml: &mut Xml<'_>, tags: &BTreeMap<String, String>) -> io::Result<()> {
    xml.nest("TagList", |it| {
        tags.iter().try_for_each(|(key, value)| {
            it.nest("Tag", |it| {
                it.text("Key", key)?;
                it.text("Value", value)
            })
        })
    })
}
