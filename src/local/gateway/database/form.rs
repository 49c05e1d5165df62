//! A request of AWS's query protocol: a form with dotted names for lists and maps. Pure.

use std::collections::BTreeMap;

use crate::local::gateway::call::Fault;

/// The fields of a request, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a form-encoded body.
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// Returns a field; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|it| !it.is_empty())
    }

    /// Returns a field that must be given.
    pub(super) fn required(&self, name: &str) -> Result<&str, Fault> {
        let missing = || Fault::new(400, "MissingParameter", format!("The request must contain the parameter {name}"));
        self.text(name).ok_or_else(missing)
    }

    /// Returns a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Fault> {
        let wrong = |it: &str| Fault::new(400, "InvalidParameterValue", format!("Invalid value {it} for {name}"));
        self.text(name).map(|it| it.parse().map_err(|_| wrong(it))).transpose()
    }

    /// Says whether a field is given as true.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// Returns a list, such as `TagKeys.member.1`, `TagKeys.member.2` for `TagKeys.member`; `None` when none is given.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let at = |i: usize| self.0.get(&format!("{name}.{i}")).cloned();
        let list: Vec<_> = (1..).map_while(at).collect();
        // An empty list is written as its bare name.
        let base = name.split('.').next().unwrap_or(name);
        (!list.is_empty() || self.0.contains_key(base)).then_some(list)
    }

    /// Returns tags, such as `Tags.Tag.1.Key` and `Tags.Tag.1.Value`.
    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        let at = |i: usize| {
            let key = self.0.get(&format!("Tags.Tag.{i}.Key"))?.clone();
            Some((key, self.0.get(&format!("Tags.Tag.{i}.Value")).cloned().unwrap_or_default()))
        };
        (1..).map_while(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_tags_are_found_by_number() {
        let form = Form::parse(
            b"Action=X&VpcSecurityGroupIds.VpcSecurityGroupId.1=a&VpcSecurityGroupIds.VpcSecurityGroupId.2=b\
              &Tags.Tag.1.Key=k%201&Tags.Tag.1.Value=v%26&Tags.Tag.2.Key=bare&Empty=&Size=20&Big=x",
        );
        assert_eq!(form.list("VpcSecurityGroupIds.VpcSecurityGroupId"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(form.list("TagKeys.member"), None);
        assert_eq!(form.tags(), BTreeMap::from([("k 1".into(), "v&".into()), ("bare".into(), String::new())]));
        assert_eq!(form.text("Empty"), None);
        assert_eq!(form.number("Size"), Ok(Some(20)));
        assert_eq!(form.number("Big").expect_err("no number").code, "InvalidParameterValue");
        assert_eq!(form.required("Nothing").expect_err("absent").code, "MissingParameter");
    }
}
