//! Where a stack's state is: the store that its file names, connected.

use std::{sync::Arc, time::Duration};

use crate::{
    client::{aws::Aws, objects::Objects},
    command::{Result, project::Project},
    resource::KINDS,
    stack::{self, Keep, Settings},
    state::{FileStore, S3Store, Store},
};

/// How long the state may take before that is worth a word.
pub const SILENCE: Duration = Duration::from_secs(2);

impl Project {
    /// Returns the place of a stack's state, as its file says; in a file of this machine where the stack has no file any
    /// more. Does not start the local cloud.
    ///
    /// # Errors
    /// Says that no stack can have this name, as it is part of a path; or why its settings cannot be read.
    pub async fn find_store(&self, stack: &str) -> Result<Arc<dyn Store>> {
        stack::check_name(&self.root, stack)?;
        if !stack::is_file(&self.root, stack) {
            return self.file_store(stack);
        }
        let settings = stack::settings(&self.root, stack, KINDS)?;
        if matches!(settings.state, None | Some(Keep::File)) {
            return self.file_store(stack);
        }
        let aws = Box::pin(self.aws(stack, &settings)).await?;
        self.store(stack, &settings, &aws)
    }

    /// Returns the place of the state of a stack with these settings.
    ///
    /// # Errors
    /// Says that no stack can have this name: it is part of a path.
    pub fn store(&self, stack: &str, settings: &Settings, aws: &Aws) -> Result<Arc<dyn Store>> {
        match settings.state.clone().unwrap_or_default() {
            Keep::File => self.file_store(stack),
            Keep::S3 { bucket, prefix } => {
                stack::check_name(&self.root, stack)?;
                Ok(Arc::new(S3Store::new(objects(stack, settings, aws, &bucket, &prefix))))
            }
        }
    }

    /// Returns the place of a state in a file of this machine.
    ///
    /// # Errors
    /// Says that no stack can have this name.
    pub fn file_store(&self, stack: &str) -> Result<Arc<dyn Store>> {
        stack::check_name(&self.root, stack)?;
        Ok(Arc::new(FileStore::new(self.home.join("state").join(format!("{stack}.json")))))
    }
}

/// Returns the objects that a stack's state is kept in, and beside it what belongs to it. In a bucket of another account than
/// the stack's file expects, nothing is read or written.
pub(super) fn objects(stack: &str, settings: &Settings, aws: &Aws, bucket: &str, prefix: &str) -> Objects {
    let owner = settings.state_account.as_deref().or(settings.account.as_deref());
    aws.objects(bucket, &[prefix, stack].join("/")).owned_by(owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::access::Access;

    #[tokio::test]
    async fn no_name_of_a_stack_leads_out_of_the_state() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("stacks")).expect("created");
        let project =
            Project { root: folder.path().to_owned(), home: folder.path().join(".ecomctl"), access: Access::default() };
        assert!(project.find_store("local").await.is_ok());
        for name in ["../x", "../../x", "/etc/x", "Nope", ""] {
            let err = project.find_store(name).await.err().expect("no name of a stack");
            assert_eq!(err.exit(), crate::command::Exit::Usage, "{name}");
        }
    }

    #[tokio::test]
    async fn a_stacks_file_says_where_its_state_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let stacks = folder.path().join("stacks");
        std::fs::create_dir(&stacks).expect("created");
        let project =
            Project { root: folder.path().to_owned(), home: folder.path().join(".ecomctl"), access: Access::default() };
        std::fs::write(stacks.join("far.yaml"), "stack:\n  state: s3://states/team/\n").expect("written");
        let store = project.find_store("far").await.expect("a store");
        assert_eq!(store.place(), "s3://states/team/far/state.json");
        std::fs::write(stacks.join("far.yaml"), "stack:\n  state: s3://states\n").expect("written");
        assert_eq!(project.find_store("far").await.expect("a store").place(), "s3://states/far/state.json");
        std::fs::write(stacks.join("far.yaml"), "stack:\n  state: gs://states\n").expect("written");
        let err = project.find_store("far").await.err().expect("no place");
        assert_eq!(err.exit(), crate::command::Exit::Rejected);
    }
}
