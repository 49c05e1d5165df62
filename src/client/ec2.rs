//! A client for the networks of EC2: virtual private clouds, and what lies in them.
//!
//! The SDK's own crate has over 700 operations and would take longer to compile than everything else here together. So
//! requests and answers are declared here, as the EC2 API reference (2016-11-15) has them: a form is sent, XML comes back;
//! the rest is [`super::raw`]'s. No policy.
//!
//! What EC2 itself makes only once, by a client token or a name, is sent again by the runtime when its answer is lost. The
//! rest is not: whoever asked looks for it by its tags.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Error, Reason, Result,
    fence::Gate,
    raw::{Again, Refusal, Sent, Service},
};

pub mod shape;

pub use shape::{
    Address, Association, Endpoint, Group, Interface, InternetGateway, Items, NatGateway, Pair, Permission, PrefixList,
    PrefixListId, Range, Range6, Route, RouteTable, Subnet, Tag, Vpc, Zone,
};

/// The version of the API that all requests name.
const VERSION: &str = "2016-11-15";

/// What EC2 makes a second time when it is asked a second time.
const ONCE: [&str; 3] = ["CreateVpc", "CreateInternetGateway", "AllocateAddress"];

/// A client for EC2.
#[derive(Debug)]
pub struct Client(Service);

/// The parameters of a request: lists as `SubnetId.1`, `SubnetId.2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Begins without parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a list of plain values.
    #[must_use]
    pub fn list<T: Into<String>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        let values = values.into_iter().enumerate().map(|(i, it)| (format!("{name}.{}", i + 1), it.into()));
        self.0.extend(values);
        self
    }

    /// Adds the tags that what is created shall carry from the beginning.
    #[must_use]
    pub fn tagged(mut self, kind: &str, tags: &BTreeMap<String, String>) -> Self {
        self.0.push(("TagSpecification.1.ResourceType".into(), kind.to_owned()));
        for (i, (key, value)) in tags.iter().enumerate() {
            let at = format!("TagSpecification.1.Tag.{}", i + 1);
            self.0.extend([(format!("{at}.Key"), key.clone()), (format!("{at}.Value"), value.clone())]);
        }
        self
    }

    /// Adds permissions of a security group.
    #[must_use]
    pub fn permissions<'a>(mut self, permissions: impl IntoIterator<Item = &'a Permission>) -> Self {
        for (i, it) in permissions.into_iter().enumerate() {
            let at = format!("IpPermissions.{}", i + 1);
            let mut put = |name: String, value: String| self.0.push((format!("{at}.{name}"), value));
            put("IpProtocol".into(), it.ip_protocol.clone());
            it.from_port.into_iter().for_each(|it| put("FromPort".into(), it.to_string()));
            it.to_port.into_iter().for_each(|it| put("ToPort".into(), it.to_string()));
            for (n, group) in it.groups.item.iter().enumerate() {
                put(format!("Groups.{}.GroupId", n + 1), group.group_id.clone());
            }
            for (n, range) in it.ip_ranges.item.iter().enumerate() {
                put(format!("IpRanges.{}.CidrIp", n + 1), range.cidr_ip.clone());
            }
            for (n, range) in it.ipv6_ranges.item.iter().enumerate() {
                put(format!("Ipv6Ranges.{}.CidrIpv6", n + 1), range.cidr_ipv6.clone());
            }
            for (n, list) in it.prefix_list_ids.item.iter().enumerate() {
                put(format!("PrefixListIds.{}.PrefixListId", n + 1), list.prefix_list_id.clone());
            }
        }
        self
    }

    fn encode(&self, operation: &str) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", operation).append_pair("Version", VERSION);
        form.extend_pairs(&self.0).finish()
    }
}

impl Client {
    /// Prepares a client. Sends nothing.
    pub fn new(config: &SdkConfig, gate: Gate) -> Self {
        Self(Service::new("ec2", config, gate))
    }

    /// Lists what fits all filters, over all pages. EC2 knows no filter for some lists; who asks filters again.
    pub async fn list<T: Listed>(&self, filters: &[(&str, &[String])]) -> Result<Vec<T>> {
        let mut form = Form::new();
        for (i, (name, values)) in filters.iter().enumerate() {
            let at = format!("Filter.{}", i + 1);
            form = form.with(&format!("{at}.Name"), *name).list(&format!("{at}.Value"), values.iter());
        }
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let asked = if next.is_empty() { form.clone() } else { form.clone().with("NextToken", &next) };
            let text = self.send(T::OPERATION, &asked).await?;
            let page: T::Page = read(T::OPERATION, &text)?;
            let (items, token) = T::items(page);
            all.extend(items);
            match token.filter(|it| !it.is_empty() && *it != next) {
                Some(token) => next = token,
                None => return Ok(all),
            }
        }
    }

    /// Creates something and returns its identifier.
    pub async fn create(&self, operation: &'static str, form: &Form) -> Result<String> {
        let text = self.send(operation, form).await?;
        let made: shape::Made = read(operation, &text)?;
        let unknown = || Error::new("ec2", operation, Reason::Other, "the answer names nothing that was created");
        made.id().ok_or_else(unknown)
    }

    /// Does what has no result.
    pub async fn run(&self, operation: &'static str, form: &Form) -> Result<()> {
        let text = self.send(operation, form).await?;
        let done: shape::Done = read(operation, &text)?;
        match done.refused() {
            // `DeleteVpcEndpoints` succeeds as a whole, and tells of each that was not deleted.
            Some((code, message)) => Err(Error::new("ec2", operation, super::error::sort(code), message)),
            None => Ok(()),
        }
    }

    /// Says whether machines in a network get names, which private names of endpoints need.
    pub async fn names_hosts(&self, vpc: &str) -> Result<bool> {
        let form = Form::new().with("VpcId", vpc).with("Attribute", "enableDnsHostnames");
        let text = self.send("DescribeVpcAttribute", &form).await?;
        read::<shape::Attribute>("DescribeVpcAttribute", &text).map(|it| it.enable_dns_hostnames.value)
    }

    async fn send(&self, operation: &'static str, form: &Form) -> Result<String> {
        let headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        let sent = Sent { headers, body: form.encode(operation) };
        let again = if ONCE.contains(&operation) { Again::No } else { Again::Yes };
        let answer = self.0.call(operation, sent, response, again).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Something that EC2 lists.
pub trait Listed: Sized {
    /// The operation that lists it.
    const OPERATION: &'static str;
    /// The answer.
    type Page: DeserializeOwned;
    /// Returns what a page holds, and the token of the next one.
    fn items(page: Self::Page) -> (Vec<Self>, Option<String>);
}

fn read<T: DeserializeOwned>(operation: &'static str, text: &str) -> Result<T> {
    let unreadable = |err| Error::new("ec2", operation, Reason::Other, format!("the answer cannot be read: {err}"));
    quick_xml::de::from_str(text).map_err(unreadable)
}

fn response(response: &HttpResponse) -> std::result::Result<Vec<u8>, OrchestratorError<Refusal>> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Refused {
        errors: Errors,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Errors {
        error: Said,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Said {
        code: String,
        message: String,
    }
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(body.to_vec());
    }
    let text = String::from_utf8_lossy(body);
    let Said { code, message } = quick_xml::de::from_str::<Refused>(&text).unwrap_or_default().errors.error;
    let message = if code.is_empty() && message.is_empty() { text.into_owned() } else { message };
    Err(OrchestratorError::operation(Refusal::new(&code, &message)))
}

#[cfg(test)]
mod tests;
