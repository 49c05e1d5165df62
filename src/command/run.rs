//! What `up`, `diff`, `teardown` and `status` have in common: load, build, connect, look, plan; then apply and tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Instant,
};

use jiff::Timestamp;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    address::Address,
    artifact,
    command::{
        Error, Exit, Global, Result, audit,
        consent::{Consent, Question},
        error,
        fault::{Incomplete, Reasoned, Refused, Stopped, of_engine, of_session, of_session_at_the_end, of_store},
        lock::{self, Waiting},
        project::Project,
        state, who,
    },
    engine::{Engine, Goal, Mandate, Observed, Plan, Summary},
    report::{
        self, Terminal, human,
        plan::{Last, View},
        preparing::Preparing,
        progress::Progress,
        summary::{Outcome, Outputs, Tally},
    },
    resource::{Cx, KINDS, Kind},
    stack::{Keep, Stack},
    state::{Definition, Document, Edit, Holder, Session, SessionError, Store},
};

/// A stack that is loaded and connected, with its artifacts built.
pub struct Run {
    /// How to write to the terminal.
    pub terminal: Terminal,
    /// The project.
    pub project: Project,
    /// The stack.
    pub stack: Stack,
    /// The kinds there are.
    pub kinds: &'static [&'static dyn Kind],
    /// What kinds are handed.
    pub cx: Cx,
    verbose: bool,
    waiting: Waiting,
    started: Instant,
}

/// What a verb needs before it can look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// The local cloud, started where it is not running.
    pub start: bool,
    /// The artifacts, built where they are not there.
    pub build: bool,
}

impl Run {
    /// Loads a stack, then builds and connects at the same time.
    ///
    /// # Errors
    /// All mistakes of the stack, or why it could not be built or reached. Nothing was changed at the provider.
    pub async fn begin(stack: &str, needs: Needs, global: &Global) -> Result<Self> {
        let (terminal, started) = (global.terminal(), Instant::now());
        let project = Project::open(global)?;
        let stack = project.load(stack)?;
        let requests =
            if needs.build { super::build::requests(&stack)?.into_keys().collect() } else { BTreeSet::new() };
        let preparing = Preparing::new(terminal);
        let (built, said) = (|it| tell(&preparing, it), |it: String| preparing.say(&it));
        let (artifacts, cx) = tokio::join!(
            artifact::build(&project.root, &project.home, &requests, &built),
            Box::pin(project.connect(&stack, needs.start, &said)),
        );
        let (artifacts, mut cx) = (artifacts.map_err(|err| Error::new(Exit::Build, err))?, cx?);
        cx.artifacts = Arc::new(artifacts);
        Ok(Self {
            terminal,
            project,
            stack,
            kinds: KINDS,
            cx,
            verbose: global.verbose,
            waiting: Waiting::default(),
            started,
        })
    }

    /// Returns the engine for this stack.
    pub fn engine(&self) -> Engine<'_> {
        Engine { kinds: self.kinds, cx: &self.cx, stack: &self.stack }
    }

    /// Reads the state without taking the lease: another run may be at work.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub async fn document(&self) -> Result<Document> {
        let stored = self.store()?.load().await;
        Ok(stored.map_err(of_store)?.map(|it| it.0).unwrap_or_default())
    }

    /// Waits for another run, where the user says so.
    #[must_use]
    pub fn waiting(self, waiting: Waiting) -> Self {
        Self { waiting, ..self }
    }

    fn store(&self) -> Result<Arc<dyn Store>> {
        self.project.store(&self.stack.name, &self.stack.settings, &self.cx.aws)
    }

    /// Takes the lease. From here on, nothing is sent that it may not outlive.
    ///
    /// # Errors
    /// Says who holds it.
    async fn hold(&self, goal: Goal) -> Result<(Session, Holder)> {
        let (holder, verb) = (who::holder(&self.project.root), verb(goal));
        let session = lock::take(self.store()?, &holder, verb, self.waiting, self.terminal).await?;
        if let (Some(Keep::S3 { bucket, prefix }), true) = (&self.stack.settings.state, session.document().is_new()) {
            let (name, objects) = (&self.stack.name, self.cx.aws.objects(bucket, prefix));
            let checks = async {
                state::check_bucket(name, &objects, self.terminal).await?;
                state::check_left_behind(&self.project, name, &*self.store()?).await
            };
            if let Err(err) = checks.await {
                session.release().await.map_err(of_session)?;
                return Err(err);
            }
        }
        self.cx.aws.obey(session.fence());
        self.cx.databricks.obey(session.fence());
        Ok((session, holder))
    }

    /// Looks at everything that the stack defines or owns.
    ///
    /// # Errors
    /// Says what could not be read.
    pub async fn observe(&self, document: &Document) -> Result<Observed> {
        self.engine().observe(document).await.map_err(of_engine)
    }

    /// Looks, and plans.
    ///
    /// # Errors
    /// Says what could not be read, or computed.
    pub async fn plan(&self, document: &Document, goal: Goal) -> Result<Plan> {
        let observed = self.observe(document).await?;
        self.engine().plan(document, &observed, goal).map_err(of_engine)
    }

    /// Puts beside a plan what a reader needs to judge it.
    pub fn view<'a>(&self, plan: &'a Plan, document: &Document, next: Option<String>) -> View<'a> {
        let last = document.definition.clone().map(|it| Last { at: it.at, by: it.by, commit: it.commit });
        View { plan, last, now: Timestamp::now(), next, verbose: self.verbose }
    }

    /// Shows the plan that is about to be applied, and refuses to apply half of it.
    ///
    /// # Errors
    /// Says what is refused.
    fn announce(&self, plan: &Plan, document: &Document) -> Result<()> {
        let view = self.view(plan, document, None);
        if self.terminal.json {
            let event = serde_json::json!({ "event": "plan", "plan": report::plan::json(&view) });
            self.terminal.note(&event.to_string());
        } else {
            self.terminal.print(&report::plan::text(&view, self.terminal.out));
        }
        let reasons: Vec<_> = plan.refused().map(|(step, why)| Reasoned::new(step, why)).collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Error::new(Exit::Refused, Refused { stack: self.stack.name.clone(), reasons }))
    }

    /// Takes the lease, looks, plans, asks, and applies; then gives the lease back. After the
    /// first interrupt nothing more is begun, and what is under way may come to an end within
    /// [`GRACE`](crate::engine::GRACE); the second ends the run.
    ///
    /// # Errors
    /// Says what is refused or incomplete, and how to continue.
    pub async fn change(&self, goal: Goal, consent: &Consent) -> Result<Exit> {
        let (session, holder) = self.hold(goal).await?;
        let result = self.change_within(&session, &holder, goal, consent).await;
        if let Ok(None) = result {
            // Requests may still be under way: the lease stays, and ends with this process.
            return Err(Error::new(Exit::Incomplete, Stopped { stack: self.stack.name.clone() }));
        }
        let released = session.release().await.map_err(of_session_at_the_end);
        if let Err(err) = &released
            && err.exit() == Exit::Locked
        {
            // Whatever else went wrong, that another run took over is what the user must know.
            return released.map(|()| Exit::Locked);
        }
        let exit = result?.unwrap_or(Exit::Incomplete);
        released.map(|()| exit)
    }

    /// Returns `None` when the run was interrupted twice.
    async fn change_within(
        &self,
        session: &Session,
        holder: &Holder,
        goal: Goal,
        consent: &Consent,
    ) -> Result<Option<Exit>> {
        let document = session.document();
        let plan = self.plan(document, goal).await?;
        self.announce(&plan, document)?;
        let command = self.command(goal);
        let (target, always) = (self.stack.settings.target, goal == Goal::Teardown);
        for it in consent.unknown(&plan, &self.stack) {
            self.terminal.note(&format!("--allow-data-loss {it}: this stack has no such resource, or has it no more"));
        }
        let consent = consent.settle(Question { plan: &plan, target, command: &command, always }, &self.terminal)?;
        let mut progress = Progress::new(self.terminal, &plan);
        let summary = if plan.is_empty() {
            Summary::default()
        } else {
            match self.drive(&plan, session, &consent, &mut progress).await? {
                Some(it) => it,
                None => return Ok(None),
            }
        };
        session.account(audit::account(&summary));
        let same = document.definition.as_ref().is_some_and(|it| it.hash == plan.definition);
        let applied = if plan.is_empty() { !same } else { !summary.done.is_empty() };
        let mut defined = Ok(());
        if goal == Goal::Up && applied && !summary.lost {
            defined = session.record(vec![Edit::Define(definition(&plan, holder))]).await;
        }
        self.conclude(progress.finish(), goal);
        match summary {
            it if it.lost => Err(of_session(SessionError::Lost)),
            it if it.is_complete() => defined.map(|()| Some(Exit::Done)).map_err(of_session_at_the_end),
            it => Err(self.incomplete(it, goal)),
        }
    }

    async fn drive(
        &self,
        plan: &Plan,
        session: &Session,
        consent: &BTreeSet<Address>,
        progress: &mut Progress,
    ) -> Result<Option<Summary>> {
        let (events, mut inbox) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let mut interrupt = signal(SignalKind::interrupt()).map_err(error::internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(error::internal)?;
        let engine = self.engine();
        let mandate = Mandate { session, consent, events: &events, cancel: &cancel };
        let mut apply = pin!(engine.apply(plan, mandate));
        let summary = loop {
            tokio::select! {
                biased;
                Some(event) = inbox.recv() => {
                    progress.event(&event);
                    continue;
                }
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
                summary = &mut apply => break summary,
            }
            if cancel.is_cancelled() {
                progress.clear();
                return Ok(None);
            }
            cancel.cancel();
            progress.interrupted();
        };
        while let Ok(event) = inbox.try_recv() {
            progress.event(&event);
        }
        Ok(Some(summary))
    }

    /// Says what became of it, and what may be used now.
    fn conclude(&self, tally: Tally, goal: Goal) {
        let goal = if goal == Goal::Up { "is up to date" } else { "is gone" };
        let outcome = Outcome { stack: &self.stack.name, goal, tally, elapsed: self.started.elapsed() };
        let outputs = self.outputs();
        if self.terminal.json {
            self.terminal.print(&report::summary::json(&outcome, &outputs).to_string());
            return;
        }
        self.terminal.print(&report::summary::text(&outcome, self.terminal.out));
        if let Some(table) = report::summary::outputs(&outputs, self.terminal.out).filter(|_| tally.is_complete()) {
            self.terminal.print(&format!("\n{table}"));
        }
    }

    fn outputs(&self) -> Outputs {
        let seen = self.stack.resources.keys().filter_map(|it| Some((it.clone(), self.cx.lives.get(it)?.outputs)));
        seen.filter(|it| !it.1.is_empty()).collect::<BTreeMap<_, _>>()
    }

    fn command(&self, goal: Goal) -> String {
        format!("ecomctl {} {}", verb(goal), self.stack.name)
    }

    fn incomplete(&self, summary: Summary, goal: Goal) -> Error {
        let again = self.command(goal);
        let (stack, skipped) = (self.stack.name.clone(), summary.skipped.len());
        let (interrupted, failures) = (summary.interrupted, summary.failures);
        let unfinished = summary.unfinished.into_iter().map(|it| it.0).collect();
        Error::new(Exit::Incomplete, Incomplete { stack, again, skipped, interrupted, unfinished, failures })
    }
}

/// Tells how a build goes.
pub fn tell(preparing: &Preparing, it: artifact::Progress) {
    match it {
        artifact::Progress::Status(text) => preparing.busy(&text),
        artifact::Progress::Compiled { name, done, total } => {
            preparing.busy(&format!("compiled {done} of {total} crates, {name} last"));
        }
        artifact::Progress::Done { build, elapsed: Some(elapsed), .. } => {
            preparing.say(&format!("built {build} in {}", human::duration(elapsed)));
        }
        artifact::Progress::Done { elapsed: None, .. } => (),
    }
}

const fn verb(goal: Goal) -> &'static str {
    match goal {
        Goal::Up => "up",
        Goal::Teardown => "teardown",
    }
}

fn definition(plan: &Plan, holder: &Holder) -> Definition {
    Definition {
        hash: plan.definition.clone(),
        commit: holder.commit.clone(),
        at: Timestamp::now(),
        by: who::name(holder),
    }
}

#[cfg(test)]
mod tests;
