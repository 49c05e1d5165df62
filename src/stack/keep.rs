//! Where a stack's state is kept, as its file says.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a stack's state is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// In a file of this machine, below `.ecomctl/state`.
    #[default]
    File,
    /// In a bucket, where every machine finds it.
    S3 {
        /// The bucket.
        bucket: String,
        /// The beginning of the objects' names, without a slash at either end; may be empty.
        prefix: String,
    },
}

impl TryFrom<String> for Keep {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "file" {
            return Ok(Self::File);
        }
        let rest = text.strip_prefix("s3://").ok_or("neither `file` nor an address such as s3://bucket/prefix")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

impl From<Keep> for String {
    fn from(it: Keep) -> Self {
        it.to_string()
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// `file`, or a bucket such as `s3://company-state/pipelines`.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct KeepText(
    #[schemars(regex(pattern = "^(file|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()-]+)*/?)$"))]
    String,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_and_written() {
        let read = |it: &str| Keep::try_from(it.to_owned());
        assert_eq!(read("file"), Ok(Keep::File));
        let at = |bucket: &str, prefix: &str| Ok(Keep::S3 { bucket: bucket.into(), prefix: prefix.into() });
        assert_eq!(read("s3://states"), at("states", ""));
        assert_eq!(read("s3://states/team/pipelines/"), at("states", "team/pipelines"));
        assert_eq!(read("s3://states/a").map(|it| it.to_string()), Ok("s3://states/a".to_owned()));
        assert!(read("gs://states").is_err() && read("").is_err());
    }
}
