//! Consent: what destroys data is named, and asked for.
//!
//! On AWS: by typing the stack's name, or by `--yes` with every resource whose data dies named by `--allow-data-loss`.
//! On the local cloud, and for previews: by typing the stack's name, or by `--yes` alone.

use std::collections::BTreeSet;

use miette::Diagnostic;

use crate::{
    address::Address,
    command::{Error, Exit, Result},
    engine::Plan,
    report::{Terminal, Tone, plan::losses},
    stack::{Stack, Target},
};

/// The flags that give consent beforehand.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Consent {
    /// Do not ask; on AWS, previews excepted, data dies only where --allow-data-loss names it
    #[arg(short, long)]
    pub yes: bool,
    /// The data of this resource may be lost, such as `topic.orders`; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub allow_data_loss: Vec<Address>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What would be done.
    pub plan: &'a Plan,
    /// Where; a preview, in which nothing lasts, counts as local.
    pub target: Target,
    /// The command without flags, such as `ecomctl teardown local`.
    pub command: &'a str,
    /// What is asked also where no data dies: the sentence, and what needs consent, for who is not there to be asked.
    pub always: Option<(&'a str, &'a str)>,
}

/// Says that nobody consented. Nothing was changed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Refused {
    /// Nobody is there to be asked.
    #[error("{what} needs your consent, and nobody is there to ask; nothing was changed")]
    #[diagnostic(code(ecomctl::consent), help("if what is told above is what you want: {command}"))]
    Unasked {
        /// What needs it.
        what: String,
        /// The command that gives it.
        command: String,
    },
    /// The answer was another.
    #[error("`{answer}` is not {asked}; nothing was changed")]
    #[diagnostic(code(ecomctl::consent), help("run the same command again, and type `{word}`"))]
    Declined {
        /// What was typed.
        answer: String,
        /// What was asked for.
        asked: &'static str,
        /// What should have been typed.
        word: String,
    },
}

/// Something that needs consent, which is given by typing a word.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// What happens, as a sentence.
    pub sentence: &'a str,
    /// The same as a subject, such as `data loss`.
    pub what: &'a str,
    /// What is asked for, such as `the name of the stack`.
    pub asked: &'static str,
    /// The word itself.
    pub word: &'a str,
    /// The command that gives consent beforehand.
    pub command: &'a str,
}

impl Deed<'_> {
    /// Asks for the word.
    ///
    /// # Errors
    /// [`Refused`] when nobody is there, or another word was typed.
    pub fn agree(self, terminal: &Terminal) -> Result<()> {
        let Self { sentence, what, asked, word, command } = self;
        let prompt = format!("{}\nType {asked} to go on:", terminal.err.paint(Tone::Bad, sentence));
        let refused = match terminal.ask(&prompt) {
            Some(answer) if answer == word => return Ok(()),
            Some(answer) => Refused::Declined { answer, asked, word: word.to_owned() },
            None => Refused::Unasked { what: what.to_owned(), command: command.to_owned() },
        };
        Err(Error::new(Exit::Refused, refused))
    }
}

/// What is asked for where a stack is concerned.
pub const STACK: &str = "the name of the stack";

impl Consent {
    /// Lists what is named and that neither the plan nor the stack knows. It may be gone since the flag was written.
    pub fn unknown<'a>(&'a self, plan: &Plan, stack: &Stack) -> Vec<&'a Address> {
        let known =
            |it: &Address| stack.resources.contains_key(it) || plan.steps.iter().any(|step| step.address == *it);
        self.allow_data_loss.iter().filter(|it| !known(it)).collect()
    }

    /// Returns the resources whose data may be lost.
    ///
    /// # Errors
    /// [`Refused`] when there is no consent.
    pub fn settle(&self, question: Question<'_>, terminal: &Terminal) -> Result<BTreeSet<Address>> {
        let plan = question.plan;
        let doomed: BTreeSet<Address> = losses(plan).map(|it| it.address.clone()).collect();
        if plan.is_empty() || (doomed.is_empty() && question.always.is_none()) {
            return Ok(doomed);
        }
        let named: BTreeSet<_> = self.allow_data_loss.iter().cloned().collect();
        if self.yes && (question.target == Target::Local || doomed.is_subset(&named)) {
            return Ok(doomed);
        }
        if question.always.is_none() && !doomed.is_empty() && doomed.is_subset(&named) {
            return Ok(doomed);
        }
        let sentence = question.sentence(&doomed);
        let what = question.always.filter(|_| doomed.is_empty()).map_or("data loss", |it| it.1);
        let command = question.command_with_consent(&doomed);
        let deed = Deed { sentence: &sentence, what, asked: STACK, word: &plan.stack, command: &command };
        deed.agree(terminal).map(|()| doomed)
    }
}

impl Question<'_> {
    fn sentence(self, doomed: &BTreeSet<Address>) -> String {
        if doomed.is_empty() {
            return self.always.map_or_else(String::new, |it| it.0.to_owned());
        }
        let names: Vec<_> = doomed.iter().map(ToString::to_string).collect();
        format!("This destroys the data of {}, for good.", names.join(", "))
    }

    fn command_with_consent(self, doomed: &BTreeSet<Address>) -> String {
        let mut words = vec![self.command.to_owned(), "--yes".to_owned()];
        if self.target == Target::Aws {
            words.extend(doomed.iter().map(|it| format!("--allow-data-loss {it}")));
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        engine::{Action, Step},
        report::Style,
    };

    fn plan(doomed: &[&str]) -> Plan {
        let steps = [("role.ingest", false)].into_iter().chain(doomed.iter().map(|it| (*it, true)));
        let steps = steps.map(|(address, loses_data)| Step {
            address: address.parse().expect("an address"),
            action: Action::Delete,
            physical: String::new(),
            id: None,
            nonce: String::new(),
            changes: Vec::new(),
            desired: Value::Null,
            unknown: [].into(),
            after: [].into(),
            refs: [].into(),
            resumes: false,
            found: false,
            adopts: false,
            forgets: false,
            moved_from: None,
            kept: Vec::new(),
            awaits: None,
            unreadable: None,
            protect: false,
            protects: false,
            loses_data,
            refused: None,
        });
        let (stack, lineage) = ("staging".to_owned(), uuid::Uuid::nil());
        Plan { stack, lineage, serial: 1, definition: String::new(), steps: steps.collect(), notes: Vec::new() }
    }

    fn ask(plan: &Plan, target: Target, yes: bool, allowed: &[&str]) -> Result<usize, String> {
        let nobody = Terminal { json: false, out: Style::PLAIN, err: Style::PLAIN, live: false, interactive: false };
        let allow_data_loss = allowed.iter().map(|it| it.parse().expect("an address")).collect();
        let always = Some(("This deletes everything.", "deleting everything"));
        let question = Question { plan, target, command: "ecomctl teardown staging", always };
        let result = Consent { yes, allow_data_loss }.settle(question, &nobody);
        result.map(|it| it.len()).map_err(|err| {
            assert_eq!(err.exit(), Exit::Refused);
            err.diagnostic().help().map(|it| it.to_string()).unwrap_or_default()
        })
    }

    #[test]
    fn on_aws_each_loss_is_named() {
        let plan = plan(&["topic.orders", "bucket.lake"]);
        let help = "if what is told above is what you want: ecomctl teardown staging --yes \
                    --allow-data-loss bucket.lake --allow-data-loss topic.orders";
        assert_eq!(ask(&plan, Target::Aws, false, &[]), Err(help.to_owned()));
        assert_eq!(ask(&plan, Target::Aws, true, &["topic.orders"]), Err(help.to_owned()));
        assert_eq!(ask(&plan, Target::Aws, true, &["topic.orders", "bucket.lake"]), Ok(2));
        assert_eq!(ask(&plan, Target::Aws, true, &["topic.orders", "bucket.lake", "topic.gone"]), Ok(2));
    }

    #[test]
    fn what_no_stack_has_is_told() {
        let stack = Stack { name: "s".into(), settings: Default::default(), resources: [].into(), hash: String::new() };
        let allow_data_loss = ["topic.orders", "topic.nosuch"].map(|it| it.parse().expect("an address")).into();
        let consent = Consent { yes: false, allow_data_loss };
        let unknown = consent.unknown(&plan(&["topic.orders"]), &stack);
        assert_eq!(unknown.iter().map(ToString::to_string).collect::<Vec<_>>(), ["topic.nosuch"]);
    }

    #[test]
    fn on_this_machine_yes_is_enough() {
        let plan = plan(&["topic.orders"]);
        let help = "if what is told above is what you want: ecomctl teardown staging --yes";
        assert_eq!(ask(&plan, Target::Local, false, &[]), Err(help.to_owned()));
        assert_eq!(ask(&plan, Target::Local, true, &[]), Ok(1));
    }

    #[test]
    fn where_no_data_dies_up_does_not_ask_and_teardown_does() {
        let plan = plan(&[]);
        assert!(ask(&plan, Target::Aws, false, &[]).is_err());
        assert_eq!(ask(&plan, Target::Aws, true, &[]), Ok(0));
        let nobody = Terminal { json: false, out: Style::PLAIN, err: Style::PLAIN, live: false, interactive: false };
        let question = Question { plan: &plan, target: Target::Aws, command: "ecomctl up staging", always: None };
        assert!(Consent::default().settle(question, &nobody).is_ok_and(|it| it.is_empty()));
    }
}
