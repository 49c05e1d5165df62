//! Settings of PostgreSQL in RDS: a parameter group, which databases name. Knows no parameter but the one that demands TLS.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{self, ApplyMethod, DbParameterGroup, Parameter};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Field, Flaw, Identity, Objection, Outputs, Resource, Result, Tags, database::is_rds_name,
    touched,
};
use crate::{
    address::Name,
    client::{self, Error},
};

/// The parameter that refuses connections without TLS.
const FORCE_TLS: &str = "rds.force_ssl";
/// The most parameters that one request may change.
const BATCH: usize = 20;

/// Settings of PostgreSQL for the databases that name it. Connections without TLS are refused unless it says otherwise.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterGroup {
    /// The major version of PostgreSQL that it is for, such as `17`. Cannot be changed: for another version, define a second
    /// group.
    pub engine_version: String,
    /// Parameters and their values, in the units that PostgreSQL documents, such as `log_min_duration_statement: "500"`. What
    /// is left out has RDS's default. Some count only once the instance was restarted, which RDS does in the maintenance
    /// window of an upgrade, or somebody by hand. Default: none, but `rds.force_ssl: "1"`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// A parameter group as RDS has it.
#[derive(Debug)]
pub struct LiveParameterGroup {
    group: DbParameterGroup,
    /// What was set, RDS's defaults left out.
    parameters: BTreeMap<String, String>,
    tags: Tags,
}

impl Resource for ParameterGroup {
    const FIELDS: &'static [(&'static str, Field)] = &[("tags", Field::Defaulted)];
    const OUTPUTS: &'static [&'static str] = &["arn", "name"];
    type Live = LiveParameterGroup;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if self.engine_version.is_empty() || !self.engine_version.chars().all(|it| it.is_ascii_digit()) {
            let flaw = Flaw::new("/engine_version", format!("`{}` is no major version", self.engine_version));
            flaws.push(flaw.help("write it like \"17\", in quotes"));
        }
        for (name, value) in &self.parameters {
            let at = format!("/parameters/{name}");
            let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "._".contains(it);
            if name.is_empty() || !name.chars().all(fits) {
                flaws.push(Flaw::new(at, format!("`{name}` is no parameter of PostgreSQL")));
            } else if value.is_empty() {
                flaws.push(Flaw::new(at, format!("`{name}` has no value")).help("leave it out for RDS's default"));
            }
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        if is_rds_name(physical, 255) {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for a parameter group"));
        vec![flaw.help("small letters, digits and single hyphens, beginning with a letter")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        Ok(Desired::of(self).tagged(cx).with("parameters", json!(self.wanted())))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveParameterGroup>>> {
        Ok(try_join_all(names.iter().map(|it| get(cx, &it.physical))).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.rds().describe_db_parameter_groups().into_paginator().items().send();
        let listed: Vec<DbParameterGroup> =
            listed.try_collect().await.map_err(Error::aws("rds", "DescribeDBParameterGroups"))?;
        let names = listed.iter().filter_map(|it| it.db_parameter_group_name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveParameterGroup) -> Value {
        json!({
            "engine_version": live.group.db_parameter_group_family().and_then(|it| it.strip_prefix("postgres")),
            "parameters": live.parameters,
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveParameterGroup) -> Identity {
        let id = live.group.db_parameter_group_arn().map(str::to_owned);
        Identity { id, ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveParameterGroup) -> Outputs {
        let parts = [("arn", live.group.db_parameter_group_arn()), ("name", live.group.db_parameter_group_name())];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?.to_owned()))).collect()
    }

    fn objections(&self, _cx: &Cx, _live: &LiveParameterGroup, changes: &[Change]) -> Vec<Objection> {
        let object = |it: &Change| Objection {
            field: it.field.clone(),
            reason: "a parameter group is for one major version of PostgreSQL".into(),
            help: "put it back, define a second group for the other version, and let the database name that one".into(),
        };
        changes.iter().filter(|it| it.is("engine_version")).map(object).collect()
    }

    /// Leaves the parameters to the first update: creation takes none.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let tag = |(key, value)| types::Tag::builder().key(key).value(value).build();
        let request = cx.aws.rds().create_db_parameter_group().db_parameter_group_name(&name.physical);
        let request = request
            .db_parameter_group_family(format!("postgres{}", self.engine_version))
            .description(format!("Settings of the stack {}", name.owner.stack))
            .set_tags(Some(cx.tags(&name.owner).into_iter().map(tag).collect()));
        request.send().await.map_err(Error::aws("rds", "CreateDBParameterGroup"))?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveParameterGroup, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        let rds = cx.aws.rds();
        if let Some(arn) = live.group.db_parameter_group_arn()
            && touched.contains("tags")
        {
            let tag = |(key, value)| types::Tag::builder().key(key).value(value).build();
            let tags = live.tags.after(cx, name, changes).into_iter().map(tag).collect();
            let request = rds.add_tags_to_resource().resource_name(arn).set_tags(Some(tags));
            request.send().await.map_err(Error::aws("rds", "AddTagsToResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = rds.remove_tags_from_resource().resource_name(arn).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("rds", "RemoveTagsFromResource"))?;
            }
        }
        if !touched.contains("parameters") {
            return Ok(());
        }
        let wanted = self.wanted();
        let new: BTreeMap<_, _> = wanted.iter().filter(|(key, it)| live.parameters.get(*key) != Some(it)).collect();
        let gone: Vec<&String> = live.parameters.keys().filter(|it| !wanted.contains_key(*it)).collect();
        let known = known(cx, &name.physical).await?;
        let parameter = |key: &str| Parameter::builder().parameter_name(key).apply_method(method(&known, key));
        let new: Vec<_> = new.into_iter().map(|(key, it)| parameter(key).parameter_value(it).build()).collect();
        let gone: Vec<_> = gone.into_iter().map(|key| parameter(key).build()).collect();
        for some in new.chunks(BATCH) {
            let request = rds.modify_db_parameter_group().db_parameter_group_name(&name.physical);
            let sent = request.set_parameters(Some(some.to_vec())).send().await;
            sent.map_err(Error::aws("rds", "ModifyDBParameterGroup"))?;
        }
        for some in gone.chunks(BATCH) {
            let request = rds.reset_db_parameter_group().db_parameter_group_name(&name.physical);
            let sent = request.set_parameters(Some(some.to_vec())).send().await;
            sent.map_err(Error::aws("rds", "ResetDBParameterGroup"))?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, _live: &LiveParameterGroup) -> Result<()> {
        let sent = cx.aws.rds().delete_db_parameter_group().db_parameter_group_name(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("rds", "DeleteDBParameterGroup")))?)
    }
}

impl ParameterGroup {
    /// Returns all parameters that are to be set.
    fn wanted(&self) -> BTreeMap<String, String> {
        let safe = [(FORCE_TLS.to_owned(), "1".to_owned())];
        safe.into_iter().chain(self.parameters.clone()).collect()
    }
}

async fn get(cx: &Cx, physical: &str) -> client::Result<Option<LiveParameterGroup>> {
    let rds = cx.aws.rds();
    let sent = rds.describe_db_parameter_groups().db_parameter_group_name(physical).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("rds", "DescribeDBParameterGroups")))?;
    let Some(group) = found.and_then(|it| it.db_parameter_groups().first().cloned()) else { return Ok(None) };
    let own = rds.describe_db_parameters().db_parameter_group_name(physical).source("user");
    let own = async {
        let listed: Result<Vec<Parameter>, _> = own.into_paginator().items().send().try_collect().await;
        listed.map_err(Error::aws("rds", "DescribeDBParameters"))
    };
    let tags = async {
        let request = rds.list_tags_for_resource().resource_name(group.db_parameter_group_arn().unwrap_or_default());
        request.send().await.map_err(Error::aws("rds", "ListTagsForResource"))
    };
    let both = Error::missing_is_none(futures::try_join!(own, tags))?;
    Ok(both.map(|(own, tags)| LiveParameterGroup {
        parameters: own.into_iter().filter_map(|it| Some((it.parameter_name?, it.parameter_value?))).collect(),
        tags: tags.tag_list().iter().filter_map(|it| Some((it.key()?, it.value()?))).collect(),
        group,
    }))
}

/// Returns how each parameter that there is takes effect: `dynamic`, or `static`.
async fn known(cx: &Cx, physical: &str) -> client::Result<BTreeMap<String, String>> {
    let all = cx.aws.rds().describe_db_parameters().db_parameter_group_name(physical).into_paginator().items().send();
    let all: Vec<Parameter> = all.try_collect().await.map_err(Error::aws("rds", "DescribeDBParameters"))?;
    Ok(all.into_iter().filter_map(|it| Some((it.parameter_name?, it.apply_type?))).collect())
}

/// When a parameter shall count: at once where PostgreSQL can, else once the instance was restarted.
fn method(known: &BTreeMap<String, String>, parameter: &str) -> ApplyMethod {
    match known.get(parameter).map(String::as_str) {
        Some("dynamic") => ApplyMethod::Immediate,
        _ => ApplyMethod::PendingReboot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> ParameterGroup {
        serde_json::from_value(value).expect("a spec")
    }

    #[test]
    fn tls_is_demanded_unless_said_otherwise() {
        assert_eq!(spec(json!({ "engine_version": "17" })).wanted()[FORCE_TLS], "1");
        let open = spec(json!({ "engine_version": "17", "parameters": { "rds.force_ssl": "0" } }));
        assert_eq!(open.wanted()[FORCE_TLS], "0");
    }

    #[test]
    fn only_what_can_take_effect_at_once_is_asked_to() {
        let known =
            BTreeMap::from([("work_mem".into(), "dynamic".into()), ("max_connections".into(), "static".into())]);
        assert_eq!(method(&known, "work_mem"), ApplyMethod::Immediate);
        assert_eq!(method(&known, "max_connections"), ApplyMethod::PendingReboot);
        assert_eq!(method(&known, "unheard_of"), ApplyMethod::PendingReboot, "RDS says what is wrong with it");
    }

    #[test]
    fn flaws() {
        let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
        assert_eq!(at(json!({ "engine_version": "17.4" })), ["/engine_version"]);
        let parameters = json!({ "work_mem": "", "Work Mem": "1" });
        assert_eq!(at(json!({ "engine_version": "17", "parameters": parameters })).len(), 2);
        assert_eq!(ParameterGroup::check_name("s-shop"), []);
        assert_eq!(ParameterGroup::check_name("s--shop").len(), 1);
    }
}
