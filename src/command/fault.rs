//! How a run ends that did not do everything: what is incomplete or refused, and how to continue.

use miette::Diagnostic;

use crate::{
    address::Address,
    client::Reason,
    command::{Error, Exit, error::of_reason},
    engine::{self, Failure},
    report, resource,
    state::{SessionError, StoreError},
};

/// Some steps were not done.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("stack `{stack}` is incomplete: {}", self.what())]
#[diagnostic(
    code(apply::incomplete),
    help("run `{again}` again: it continues where this stopped, also with what is half done")
)]
pub struct Incomplete {
    /// The stack.
    pub stack: String,
    /// The command that continues.
    pub again: String,
    /// How many steps were not begun.
    pub skipped: usize,
    /// Whether the user interrupted.
    pub interrupted: bool,
    /// The steps that were under way then.
    pub unfinished: Vec<Address>,
    /// The steps that failed.
    #[related]
    pub failures: Vec<Failure>,
}

impl Incomplete {
    fn what(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.interrupted.then(|| "interrupted".to_owned()));
        let failures = self.failures.len();
        parts.extend((failures > 0).then(|| format!("{} failed", report::human::plural(failures, "step"))));
        if !self.unfinished.is_empty() {
            let names: Vec<_> = self.unfinished.iter().map(ToString::to_string).collect();
            parts.push(format!("left unfinished: {}", names.join(", ")));
        }
        parts.extend((self.skipped > 0).then(|| format!("{} not begun", report::human::plural(self.skipped, "step"))));
        parts.join(", ")
    }
}

/// What is recorded lies in another account or region than this run.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("what is recorded of `{stack}` lies in {there}, and this run is in {here}; nothing was asked or changed")]
#[diagnostic(
    code(state::elsewhere),
    help(
        "use the credentials and the region of {there}; what shall be in {here} is another stack: give it a file of its own, \
         or tear this one down first, where it is"
    )
)]
pub struct Elsewhere {
    /// The stack.
    pub stack: String,
    /// The account and the region that are recorded.
    pub there: String,
    /// Those of this run.
    pub here: String,
}

/// What was a stack of its own would now be taken for a preview.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error(
    "`{stack}` was a stack with a file of its own, which is gone: it is no preview of `{of}`; nothing was asked or changed"
)]
#[diagnostic(
    code(state::no_preview),
    help("put stacks/{stack}.yaml back; with it, `ecomctl teardown {stack}` deletes what is left")
)]
pub struct NoPreview {
    /// The stack.
    pub stack: String,
    /// The stack whose previews have such names.
    pub of: String,
}

/// The user interrupted twice.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("stopped at once; requests that were under way may have taken effect")]
#[diagnostic(
    code(apply::stopped),
    help("run the same command again: what was begun on `{stack}` is recorded, and is finished then")
)]
pub struct Stopped {
    /// The stack.
    pub stack: String,
}

/// The plan holds steps that are not done.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the plan for `{stack}` is refused; nothing was changed")]
#[diagnostic(code(ecomctl::refused))]
pub struct Refused {
    /// The stack.
    pub stack: String,
    /// What is refused.
    #[related]
    pub reasons: Vec<Reasoned>,
}

/// Why one step is refused.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{address}: {reason}")]
#[diagnostic(code(plan::refused))]
pub struct Reasoned {
    address: Address,
    reason: String,
    #[help]
    help: Option<String>,
}

impl Reasoned {
    /// Says why a step is refused.
    pub fn new(step: &engine::Step, why: &engine::Refusal) -> Self {
        let help = Some(why.help.clone()).filter(|it| !it.is_empty());
        Self { address: step.address.clone(), reason: why.reason.clone(), help }
    }

    /// Says so of a step that the engine does not refuse.
    pub fn because(step: &engine::Step, reason: String, help: String) -> Self {
        Self { address: step.address.clone(), reason, help: Some(help) }
    }
}

/// Says that the stack is not this run's, or why its state cannot be read or written, before anything was changed.
pub fn of_session(err: SessionError) -> Error {
    match err {
        SessionError::Store(err) => of_store(err),
        SessionError::Locked { .. } | SessionError::Lost => Error::new(Exit::Locked, err),
    }
}

/// The same, once something was changed: running again records it.
pub fn of_session_at_the_end(err: SessionError) -> Error {
    match err {
        SessionError::Store(err) => Error::new(Exit::Incomplete, err),
        SessionError::Locked { .. } | SessionError::Lost => of_session(err),
    }
}

/// Says why a state cannot be read or written.
pub fn of_store(err: StoreError) -> Error {
    let exit = if matches!(err, StoreError::Standing { .. }) { Exit::Locked } else { Exit::Unreachable };
    Error::new(exit, err)
}

/// Says why nothing could be planned.
pub fn of_engine(err: engine::Error) -> Error {
    let exit = match &err {
        engine::Error::Read { cause: resource::Error::Client(it), .. }
        | engine::Error::Unresolved { cause: resource::Error::Client(it), .. } => match it.reason {
            // The stack asks for something that the provider does not take.
            Reason::Invalid => Exit::Rejected,
            // It was there a moment ago, or cannot be seen yet: looking again tells.
            Reason::Missing => Exit::Unreachable,
            it => of_reason(it),
        },
        engine::Error::Unresolved { cause: resource::Error::NotReady(_), .. } => Exit::Unreachable,
        engine::Error::Unresolved { .. } => Exit::Rejected,
        engine::Error::Read { .. } | engine::Error::UnknownKind(_) => Exit::Internal,
    };
    Error::new(exit, err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client,
        engine::{Action, Cause},
        report::Style,
    };

    #[test]
    fn an_incomplete_run_names_each_failure_its_request_and_the_next_command() {
        let mut denied = client::Error::new("lambda", "CreateFunction", Reason::Denied, "AccessDenied: not allowed");
        denied.request_id = Some("0f3a-77".to_owned());
        let failures = vec![
            Failure {
                action: Action::Create,
                address: Address::new("function", "ingest"),
                cause: Cause::Resource(denied.into()),
            },
            Failure {
                action: Action::Update,
                address: Address::new("database", "shop"),
                cause: Cause::ProviderFailed("storage-full".to_owned()),
            },
        ];
        let (stack, again) = ("staging".to_owned(), "ecomctl up staging".to_owned());
        let error = Incomplete { stack, again, skipped: 3, interrupted: false, unfinished: Vec::new(), failures };
        insta::assert_snapshot!(report::error::text(&error, Style::PLAIN), @r"
        apply::incomplete

          × stack `staging` is incomplete: 2 steps failed, 3 steps not begun
          help: run `ecomctl up staging` again: it continues where this stopped, also with what is half done

        Error: apply::failed

          × cannot create function.ingest
          ╰─▶   × lambda CreateFunction: AccessDenied: not allowed (request 0f3a-77)


        Error: apply::failed

          × cannot update database.shop
          ╰─▶   × the provider reports that it failed: storage-full
        ");
    }

    #[test]
    fn what_an_interrupt_left_unfinished_is_named() {
        let (stack, again) = ("staging".to_owned(), "ecomctl up staging".to_owned());
        let unfinished = vec![Address::new("database", "shop"), Address::new("cluster", "events")];
        let error = Incomplete { stack, again, skipped: 1, interrupted: true, unfinished, failures: Vec::new() };
        let text = "stack `staging` is incomplete: interrupted, left unfinished: database.shop, cluster.events, \
                    1 step not begun";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_refused_plan_says_why_and_what_to_do() {
        let reasons = vec![Reasoned {
            address: Address::new("topic", "orders"),
            reason: "Kafka cannot shrink a topic".to_owned(),
            help: Some("Keep 12".to_owned()),
        }];
        let error = Refused { stack: "staging".to_owned(), reasons };
        insta::assert_snapshot!(report::error::text(&error, Style { color: false, width: Some(60) }), @r"
        ecomctl::refused

          × the plan for `staging` is refused; nothing was changed

        Error: plan::refused

          × topic.orders: Kafka cannot shrink a topic
          help: Keep 12
        ");
    }

    #[test]
    fn what_cannot_be_computed_yet_is_no_mistake_of_the_file() {
        let (address, on) = (Address::new("secret_scope", "pipeline"), Address::new("database", "shop"));
        let unresolved = |cause| engine::Error::Unresolved { address: address.clone(), cause, help: None };
        assert_eq!(of_engine(unresolved(resource::Error::NotReady(on))).exit(), Exit::Unreachable);
        assert_eq!(of_engine(unresolved(resource::Error::Unusable("x".to_owned()))).exit(), Exit::Rejected);
    }

    #[test]
    fn another_run_means_locked() {
        assert_eq!(of_session(SessionError::Lost).exit(), Exit::Locked);
        assert_eq!(of_session_at_the_end(SessionError::Lost).exit(), Exit::Locked);
    }

    #[test]
    fn a_state_that_cannot_be_used_is_no_mistake_of_the_program() {
        let newer = || StoreError::Newer { place: "x".to_owned(), found: 99 };
        assert_eq!(of_store(newer()).exit(), Exit::Unreachable);
        assert_eq!(of_session(newer().into()).exit(), Exit::Unreachable);
        assert_eq!(of_session_at_the_end(newer().into()).exit(), Exit::Incomplete, "the world was changed by then");
    }
}
