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
        choice::{self, Order, Stale},
        consent::Question,
        error,
        fault::{
            Elsewhere, Incomplete, NoPreview, Reasoned, Refused, Stopped, of_engine, of_session, of_session_at_the_end,
            of_store,
        },
        lock::{self, Waiting},
        place,
        project::Project,
        state, who,
    },
    engine::{Aim, Engine, Goal, Mandate, Observed, Older, Plan, Saved, Summary},
    git::{self, Age},
    report::{
        self, Terminal, human,
        plan::{Last, View},
        preparing::Preparing,
        progress::Progress,
        summary::{Outcome, Outputs, Tally},
    },
    resource::{Cx, KINDS, Kind},
    stack::{self, Keep, Stack, Target},
    state::{Definition, Document, Edit, Holder, Session, SessionError, Source, Store, current},
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
        let stored = current(&*self.store()?).await.map_err(of_store)?;
        if let Some((document, Source::Kept)) = &stored {
            self.terminal.remark("restored", &lock::restored(document.serial));
        }
        Ok(stored.map(|it| it.0).unwrap_or_default())
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
    async fn hold(&self, verb: &'static str) -> Result<(Session, Holder)> {
        let holder = who::holder(&self.project.root);
        let session = lock::take(self.store()?, &holder, verb, self.waiting, self.terminal).await?;
        if let (Some(Keep::S3 { bucket, prefix }), true) = (&self.stack.settings.state, session.document().is_new()) {
            let (name, settings) = (&self.stack.name, &self.stack.settings);
            let objects = place::objects(name, settings, &self.cx.aws, bucket, prefix);
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
        self.cx.fabric.obey(session.fence());
        Ok((session, holder))
    }

    /// Looks at everything that the stack defines or owns.
    ///
    /// # Errors
    /// Says what could not be read.
    pub async fn observe(&self, document: &Document) -> Result<Observed> {
        self.must_lie_here(document)?;
        self.engine().observe(document).await.map_err(of_engine)
    }

    /// Refuses to look in one place for what is recorded to lie in another: it would not be found, and be taken for gone.
    fn must_lie_here(&self, document: &Document) -> Result<()> {
        match &document.cloud {
            Some(there) if *there != self.cloud() && !document.resources.is_empty() => {
                let (stack, there, here) = (self.stack.name.clone(), there.clone(), self.cloud());
                Err(Error::new(Exit::Refused, Elsewhere { stack, there, here }))
            }
            // The file that said so is gone, and another's says that this is what its previews are called.
            Some(_) if document.preview_of.is_none() && !document.resources.is_empty() => match self.preview_of() {
                Some(of) => Err(Error::new(Exit::Refused, NoPreview { stack: self.stack.name.clone(), of })),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Returns the stack that this one is a preview of, by its name.
    fn preview_of(&self) -> Option<String> {
        let stem = stack::stem_of(&self.project.root, &self.stack.name)?;
        (stem != self.stack.name).then(|| stem.to_owned())
    }

    /// Returns the account and the region of this run, as the state has them.
    fn cloud(&self) -> String {
        format!("{}/{}", self.cx.scope.account, self.cx.scope.region)
    }

    /// Looks, and plans; returns the plan, and the same with what it was made from.
    ///
    /// # Errors
    /// Says what could not be read, or computed.
    pub async fn plan(&self, document: &Document, aim: &Aim) -> Result<(Plan, Saved)> {
        let observed = self.observe(document).await?;
        let older = if aim.allow_older { None } else { self.older(document) };
        let aim = Aim { older, ..aim.clone() };
        let plan = self.engine().plan(document, &observed, aim.clone()).map_err(of_engine)?;
        let saved = self.engine().saved(document, &observed, &plan, &aim);
        Ok((plan, saved))
    }

    /// Says why the definition at hand is older than the one that was applied, or may be.
    fn older(&self, document: &Document) -> Option<Older> {
        let applied = document.definition.as_ref()?;
        let (here, there) = (who::holder(&self.project.root).commit?, applied.commit.clone()?);
        let (at, by) = (human::ago(Timestamp::now(), applied.at), &applied.by);
        let brief = |it: &str| it.get(..7).unwrap_or(it).to_owned();
        let (old, new) = (brief(&here), brief(&there));
        match git::age(&self.project.root, &here, &there) {
            Age::NotOlder => None,
            Age::Older => Some(Older {
                why: format!("is of commit {old}, which is older than {new}, applied {at} by {by}"),
                help: format!("run it from {new} or later; or, to go back on purpose, add --allow-older"),
            }),
            Age::Unknown => Some(Older {
                why: format!(
                    "is of commit {old}, and {new}, applied {at} by {by}, is not in this clone: it may be newer"
                ),
                help:
                    "fetch the history (`git fetch --unshallow`; in a workflow, `fetch-depth: 0`); or, if it is meant, \
                       add --allow-older"
                        .to_owned(),
            }),
        }
    }

    /// Puts beside a plan what a reader needs to judge it.
    pub fn view<'a>(&self, plan: &'a Plan, document: &Document, next: Option<String>) -> View<'a> {
        let last = document.definition.clone().map(|it| Last { at: it.at, by: it.by, commit: it.commit });
        View { plan, last, now: Timestamp::now(), next, exactly: false, verbose: self.verbose }
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
        self.whole(plan)
    }

    /// Makes sure that no part of a plan is refused.
    ///
    /// # Errors
    /// Says what is.
    pub fn whole(&self, plan: &Plan) -> Result<()> {
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
    pub async fn change(&self, order: &Order) -> Result<Exit> {
        let (session, holder) = self.hold(order.verb()).await?;
        let result = self.change_within(&session, &holder, order).await;
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
    async fn change_within(&self, session: &Session, holder: &Holder, order: &Order) -> Result<Option<Exit>> {
        let document = session.document();
        choice::check(&order.aim, &self.stack, document)?;
        let (plan, now) = self.plan(document, &order.aim).await?;
        self.must_be_what_was_saved(order, &now)?;
        self.announce(&plan, document)?;
        let consent = self.ask(order, &plan)?;
        let mut progress = Progress::new(self.terminal, &plan);
        let summary = if plan.is_empty() {
            Summary::default()
        } else {
            if document.cloud.as_ref() != Some(&self.cloud()) {
                session.record(vec![Edit::Lie(self.cloud(), self.preview_of())]).await.map_err(of_session)?;
            }
            match self.drive(&plan, session, &consent, &mut progress).await? {
                Some(it) => it,
                None => return Ok(None),
            }
        };
        session.account(audit::account(&summary));
        let same = document.definition.as_ref().is_some_and(|it| it.hash == plan.definition);
        let applied = if plan.is_empty() { !same } else { !summary.done.is_empty() };
        let mut defined = Ok(());
        // What was applied of it only in part is not the definition that holds.
        if order.aim.goal == Goal::Up && order.aim.is_whole() && applied && !summary.lost {
            defined = session.record(vec![Edit::Define(definition(&plan, holder))]).await;
        }
        self.conclude(progress.finish(), &order.achieved());
        match summary {
            it if it.lost => Err(of_session(SessionError::Lost)),
            it if it.is_complete() => defined.map(|()| Some(Exit::Done)).map_err(of_session_at_the_end),
            it => Err(self.incomplete(it, order)),
        }
    }

    fn must_be_what_was_saved(&self, order: &Order, now: &Saved) -> Result<()> {
        let Some((path, saved)) = &order.saved else { return Ok(()) };
        let moved = saved.moved(now);
        if moved.is_empty() {
            return Ok(());
        }
        let goes_on = Order { saved: None, ..order.clone() }.again(&self.stack.name);
        let anew = format!("{} --out {}", goes_on.replacen(" up ", " diff ", 1), choice::quoted(path));
        Err(Error::new(Exit::Refused, Stale { path: path.display().to_string(), moved, goes_on, anew }))
    }

    /// Asks for consent where it is needed, and returns the resources whose data may be lost.
    fn ask(&self, order: &Order, plan: &Plan) -> Result<BTreeSet<Address>> {
        for it in order.consent.unknown(plan, &self.stack) {
            let message = format!("--allow-data-loss {it}: this stack has no such resource, or has it no more");
            self.terminal.remark("unknown", &message);
        }
        let stack = &self.stack.name;
        let sentence = match (&order.aim.adopt, order.aim.goal) {
            (Some(it), _) => format!("This makes {it} part of `{stack}`, as its file says."),
            _ => format!("This deletes everything that belongs to `{stack}`."),
        };
        let always = match (&order.aim.adopt, order.aim.goal) {
            (Some(_), _) => Some((sentence.as_str(), "taking it over")),
            (None, Goal::Teardown) => Some((sentence.as_str(), "deleting everything")),
            (None, Goal::Up) => None,
        };
        // Nothing in a preview lasts: it is consented to as what is on this machine.
        let target = if self.preview_of().is_some() { Target::Local } else { self.stack.settings.target };
        let command = order.command(stack);
        order.consent.settle(Question { plan, target, command: &command, always }, &self.terminal)
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
    fn conclude(&self, tally: Tally, goal: &str) {
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

    fn incomplete(&self, summary: Summary, order: &Order) -> Error {
        let again = order.again(&self.stack.name);
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
        artifact::Progress::Begun { builds } => preparing.begin(&format!("building {}", all(&builds))),
        artifact::Progress::Built { builds, elapsed } => {
            preparing.end(&format!("built {} in {}", all(&builds), human::duration(elapsed)));
        }
        artifact::Progress::Done { .. } => (),
    }
}

fn all(builds: &[artifact::Build]) -> String {
    human::list(&builds.iter().map(ToString::to_string).collect::<Vec<_>>())
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
