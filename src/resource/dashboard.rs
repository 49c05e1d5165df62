//! A dashboard in CloudWatch, rendered from a template. The shop's own numbers are elsewhere: `ecomctl dashboard` shows them.

use aws_sdk_cloudwatch::{operation::get_dashboard::GetDashboardOutput, types::Tag};
use futures::future::{try_join, try_join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Resource, Result, Scope, Tags, facts,
    touched,
};
use crate::{
    address::{AnyRef, Name},
    client::{self, Error},
};

mod body;

/// A dashboard of CloudWatch.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// The template below `templates/` that renders to the dashboard's body, such as `cloudwatch/pipeline.json`.
    pub template: String,
    /// The resources that the template shows, as `{{ <kind>.<name>.… }}` and, in this order, as the
    /// lists `each.<kind>`.
    #[serde(default)]
    pub uses: Vec<AnyRef>,
}

/// A dashboard as CloudWatch has it.
#[derive(Debug)]
pub struct LiveDashboard {
    name: String,
    arn: String,
    body: Value,
    tags: Tags,
}

impl Resource for Dashboard {
    const FIELDS: &'static [(&'static str, Field)] =
        &[("template", Field::WriteOnly), ("uses", Field::WriteOnly), ("tags", Field::Defaulted)];
    const OVERWRITES: bool = true;
    const OUTPUTS: &'static [&'static str] = &["arn", "name"];
    type Live = LiveDashboard;

    fn check_name(physical: &str) -> Vec<Flaw> {
        match physical.len() {
            256.. => vec![Flaw::new("", "CloudWatch allows 255 characters for the name of a dashboard")],
            _ => Vec::new(),
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        Desired { spec: json!({}), ..Desired::default() }.tagged(cx).with_result("body", self.body(cx))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveDashboard>>> {
        Ok(try_join_all(names.iter().map(|it| find(cx, &it.physical))).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.cloudwatch().list_dashboards().dashboard_name_prefix(cx.scope.physical(""));
        let listed = listed.into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("cloudwatch", "ListDashboards"))?;
        let names = listed.iter().filter_map(|it| it.dashboard_name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveDashboard) -> Value {
        json!({ "body": live.body, "tags": live.tags.observed() })
    }

    fn identity(live: &LiveDashboard) -> Identity {
        Identity { id: Some(live.arn.clone()), ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveDashboard) -> Outputs {
        Outputs::from([("arn", live.arn.clone()), ("name", live.name.clone())])
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let request = cx.aws.cloudwatch().put_dashboard().dashboard_name(&name.physical);
        let request = request.dashboard_body(self.body(cx)?.to_string()).set_tags(Some(tags(cx.tags(&name.owner))));
        request.send().await.map_err(Error::aws("cloudwatch", "PutDashboard"))?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveDashboard, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        if touched.contains("body") {
            let request = cx.aws.cloudwatch().put_dashboard().dashboard_name(&name.physical);
            let sent = request.dashboard_body(self.body(cx)?.to_string()).send().await;
            sent.map_err(Error::aws("cloudwatch", "PutDashboard"))?;
        }
        if touched.contains("tags") {
            let now = tags(live.tags.after(cx, name, changes));
            let request = cx.aws.cloudwatch().tag_resource().resource_arn(&live.arn).set_tags(Some(now));
            request.send().await.map_err(Error::aws("cloudwatch", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = cx.aws.cloudwatch().untag_resource().resource_arn(&live.arn).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("cloudwatch", "UntagResource"))?;
            }
        }
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, _live: &LiveDashboard) -> Result<()> {
        let sent = cx.aws.cloudwatch().delete_dashboards().dashboard_names(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("cloudwatch", "DeleteDashboards")))?)
    }
}

impl Dashboard {
    /// Renders the template, and refuses what CloudWatch would not show.
    fn body(&self, cx: &Cx) -> Result<Value> {
        let unusable =
            |why: String| KindError::Unusable(format!("the template {} is no dashboard: {why}", self.template));
        let mut variables = facts::all(cx, &self.uses)?;
        for (key, value) in [("stack", &cx.scope.stack), ("account", &cx.scope.account), ("region", &cx.scope.region)] {
            variables[key] = json!(value);
        }
        let text = cx.templates.render(self.template.as_ref(), &variables)?;
        let body: Value =
            serde_json::from_str(&text).map_err(|err| unusable(format!("it does not render to JSON: {err}")))?;
        let mistakes = body::mistakes(&body);
        match mistakes.is_empty() {
            true => Ok(body),
            false => Err(unusable(mistakes.join("; "))),
        }
    }
}

fn tags(tags: impl IntoIterator<Item = (String, String)>) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

async fn find(cx: &Cx, name: &str) -> client::Result<Option<LiveDashboard>> {
    let Scope { account, .. } = &cx.scope;
    let arn = format!("arn:{}:cloudwatch::{account}:dashboard/{name}", cx.scope.partition());
    let (request, asked) = (cx.aws.cloudwatch().get_dashboard(), cx.aws.cloudwatch().list_tags_for_resource());
    let body = async {
        let sent = request.dashboard_name(name).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("cloudwatch", "GetDashboard")))
    };
    let tagged = async {
        let sent = asked.resource_arn(&arn).send().await;
        Error::missing_is_none(sent.map_err(Error::aws("cloudwatch", "ListTagsForResource")))
    };
    let (found, tagged) = try_join(body, tagged).await?;
    let Some(GetDashboardOutput { dashboard_body, .. }) = found else { return Ok(None) };
    let body = serde_json::from_str(dashboard_body.as_deref().unwrap_or_default()).unwrap_or_default();
    let pair = |it: Tag| Some((it.key?, it.value.unwrap_or_default()));
    let tags = tagged.and_then(|it| it.tags).unwrap_or_default().into_iter().filter_map(pair).collect();
    Ok(Some(LiveDashboard { name: name.to_owned(), arn: arn.clone(), body, tags }))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::{
        address::Address,
        resource::{KINDS, kind, testing},
    };

    const TEMPLATE: &str = r#"{ "widgets": [{ "type": "metric", "properties": { "region": "{{ region }}", "metrics": [
        ["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", "{{ database.shop_one.physical }}"]
    ] } }] }"#;

    fn cx(template: &str) -> (Cx, tempfile::TempDir) {
        let (mut cx, root) = testing::cx_with(&[("cloudwatch/x.json", template)]);
        let spec = json!({ "engine_version": "17", "instance_class": "db.m7g.large", "name": "shop" });
        let spec = kind(KINDS, "database").expect("a kind").parse(spec).expect("a spec");
        cx.specs = Arc::new(BTreeMap::from([(Address::new("database", "shop-one"), spec)]));
        (cx, root)
    }

    fn spec() -> Dashboard {
        serde_json::from_value(json!({ "template": "cloudwatch/x.json", "uses": ["database.shop-one"] }))
            .expect("a spec")
    }

    #[test]
    fn bodies_are_compared_by_meaning() {
        let (cx, _root) = cx(TEMPLATE);
        let wanted = spec().desired(&cx).expect("wanted").spec;
        let body = r#"{"widgets":[{"properties":{"metrics":[["AWS/RDS","CPUUtilization","DBInstanceIdentifier","s-shop-one"]],
            "region":"us-east-1"},"type":"metric"}]}"#;
        let body = serde_json::from_str(body).expect("JSON");
        let live = LiveDashboard { name: "s-shop".into(), arn: "a".into(), body, tags: Tags::default() };
        assert_eq!(Dashboard::observed(&live), wanted);
    }

    /// Loops over maps have no order, and a body that differs at each rendering would never be as wanted.
    #[test]
    fn lists_are_in_the_order_of_the_file() {
        let template = r#"{ "widgets": [{% for it in each.database %}
            { "type": "text", "properties": { "markdown": "{{ it.name }}" } }{% if not loop.last %},{% endif %}
        {% endfor %}] }"#;
        let (mut cx, _root) = cx(template);
        let spec = cx.specs.values().next().cloned().expect("a database");
        let names = ["m", "c", "z", "a", "k", "b", "y", "d"];
        cx.specs = Arc::new(names.iter().map(|it| (Address::new("database", *it), spec.clone())).collect());
        let uses: Vec<String> = names.iter().map(|it| format!("database.{it}")).collect();
        let dashboard: Dashboard =
            serde_json::from_value(json!({ "template": "cloudwatch/x.json", "uses": uses })).expect("a spec");
        let body = dashboard.body(&cx).expect("a body");
        let shown: Vec<_> = (0..names.len()).map(|it| &body["widgets"][it]["properties"]["markdown"]).collect();
        assert_eq!(shown, names);
    }

    #[test]
    fn what_cloudwatch_would_not_show_is_refused() {
        let told = |template: &str| {
            let (cx, _root) = cx(template);
            spec().desired(&cx).expect_err("refused").to_string()
        };
        let err = told(&TEMPLATE.replace("CPUUtilization", "Deadlocks"));
        assert!(
            err.starts_with("the template cloudwatch/x.json is no dashboard: widgets[0]: metrics[0]: nothing emits"),
            "{err}"
        );
        assert!(told("{").contains("does not render to JSON"));
    }
}
