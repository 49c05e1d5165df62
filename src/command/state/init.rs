//! `ecomctl state init`: makes the bucket that a stack's state is kept in, or makes it safe; and what is asked of one.

use miette::Diagnostic;
use serde_json::json;

use super::Yes;
use crate::{
    client::{Reason, bucket::Safety, objects::Objects},
    command::{
        Error, Exit, Result, place,
        project::{Project, StackArg},
    },
    report::Terminal,
    resource::KINDS,
    stack::{self, Keep},
};

/// The state would be where everybody may read it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("public access to the bucket `{bucket}` is not blocked, and a state must not be public; nothing was changed")]
#[diagnostic(code(state::public), help("let ecomctl block it and turn on versions: ecomctl state init {stack}"))]
struct Public {
    bucket: String,
    stack: String,
}

/// Whose bucket it is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    stack: StackArg,
    #[command(flatten)]
    yes: Yes,
}

/// Makes the bucket where there is none, keeps it private, and keeps versions. Asks before it changes one that is there.
pub(super) async fn run(args: Args, project: &Project, terminal: Terminal) -> Result<()> {
    let stack = args.stack.stack.as_str();
    let settings = stack::settings(&project.root, stack, KINDS)?;
    let Keep::S3 { bucket, prefix } = settings.state.clone().unwrap_or_default() else {
        let text = format!("The state of `{stack}` is kept in a file of this machine; there is nothing to prepare.");
        terminal.tell(&json!({ "bucket": null }), &text);
        return Ok(());
    };
    let aws = Box::pin(project.aws(stack, &settings)).await?;
    let objects = place::objects(stack, &settings, &aws, &bucket, &prefix);
    let made = match objects.safety().await? {
        Some(Safety { versioned: true, private: true }) => false,
        Some(it) => {
            let access = if it.private { "" } else { " blocks all public access to it;" };
            let versions = if it.versioned { "" } else { " keeps versions of what is in it from now on;" };
            let sentence = format!(
                "The bucket `{bucket}` is there already, whatever it is used for. This{access}{versions} nothing in it is touched."
            );
            args.yes.settle(stack, &sentence, &format!("ecomctl state init {stack}"), terminal)?;
            false
        }
        None => objects.make_bucket().await?,
    };
    objects.secure().await?;
    let done = if made { "made, private, with versions" } else { "private now, and keeps versions" };
    let text = format!("The bucket `{bucket}` is {done}. The state of `{stack}` is kept below {}", objects.url());
    terminal.tell(&json!({ "bucket": bucket, "made": made }), &text);
    Ok(())
}

/// Looks whether a bucket is fit for a state, before the first is kept there: refuses one that is public, and warns of one
/// that keeps no versions.
///
/// # Errors
/// Says that it is not, and what to run.
pub(in crate::command) async fn check(stack: &str, objects: &Objects, terminal: Terminal) -> Result<()> {
    let bucket = objects.bucket().to_owned();
    match objects.safety().await {
        Ok(Some(Safety { private: false, .. })) => {
            Err(Error::new(Exit::Refused, Public { bucket, stack: stack.to_owned() }))
        }
        Ok(Some(Safety { versioned: false, .. })) => {
            terminal.remark("warning", &format!(
                "the bucket `{bucket}` keeps no versions: what is deleted by mistake is gone; `ecomctl state init` turns them on"
            ));
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(err) if err.reason == Reason::Denied => {
            terminal.remark("warning", &format!("it cannot be seen whether the bucket `{bucket}` is private: {err}"));
            Ok(())
        }
        Err(err) => Err(err.into()),
    }
}
