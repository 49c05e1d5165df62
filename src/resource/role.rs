//! An IAM role that one AWS service assumes, with its permissions rendered from templates.

use std::collections::BTreeMap;

use aws_sdk_iam::types;
use futures::future::{try_join_all, try_join3};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Resource, Result, Tags,
    policy::{normal, trust},
    touched,
};
use crate::{
    address::{AnyRef, Name},
    client::{self, Error},
};

/// An IAM role. It may do what its policies say, and nothing else.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The AWS service that assumes the role. Default: `lambda.amazonaws.com`.
    #[serde(default = "lambda")]
    pub service: String,
    /// Inline policies, by name.
    #[serde(default)]
    pub policies: BTreeMap<String, Policy>,
    /// ARNs of managed policies to attach. They often allow more than is needed: prefer `policies`.
    #[serde(default)]
    pub managed: Vec<String>,
    /// The ARN of the managed policy that bounds what the role may ever do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
}

/// One inline policy.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The template below `templates/` that renders to the policy document, such as `policies/logs.json`.
    pub template: String,
    /// The resources whose outputs the template may use, as `{{ <kind>.<name>.<output> }}`.
    #[serde(default)]
    pub uses: Vec<AnyRef>,
}

/// A role as IAM has it.
#[derive(Debug)]
pub struct LiveRole {
    role: types::Role,
    policies: BTreeMap<String, Value>,
    managed: Vec<String>,
    tags: Tags,
}

impl LiveRole {
    /// The ARN, which functions take.
    pub fn arn(&self) -> &str {
        self.role.arn()
    }
}

fn lambda() -> String {
    "lambda.amazonaws.com".into()
}

impl Resource for Role {
    /// Lambda takes a function's interfaces out of its network with the function's role, some time after the function is gone.
    const LEAVES_LAST: bool = true;
    const FIELDS: &'static [(&'static str, Field)] = &[("managed", Field::Unordered), ("tags", Field::Defaulted)];
    const OUTPUTS: &'static [&'static str] = &["arn", "name"];
    type Live = LiveRole;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if !self.service.contains('.') {
            let flaw = Flaw::new("/service", format!("`{}` is no service principal", self.service));
            flaws.push(flaw.help("it looks like `lambda.amazonaws.com`"));
        }
        for (i, arn) in self.managed.iter().enumerate().filter(|(_, it)| !it.starts_with("arn:")) {
            flaws.push(Flaw::new(format!("/managed/{i}"), format!("`{arn}` is no ARN of a policy")));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        match physical.len() {
            65.. => vec![Flaw::new("", format!("IAM allows 64 characters for a role, and `{physical}` is longer"))],
            _ => Vec::new(),
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let trust = normal(&trust(&self.service, &cx.scope.account));
        let policies = self.render(cx).map(|it| it.into_iter().collect::<Map<_, _>>());
        Desired::of(self).tagged(cx).without("service").with("trust", trust).with_result("policies", policies)
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveRole>>> {
        try_join_all(names.iter().map(|it| read_one(cx, &it.physical))).await
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.iam().list_roles().into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("iam", "ListRoles"))?;
        let names = listed.iter().map(|it| it.role_name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveRole) -> Value {
        let trust = live.role.assume_role_policy_document().and_then(|it| document(it).ok());
        json!({
            "trust": trust.map(|it| normal(&it)),
            "policies": live.policies,
            "managed": live.managed,
            "boundary": live.role.permissions_boundary().and_then(|it| it.permissions_boundary_arn()),
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveRole) -> Identity {
        Identity { id: Some(live.arn().to_owned()), ownership: live.tags.ownership() }
    }

    fn outputs(live: &LiveRole) -> Outputs {
        Outputs::from([("arn", live.arn().to_owned()), ("name", live.role.role_name().to_owned())])
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let policies = self.render(cx)?;
        let request = cx.aws.iam().create_role().role_name(&name.physical);
        let request = request.assume_role_policy_document(trust(&self.service, &cx.scope.account).to_string());
        let request =
            request.set_permissions_boundary(self.boundary.clone()).set_tags(Some(tags(cx.tags(&name.owner))?));
        request.send().await.map_err(Error::aws("iam", "CreateRole"))?;
        try_join_all(policies.iter().map(|(policy, document)| put(cx, name, policy, document))).await?;
        try_join_all(self.managed.iter().map(|it| attach(cx, name, it))).await?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveRole, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        let iam = cx.aws.iam();
        if touched.contains("trust") {
            let document = trust(&self.service, &cx.scope.account).to_string();
            let request = iam.update_assume_role_policy().role_name(&name.physical).policy_document(document);
            request.send().await.map_err(Error::aws("iam", "UpdateAssumeRolePolicy"))?;
        }
        if touched.contains("policies") {
            let wanted = self.render(cx)?;
            let differ = wanted.iter().filter(|(policy, document)| live.policies.get(*policy) != Some(*document));
            try_join_all(differ.map(|(policy, document)| put(cx, name, policy, document))).await?;
            let gone = live.policies.keys().filter(|it| !wanted.contains_key(*it));
            try_join_all(gone.map(|it| drop_policy(cx, name, it))).await?;
        }
        if touched.contains("managed") {
            let new = self.managed.iter().filter(|it| !live.managed.contains(it));
            try_join_all(new.map(|it| attach(cx, name, it))).await?;
            let gone = live.managed.iter().filter(|it| !self.managed.contains(it));
            try_join_all(gone.map(|it| detach(cx, name, it))).await?;
        }
        if touched.contains("boundary") {
            match &self.boundary {
                Some(arn) => {
                    let request = iam.put_role_permissions_boundary().role_name(&name.physical);
                    let sent = request.permissions_boundary(arn).send().await;
                    sent.map_err(Error::aws("iam", "PutRolePermissionsBoundary"))?;
                }
                None => {
                    let sent = iam.delete_role_permissions_boundary().role_name(&name.physical).send().await;
                    sent.map_err(Error::aws("iam", "DeleteRolePermissionsBoundary"))?;
                }
            }
        }
        if touched.contains("tags") {
            let wanted = tags(live.tags.after(cx, name, changes))?;
            let request = iam.tag_role().role_name(&name.physical).set_tags(Some(wanted));
            request.send().await.map_err(Error::aws("iam", "TagRole"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = iam.untag_role().role_name(&name.physical).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("iam", "UntagRole"))?;
            }
        }
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, live: &LiveRole) -> Result<()> {
        try_join_all(live.policies.keys().map(|it| drop_policy(cx, name, it))).await?;
        try_join_all(live.managed.iter().map(|it| detach(cx, name, it))).await?;
        let sent = cx.aws.iam().delete_role().role_name(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("iam", "DeleteRole")))?)
    }
}

impl Role {
    /// Renders the policies, in the form in which they compare.
    fn render(&self, cx: &Cx) -> Result<BTreeMap<String, Value>> {
        let render = |(name, policy): (&String, &Policy)| {
            let text = cx.render(&policy.template, &policy.uses)?;
            let document: Value = serde_json::from_str(&text).map_err(|err| {
                KindError::Unusable(format!("the template {} does not render to JSON: {err}", policy.template))
            })?;
            Ok((name.clone(), normal(&document)))
        };
        self.policies.iter().map(render).collect()
    }
}

async fn read_one(cx: &Cx, role: &str) -> Result<Option<LiveRole>> {
    let iam = cx.aws.iam();
    let found = try_join3(
        async { iam.get_role().role_name(role).send().await.map_err(Error::aws("iam", "GetRole")) },
        async {
            let pages = iam.list_role_policies().role_name(role).into_paginator().items().send();
            pages.try_collect().await.map_err(Error::aws("iam", "ListRolePolicies"))
        },
        async {
            let pages = iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
            pages.try_collect().await.map_err(Error::aws("iam", "ListAttachedRolePolicies"))
        },
    );
    let Some((found, policies, attached)) = Error::missing_is_none(found.await)? else { return Ok(None) };
    let Some(found) = found.role else { return Ok(None) };
    let policies = try_join_all(policies.iter().map(|it| inline(cx, role, it))).await?;
    Ok(Some(LiveRole {
        policies: policies.into_iter().flatten().collect(),
        managed: attached.into_iter().filter_map(|it| it.policy_arn).collect(),
        tags: found.tags().iter().map(|it| (it.key(), it.value())).collect(),
        role: found,
    }))
}

async fn inline(cx: &Cx, role: &str, policy: &str) -> Result<Option<(String, Value)>> {
    let sent = cx.aws.iam().get_role_policy().role_name(role).policy_name(policy).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("iam", "GetRolePolicy")))?;
    found.map(|it| Ok((policy.to_owned(), normal(&document(it.policy_document())?)))).transpose()
}

/// Reads a document as IAM hands it out: percent-encoded JSON.
fn document(text: &str) -> Result<Value> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    serde_json::from_str(&decoded)
        .map_err(|err| KindError::Unusable(format!("IAM returned a policy that is no JSON: {err}")))
}

async fn put(cx: &Cx, name: &Name, policy: &str, document: &Value) -> client::Result<()> {
    let request = cx.aws.iam().put_role_policy().role_name(&name.physical).policy_name(policy);
    let sent = request.policy_document(document.to_string()).send().await;
    sent.map(|_| ()).map_err(Error::aws("iam", "PutRolePolicy"))
}

async fn drop_policy(cx: &Cx, name: &Name, policy: &str) -> client::Result<()> {
    let sent = cx.aws.iam().delete_role_policy().role_name(&name.physical).policy_name(policy).send().await;
    Error::missing_is_done(sent.map_err(Error::aws("iam", "DeleteRolePolicy")))
}

async fn attach(cx: &Cx, name: &Name, arn: &str) -> client::Result<()> {
    let sent = cx.aws.iam().attach_role_policy().role_name(&name.physical).policy_arn(arn).send().await;
    sent.map(|_| ()).map_err(Error::aws("iam", "AttachRolePolicy"))
}

async fn detach(cx: &Cx, name: &Name, arn: &str) -> client::Result<()> {
    let sent = cx.aws.iam().detach_role_policy().role_name(&name.physical).policy_arn(arn).send().await;
    Error::missing_is_done(sent.map_err(Error::aws("iam", "DetachRolePolicy")))
}

fn tags(tags: BTreeMap<String, String>) -> Result<Vec<types::Tag>> {
    let tag = |(key, value)| types::Tag::builder().key(key).value(value).build();
    tags.into_iter().map(tag).collect::<Result<_, _>>().map_err(|err| KindError::Unusable(err.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        address::Address,
        resource::{Identity, Observation, Ownership, testing},
        template::Templates,
    };

    /// What IAM grants on everything only, as the service authorization reference says.
    const WITHOUT_RESOURCE: [&str; 5] = [
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "kafka:GetBootstrapBrokers",
    ];

    fn role(policies: Value) -> Role {
        serde_json::from_value(json!({ "policies": policies })).expect("a spec")
    }

    /// Returns a context with the project's own templates, in which these resources are ready.
    fn project(ready: &[(&str, &[(&'static str, &str)])]) -> Cx {
        let mut cx = testing::cx();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        cx.templates = Arc::new(Templates::new(root));
        for (address, outputs) in ready {
            let address: Address = address.parse().expect("an address");
            let observation = Observation {
                observed: Value::Null,
                identity: Identity { id: None, ownership: Ownership::Foreign },
                phase: crate::resource::Phase::Ready,
                outputs: outputs.iter().map(|(key, it)| (*key, (*it).to_owned())).collect(),
                live: Arc::new(()),
            };
            cx.lives.set(&address, Some(observation));
        }
        cx
    }

    #[test]
    fn the_policies_of_the_project_allow_what_they_name_and_no_more() {
        let topics = ["topic.orders", "topic.payments"];
        let cx = project(&[
            ("log_group.ingest", &[("arn", "arn:logs")]),
            ("database.shop", &[("secret_arn", "arn:secret"), ("secret_key_arn", "arn:key/password")]),
            ("cluster.events", &[("arn", "arn:aws:kafka:r:1:cluster/s-events/u")]),
            (topics[0], &[("arn", "arn:topic/orders")]),
            (topics[1], &[("arn", "arn:topic/payments")]),
            ("bucket.rejects", &[("arn", "arn:aws:s3:::rejects"), ("key_arn", "arn:key/rejects")]),
            ("catalog.gold", &[("arn", "arn:aws:glue:r:1:database/gold")]),
            ("function.watch", &[("arn", "arn:aws:lambda:r:1:function:s-watch")]),
            ("secret.databricks", &[("arn", "arn:token"), ("key_arn", "arn:key/token")]),
            ("notification.people", &[("arn", "arn:people"), ("key_arn", "arn:key/people")]),
            (
                "network.main",
                &[("functions_group", "sg-f"), ("brokers_group", "sg-b"), ("subnets", "subnet-1,subnet-2")],
            ),
        ]);
        let rendered = role(json!({
            "database": { "template": "policies/database.json", "uses": ["database.shop"] },
            "failures": { "template": "policies/failures.json", "uses": ["bucket.rejects"] },
            "invoke": { "template": "policies/invoke.json", "uses": ["function.watch"] },
            "logs": { "template": "policies/logs.json", "uses": ["log_group.ingest"] },
            "network": { "template": "policies/network.json", "uses": ["network.main"] },
            "publish": { "template": "policies/publish.json", "uses": ["notification.people"] },
            "remember": { "template": "policies/remember.json", "uses": ["bucket.rejects"] },
            "secret": { "template": "policies/secret.json", "uses": ["secret.databricks"] },
            "spectrum": { "template": "policies/spectrum.json", "uses": ["bucket.rejects", "catalog.gold"] },
            "stream": { "template": "policies/stream.json", "uses": ["cluster.events", topics[0], topics[1]] },
            "watch": { "template": "policies/watch.json", "uses": ["bucket.rejects"] },
        }));
        let rendered = rendered.render(&cx).expect("every template renders");
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/policies")).expect("a folder");
        // Four are for whoever deploys, and no role's; `tests/aws` looks at them.
        let deploy = ["deploy.json", "deploy-data.json", "deploy-network.json", "deploy-redshift.json"];
        let names = files.map(|it| it.expect("an entry").file_name()).filter(|it| !deploy.iter().any(|own| it == own));
        assert_eq!(rendered.len(), names.count(), "every policy is looked at");
        for (name, policy) in &rendered {
            let sids: Vec<_> =
                policy["Statement"].as_array().into_iter().flatten().map(|it| it["Sid"].as_str()).collect();
            let says = |it: &str| !it.is_empty() && it.chars().all(char::is_alphanumeric);
            assert!(
                sids.iter().all(|it| it.is_some_and(says)),
                "{name}: each statement says why it is there: {sids:?}"
            );
        }

        let mut seen = Vec::new();
        for statement in rendered.values().flat_map(|it| it["Statement"].as_array().into_iter().flatten()) {
            let texts = |key: &str| statement[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            for action in texts("Action") {
                assert!(!action.contains('*'), "{action}");
                assert!(
                    WITHOUT_RESOURCE.contains(&action) || texts("Resource").all(|it| it.starts_with("arn:")),
                    "{action}"
                );
            }
            seen.extend(texts("Resource").map(str::to_owned));
        }
        for arn in [
            "arn:logs:*",
            "arn:secret",
            "arn:aws:kafka:r:1:group/s-events/u/s-*",
            "arn:topic/payments",
            "arn:aws:s3:::rejects/*",
            "arn:aws:s3:::rejects/ecomctl/watch/*",
            "arn:aws:glue:us-east-1:000000000000:catalog",
            "arn:aws:glue:r:1:table/gold/*",
            "arn:aws:lambda:r:1:function:s-watch",
            "arn:token",
            "arn:people",
            "arn:key/password",
            "arn:key/rejects",
            "arn:key/token",
            "arn:key/people",
            "arn:aws:ec2:us-east-1:000000000000:subnet/subnet-2",
            "arn:aws:ec2:us-east-1:000000000000:security-group/sg-b",
        ] {
            assert!(seen.iter().any(|it| it == arn), "{arn} is missing in {seen:?}");
        }
        let anywhere = role(json!({ "network": { "template": "policies/network.json" } }));
        let anywhere = anywhere.render(&cx).expect("without a network of one's own");
        let resources = &anywhere["network"]["Statement"][0]["Resource"];
        assert_eq!(resources.as_array().map(Vec::len), Some(3), "{resources}");
    }

    #[test]
    fn permissions_wait_for_what_they_name() {
        let role = role(json!({ "logs": { "template": "policies/logs.json", "uses": ["log_group.ingest"] } }));
        let wanted = role.desired(&project(&[])).expect("a wanted role");
        assert_eq!(wanted.unknown.get("policies").map(ToString::to_string), Some("log_group.ingest".into()));
        assert_eq!(wanted.spec.get("policies"), None);
        let wanted = role.desired(&project(&[("log_group.ingest", &[("arn", "arn:logs")])])).expect("a wanted role");
        assert_eq!(wanted.spec["policies"]["logs"]["Statement"][0]["Resource"], json!(["arn:logs:*"]));
    }

    #[test]
    fn documents_come_percent_encoded() {
        assert_eq!(document("%7B%22a%22%3A%20%22%2A%22%7D").expect("JSON"), json!({ "a": "*" }));
        assert_eq!(document(r#"{"a": "b"}"#).expect("JSON"), json!({ "a": "b" }));
        assert!(document("%7B").is_err());
    }
}
