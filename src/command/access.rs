//! As whom, and in which region, AWS is asked: the flags, and what a stack's file has to say to them.

use crate::{
    client::aws::{self, Aws, Identity, Target as Endpoint},
    command::{Result, error::Problem, local, project::Project},
    local::{ACCOUNT, REGION},
    stack::{Settings, Target},
};

/// As whom, and in which region, AWS is asked. What is not said is found as the AWS CLI finds it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "On AWS")]
pub struct Access {
    /// Use this profile of the AWS CLI's files, with single sign-on or roles as it says
    #[arg(long, value_name = "NAME", global = true)]
    pub profile: Option<String>,
    /// Work in this region; refused where the stack's file names another
    #[arg(long, value_name = "REGION", global = true)]
    pub region: Option<String>,
    /// Take on this role before anything else is asked
    #[arg(long, value_name = "ARN", global = true, value_parser = role)]
    pub assume_role: Option<String>,
}

impl Access {
    /// Returns as whom to ask.
    fn identity(&self) -> Identity {
        Identity { profile: self.profile.clone(), role: self.assume_role.clone() }
    }

    /// Returns the region of a stack: the file's, else what was asked for, else what the AWS CLI would use.
    async fn region(&self, stack: &str, settings: &Settings) -> Result<String> {
        match (&settings.region, &self.region) {
            (Some(wanted), Some(found)) if wanted != found => {
                let (stack, wanted, found) = (stack.to_owned(), wanted.clone(), found.clone());
                Err(Problem::WrongRegion { stack, wanted, found }.into())
            }
            (Some(it), _) | (None, Some(it)) => Ok(it.clone()),
            (None, None) => Ok(aws::region(self.profile.as_deref()).await.unwrap_or_else(|| REGION.to_owned())),
        }
    }

    /// Names the first flag that is given.
    fn given(&self) -> Option<&'static str> {
        let flags = [("--profile", &self.profile), ("--region", &self.region), ("--assume-role", &self.assume_role)];
        flags.into_iter().find(|it| it.1.is_some()).map(|it| it.0)
    }
}

impl Project {
    /// Connects to the cloud that a stack with these settings lives in, which is the local one where an endpoint of it is
    /// given. Sends nothing, except for a role or a session that is to be taken on, once something is asked.
    ///
    /// # Errors
    /// Says that the stack belongs to another region, or that a flag means nothing to it.
    pub async fn reach(&self, stack: &str, settings: &Settings, gateway: Option<String>) -> Result<Aws> {
        let access = &self.access;
        let (region, keys) = match settings.target {
            Target::Aws => (access.region(stack, settings).await?, None),
            Target::Local => {
                if let Some(flag) = access.given() {
                    let message = format!("`{stack}` lives on this machine, where {flag} means nothing");
                    return Err(Problem::Usage { message, help: None }.into());
                }
                // The access key is the account: that is how the local cloud knows whose requests they are.
                let region = settings.region.clone().unwrap_or_else(|| REGION.to_owned());
                (region, Some((ACCOUNT.to_owned(), "local".to_owned())))
            }
        };
        Ok(Aws::connect_as(&Endpoint { region, endpoint: gateway, keys }, &access.identity()).await)
    }

    /// Connects so, to the local cloud where it runs, and makes sure that it is the account that the stack's file names.
    ///
    /// # Errors
    /// Says that the local cloud does not run, or that the credentials belong to another account.
    pub async fn aws(&self, stack: &str, settings: &Settings) -> Result<Aws> {
        let gateway = match settings.target {
            Target::Aws => None,
            Target::Local => Some(local::endpoints(&self.home, false, &|_| ()).await?.gateway),
        };
        let aws = self.reach(stack, settings, gateway).await?;
        if settings.account.is_some() {
            self.check_account(stack, settings, &aws).await?;
        }
        Ok(aws)
    }
}

/// Reads the ARN of a role.
fn role(text: &str) -> Result<String, &'static str> {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, name]
            if account.len() == 12 && account.bytes().all(|it| it.is_ascii_digit()) && name.starts_with("role/") =>
        {
            Ok(text.to_owned())
        }
        _ => Err("no ARN of a role, such as arn:aws:iam::123456789012:role/deploy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Exit;

    fn settings(region: Option<&str>) -> Settings {
        Settings { region: region.map(str::to_owned), ..Settings::default() }
    }

    #[tokio::test]
    async fn the_file_says_the_region_and_no_flag_leads_elsewhere() {
        let access = |region: Option<&str>| Access { region: region.map(str::to_owned), ..Access::default() };
        let file = settings(Some("eu-central-1"));
        for flag in [None, Some("eu-central-1")] {
            assert_eq!(access(flag).region("staging", &file).await.expect("the same"), "eu-central-1");
        }
        let err = access(Some("us-east-1")).region("staging", &file).await.expect_err("another");
        assert_eq!(err.exit(), Exit::Refused);
        let text = err.diagnostic().to_string();
        assert!(text.contains("us-east-1") && text.contains("eu-central-1"), "{text}");
        let free = access(Some("eu-west-3")).region("staging", &settings(None)).await;
        assert_eq!(free.expect("the file leaves it open"), "eu-west-3");
    }

    #[tokio::test]
    async fn what_means_nothing_to_a_local_stack_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let access = Access { profile: Some("prod".into()), ..Access::default() };
        let project = Project { root: folder.path().to_owned(), home: folder.path().to_owned(), access };
        let here = Settings { target: Target::Local, ..Settings::default() };
        let err = project.reach("local", &here, None).await.expect_err("no profile");
        assert_eq!(err.exit(), Exit::Usage);
        assert!(err.diagnostic().to_string().contains("--profile"), "{err:?}");
    }

    #[test]
    fn roles_are_arns_of_roles() {
        assert!(role("arn:aws:iam::123456789012:role/team/deploy").is_ok());
        for text in ["deploy", "arn:aws:iam::1234:role/deploy", "arn:aws:iam::123456789012:user/me", ""] {
            assert!(role(text).is_err(), "{text}");
        }
    }
}
