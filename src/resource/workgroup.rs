//! An Athena workgroup: where the results of queries go, encrypted, and how much one query may read.
//!
//! What it sets is enforced: a client cannot send results elsewhere, or read more.

use aws_sdk_athena::types::{
    EncryptionConfiguration, EncryptionOption, EngineVersion, ResultConfiguration, ResultConfigurationUpdates, Tag,
    WorkGroup, WorkGroupConfiguration, WorkGroupConfigurationUpdates, WorkGroupState,
};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Bucket, Change, Cx, Desired, Field, Flaw, Identity, Outputs, Resource, Result, Scope, Tags, bucket, touched,
};
use crate::{
    address::{Name, NameRef},
    client::{self, Error},
    quantity::Size,
};

/// The engine that reads Delta tables natively.
const ENGINE: &str = "Athena engine version 3";
/// The least that Athena takes as a limit: `BytesScannedCutoffPerQuery` in its API reference.
const LEAST: u64 = 10_000_000;

/// A workgroup of Athena, engine version 3. Its settings hold whatever a client asks for.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workgroup {
    /// The bucket that takes the results of queries.
    pub bucket: NameRef<Bucket>,
    /// The folder within the bucket; give it a lifecycle rule. Default: `athena`.
    #[serde(default = "folder")]
    pub prefix: String,
    /// How much one query may read before it is cancelled; at least 10 MB. Default: `100GiB`.
    #[serde(default = "much")]
    pub scan_limit: Size,
    /// The ARN of the KMS key that encrypts results. Default: keys that S3 manages (AES-256).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Whether `CloudWatch` gets the figures of each query. Default: `true`.
    #[serde(default = "yes")]
    pub metrics: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A workgroup as Athena has it.
#[derive(Debug)]
pub struct LiveWorkgroup {
    group: WorkGroup,
    arn: String,
    tags: Tags,
}

fn folder() -> String {
    "athena".to_owned()
}

const fn much() -> Size {
    Size::gibibytes(100)
}

const fn yes() -> bool {
    true
}

impl Resource for Workgroup {
    const FIELDS: &'static [(&'static str, Field)] = &[("tags", Field::Defaulted)];
    const OUTPUTS: &'static [&'static str] = &["arn", "name", "results"];
    type Live = LiveWorkgroup;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if self.scan_limit.as_bytes() < LEAST {
            let flaw = Flaw::new("/scan_limit", format!("Athena takes no limit of {}", self.scan_limit));
            flaws.push(flaw.help("write `10MiB` or more"));
        }
        if self.prefix.split('/').any(str::is_empty) {
            let flaw = Flaw::new("/prefix", format!("`{}` is no folder", self.prefix));
            flaws.push(flaw.help("write it without slashes at its ends, such as `athena`"));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        if (1..=128).contains(&physical.len()) && physical.chars().all(fits) {
            return Vec::new();
        }
        vec![Flaw::new("", format!("`{physical}` is no name for a workgroup")).help("Athena allows 128 characters")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let desired = Desired::of(self).without("bucket").without("prefix").tagged(cx);
        Ok(desired
            .with("results", self.results(cx))
            .with("enforced", true)
            .with("enabled", true)
            .with("engine", ENGINE))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveWorkgroup>>> {
        Ok(try_join_all(names.iter().map(|it| find(cx, &it.physical))).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.athena().list_work_groups().into_paginator().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("athena", "ListWorkGroups"))?;
        let names = listed.iter().flat_map(|it| it.work_groups()).filter_map(|it| it.name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveWorkgroup) -> Value {
        let settings = live.group.configuration();
        let results = settings.and_then(|it| it.result_configuration());
        let encryption = results.and_then(|it| it.encryption_configuration());
        let limit = settings.and_then(|it| it.bytes_scanned_cutoff_per_query()).and_then(|it| u64::try_from(it).ok());
        json!({
            "results": results.and_then(|it| it.output_location()),
            "scan_limit": limit.map(Size::bytes),
            // No encryption at all is told from keys that S3 manages.
            "kms_key": match encryption {
                Some(it) => it.kms_key().map(str::to_owned),
                None => Some("none".to_owned()),
            },
            "metrics": settings.and_then(|it| it.publish_cloud_watch_metrics_enabled()).unwrap_or_default(),
            "description": live.group.description().filter(|it| !it.is_empty()),
            "enforced": settings.and_then(|it| it.enforce_work_group_configuration()).unwrap_or_default(),
            "enabled": live.group.state() != Some(&WorkGroupState::Disabled),
            "engine": settings.and_then(|it| it.engine_version()).and_then(|it| it.selected_engine_version()),
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveWorkgroup) -> Identity {
        Identity { id: Some(live.arn.clone()), ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveWorkgroup) -> Outputs {
        let results = live.group.configuration().and_then(|it| it.result_configuration());
        let results = results.and_then(|it| it.output_location()).unwrap_or_default().to_owned();
        Outputs::from([("arn", live.arn.clone()), ("name", live.group.name().to_owned()), ("results", results)])
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let results = ResultConfiguration::builder()
            .output_location(self.results(cx))
            .encryption_configuration(self.encryption()?)
            .build();
        let settings = WorkGroupConfiguration::builder()
            .result_configuration(results)
            .enforce_work_group_configuration(true)
            .publish_cloud_watch_metrics_enabled(self.metrics)
            .bytes_scanned_cutoff_per_query(self.limit())
            .engine_version(EngineVersion::builder().selected_engine_version(ENGINE).build());
        let request = cx.aws.athena().create_work_group().name(&name.physical).configuration(settings.build());
        let request = request.set_description(self.description.clone()).set_tags(Some(tags(cx.tags(&name.owner))));
        request.send().await.map_err(Error::aws("athena", "CreateWorkGroup"))?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveWorkgroup, changes: &[Change]) -> Result<()> {
        let mut touched = touched(changes);
        if touched.remove("tags") {
            let now = live.tags.after(cx, name, changes);
            let request = cx.aws.athena().tag_resource().resource_arn(&live.arn).set_tags(Some(tags(now)));
            request.send().await.map_err(Error::aws("athena", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = cx.aws.athena().untag_resource().resource_arn(&live.arn).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("athena", "UntagResource"))?;
            }
        }
        if touched.is_empty() {
            return Ok(());
        }
        let results = ResultConfigurationUpdates::builder()
            .output_location(self.results(cx))
            .encryption_configuration(self.encryption()?)
            .build();
        let settings = WorkGroupConfigurationUpdates::builder()
            .result_configuration_updates(results)
            .enforce_work_group_configuration(true)
            .publish_cloud_watch_metrics_enabled(self.metrics)
            .bytes_scanned_cutoff_per_query(self.limit())
            .engine_version(EngineVersion::builder().selected_engine_version(ENGINE).build());
        let request = cx.aws.athena().update_work_group().work_group(&name.physical);
        let request = request.configuration_updates(settings.build()).state(WorkGroupState::Enabled);
        // An empty text takes the old one away; none would leave it.
        let request = request.description(self.description.clone().unwrap_or_default());
        request.send().await.map_err(Error::aws("athena", "UpdateWorkGroup"))?;
        Ok(())
    }

    /// Deletes it with its saved queries and history. Results in the bucket stay.
    async fn delete(cx: &Cx, name: &Name, _live: &LiveWorkgroup) -> Result<()> {
        let request = cx.aws.athena().delete_work_group().work_group(&name.physical).recursive_delete_option(true);
        let sent = request.send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("athena", "DeleteWorkGroup")))?)
    }
}

impl Workgroup {
    fn results(&self, cx: &Cx) -> String {
        format!("s3://{}/{}/", bucket::name_in(&cx.scope, &self.bucket.0.name), self.prefix)
    }

    fn limit(&self) -> i64 {
        i64::try_from(self.scan_limit.as_bytes()).unwrap_or(i64::MAX)
    }

    fn encryption(&self) -> client::Result<EncryptionConfiguration> {
        let option = if self.kms_key.is_some() { EncryptionOption::SseKms } else { EncryptionOption::SseS3 };
        let built = EncryptionConfiguration::builder().encryption_option(option).set_kms_key(self.kms_key.clone());
        let wrong = |err: aws_sdk_athena::error::BuildError| {
            Error::new("athena", "CreateWorkGroup", client::Reason::Invalid, err.to_string())
        };
        built.build().map_err(wrong)
    }
}

fn tags(tags: impl IntoIterator<Item = (String, String)>) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

async fn find(cx: &Cx, physical: &str) -> client::Result<Option<LiveWorkgroup>> {
    let Scope { account, region, .. } = &cx.scope;
    let arn = format!("arn:{}:athena:{region}:{account}:workgroup/{physical}", cx.scope.partition());
    let sent = cx.aws.athena().get_work_group().work_group(physical).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("athena", "GetWorkGroup")))?;
    let Some(group) = found.and_then(|it| it.work_group) else { return Ok(None) };
    let pages = cx.aws.athena().list_tags_for_resource().resource_arn(&arn).into_paginator().items().send();
    let tagged: client::Result<Vec<Tag>> =
        pages.try_collect().await.map_err(Error::aws("athena", "ListTagsForResource"));
    let tagged = Error::missing_is_none(tagged)?.unwrap_or_default();
    let tags = tagged.into_iter().filter_map(|it| Some((it.key?, it.value.unwrap_or_default()))).collect();
    Ok(Some(LiveWorkgroup { group, arn, tags }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(spec: Value) -> Workgroup {
        serde_json::from_value(spec).expect("a spec")
    }

    #[test]
    fn limits_and_folders_that_athena_refuses() {
        assert_eq!(spec(json!({ "bucket": "lake" })).check(), []);
        let flaws = spec(json!({ "bucket": "lake", "scan_limit": "9MiB", "prefix": "a/" })).check();
        assert_eq!(flaws.iter().map(|it| it.at.as_str()).collect::<Vec<_>>(), ["/scan_limit", "/prefix"]);
    }

    #[test]
    fn what_is_not_enforced_or_encrypted_shows() {
        let group = |settings| LiveWorkgroup {
            group: WorkGroup::builder().name("g").configuration(settings).build().expect("a workgroup"),
            arn: "arn".into(),
            tags: Tags::default(),
        };
        let results = ResultConfiguration::builder().output_location("s3://b/athena/");
        let settings = WorkGroupConfiguration::builder().bytes_scanned_cutoff_per_query(10_485_760);
        let open = group(settings.clone().result_configuration(results.clone().build()).build());
        let observed = Workgroup::observed(&open);
        assert_eq!((&observed["enforced"], &observed["kms_key"]), (&json!(false), &json!("none")));
        assert_eq!(observed["scan_limit"], "10MiB");
        let encryption = spec(json!({ "bucket": "lake" })).encryption().expect("by S3");
        let results = results.encryption_configuration(encryption).build();
        let closed = group(settings.enforce_work_group_configuration(true).result_configuration(results).build());
        let observed = Workgroup::observed(&closed);
        assert_eq!((&observed["enforced"], &observed["kms_key"]), (&json!(true), &Value::Null));
        assert_eq!(Workgroup::outputs(&closed)["results"], "s3://b/athena/");
    }
}
