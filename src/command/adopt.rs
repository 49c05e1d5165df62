//! `ecomctl adopt`: takes over what exists already and belongs to nobody.

use crate::{
    address::Address,
    command::{
        Error, Exit, Global, Result,
        choice::Order,
        consent::Consent,
        error::Problem,
        fault::{Reasoned, Refused},
        lock::Waiting,
        project::StackArg,
        run::{Needs, Run},
    },
    engine::{Action, Aim, Step},
};

/// Take over what exists already and belongs to nobody, after asking
///
/// What the stack's file defines under this address must exist at the provider under the name that the stack gives it,
/// and carry no stack's tags. It is tagged, made as the file says, and recorded; what that changes is shown first. What
/// belongs to another stack is refused, and so is what would have to be created anew.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl adopt staging bucket.lake
  ecomctl adopt staging bucket.lake --yes    without asking, for scripts
")]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// What is taken over, such as `bucket.lake`
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Looks whose it is, asks, and takes it over.
///
/// # Errors
/// Says why it cannot be taken over.
pub async fn run(args: Args, global: &Global) -> Result<Exit> {
    let Args { stack, address, yes, waiting } = args;
    let run = Run::begin(&stack.stack, Needs { start: false, build: true }, global).await?.waiting(waiting);
    let stack = &run.stack.name;
    if !run.stack.resources.contains_key(&address) {
        let message = format!("`{stack}` defines no {address}; nothing was changed");
        let help = Some("write into the stack's file what is there, then adopt it".to_owned());
        return Err(Problem::Usage { message, help }.into());
    }
    let aim = Aim::adopt(address.clone());
    let (plan, _) = run.plan(&run.document().await?, &aim).await?;
    let step = plan.steps.iter().find(|it| it.address == address);
    if let Some(step) =
        step.filter(|it| it.action != Action::Create && !it.adopts && !it.resumes && it.refused.is_none())
    {
        let text = format!("{address} belongs to `{stack}` already, as {}; nothing was changed", step.physical);
        run.terminal.tell(&serde_json::json!({ "adopted": null, "physical": step.physical }), &text);
        return Ok(Exit::Done);
    }
    if let Some(why) = step.and_then(|it| hindrance(stack, it)) {
        return Err(Error::new(Exit::Refused, Refused { stack: stack.clone(), reasons: vec![why] }));
    }
    run.change(&Order { aim, saved: None, consent: Consent { yes, ..Consent::default() } }).await
}

/// Says why there is nothing to take over, or why not yet.
fn hindrance(stack: &str, step: &Step) -> Option<Reasoned> {
    if step.action == Action::Create {
        let reason = format!("there is no {} to be taken over", step.physical);
        return Some(Reasoned::because(
            step,
            reason,
            format!("to create it: ecomctl up {stack} --only {}", step.address),
        ));
    }
    let on = step.unknown.values().next()?;
    let needs = step.unknown.values().map(|it| format!(" --only {it}")).collect::<String>();
    let reason = format!("what it shall be is not known before {on} is ready");
    Some(Reasoned::because(step, reason, format!("first: ecomctl up {stack}{needs}")))
}
