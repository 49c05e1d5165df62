//! Batches into the database: one transaction each, its statements sent together, not one after the other's answer.
//!
//! Why concurrent invocations neither strand a row nor wait in a circle:
//! - A row that waits and the parent it waits for must not miss each other. Whoever may bring parents of a kind holds
//!   that kind's advisory lock alone, whoever only looks for parents shares it, until the commit. So a child either
//!   sees its parent, or has committed to the waiting table before the parent's transaction looks there.
//! - Locks are taken in one order by all: the lock on customers, the lock on orders, then rows, table by table, by key.
//! - Tiers are sums over lines that several batches may bring at once, so a batch locks its lines' orders first.

use std::{borrow::Cow, future::Future, pin::Pin, task::Poll};

use database::{
    Connection,
    postgres::{Client, Error, Statement, types::ToSql},
};

use crate::batch::{Batch, rounds};

mod columns;

/// A connection with its statements prepared.
pub(crate) struct Store {
    connection: Connection,
    statements: Statements,
}

struct Statements {
    customers: Statement,
    orders: Statement,
    promote_orders: Statement,
    promote_lines: Statement,
    promote_payments: Statement,
    lock_orders: Statement,
    lines: Statement,
    tiers: Statement,
    payments: Statement,
    rejects: Statement,
    waiting: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, Error> {
        let (customers, orders, promote_orders, promote_lines, promote_payments, lock_orders) = futures::try_join!(
            client.prepare(include_str!("store/customers.sql")),
            client.prepare(include_str!("store/orders.sql")),
            client.prepare(include_str!("store/promote_orders.sql")),
            client.prepare(include_str!("store/promote_lines.sql")),
            client.prepare(include_str!("store/promote_payments.sql")),
            client.prepare(include_str!("store/lock_orders.sql")),
        )?;
        let (lines, tiers, payments, rejects, waiting) = futures::try_join!(
            client.prepare(include_str!("store/lines.sql")),
            client.prepare(include_str!("store/tiers.sql")),
            client.prepare(include_str!("store/payments.sql")),
            client.prepare(include_str!("store/rejects.sql")),
            client.prepare(include_str!("store/waiting.sql")),
        )?;
        Ok(Self {
            customers,
            orders,
            promote_orders,
            promote_lines,
            promote_payments,
            lock_orders,
            lines,
            tiers,
            payments,
            rejects,
            waiting,
        })
    }
}

/// Settings of `PostgreSQL` that every connection starts with. Batches find rows by index, whatever the statistics of
/// tables that were empty a minute ago suggest; a frozen invocation cannot hold its locks for long.
pub const OPTIONS: [(&str, &str); 8] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("lock_timeout", "30s"),
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// Who holds an advisory lock, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Not,
    Shared,
    Alone,
}

impl Store {
    /// Prepares the statements, in one round trip.
    pub(crate) async fn prepare(connection: Connection) -> Result<Self, Error> {
        match Statements::prepare(connection.client()).await {
            Ok(statements) => Ok(Self { connection, statements }),
            Err(error) => {
                connection.close().await;
                Err(error)
            }
        }
    }

    /// Ends the session, and any transaction that an error left open.
    pub(crate) async fn close(self) {
        self.connection.close().await;
    }

    /// Writes a batch, all or nothing, and returns how many rows wait for a parent afterwards. To be
    /// closed after an error: a transaction may still be open.
    pub(crate) async fn write(&self, batch: &Batch<'_>) -> Result<i64, Error> {
        let client = self.connection.client();
        let Statements { promote_orders, promote_lines, promote_payments, .. } = &self.statements;
        let customers = columns::customers(&batch.customers);
        let orders: Vec<_> = rounds(&batch.orders).iter().map(|round| columns::orders(round)).collect();
        let lines = columns::lines(&batch.lines);
        let payments: Vec<_> = rounds(&batch.payments).iter().map(|round| columns::payments(round)).collect();
        let rejects = columns::rejects(&batch.rejects);
        let customer_ids = distinct(batch.customers.iter().map(|row| &row.customer_id));
        let order_ids = distinct(batch.orders.iter().map(|row| &row.order_id));
        let line_order_ids = distinct(batch.lines.iter().map(|row| &row.order_id));

        let begin = begin(batch);
        let promoted: Vec<String>;
        let mut promoted_ids = Vec::new();
        let mut sent = Sent::default();
        sent.send(client.batch_execute(&begin)).await?;
        if !batch.customers.is_empty() {
            self.send(&mut sent, &self.statements.customers, &customers.params()).await?;
            // The only answer that decides what is sent next.
            let ids: [&(dyn ToSql + Sync); 1] = [&customer_ids];
            let found = sent.after(client.query(promote_orders, &ids)).await?;
            promoted = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            promoted_ids = promoted.iter().map(String::as_str).collect();
        }
        for round in &orders {
            self.send(&mut sent, &self.statements.orders, &round.params()).await?;
        }
        for ids in [&promoted_ids, &order_ids].into_iter().filter(|ids| !ids.is_empty()) {
            self.send(&mut sent, promote_lines, &[ids]).await?;
            self.send(&mut sent, promote_payments, &[ids]).await?;
        }
        if !batch.lines.is_empty() {
            self.send(&mut sent, &self.statements.lock_orders, &[&line_order_ids]).await?;
            self.send(&mut sent, &self.statements.lines, &lines.params()).await?;
            self.send(&mut sent, &self.statements.tiers, &[&line_order_ids]).await?;
        }
        for round in &payments {
            self.send(&mut sent, &self.statements.payments, &round.params()).await?;
        }
        if !batch.rejects.is_empty() {
            self.send(&mut sent, &self.statements.rejects, &rejects.params()).await?;
        }
        sent.send(client.batch_execute("COMMIT")).await?;
        sent.after(client.query_one(&self.statements.waiting, &[])).await?.try_get(0)
    }

    /// Whether the server has gone away.
    pub(crate) fn is_closed(&self) -> bool {
        self.connection.client().is_closed()
    }

    async fn send<'s>(
        &'s self,
        sent: &mut Sent<'s>,
        statement: &'s Statement,
        params: &[&'s (dyn ToSql + Sync)],
    ) -> Result<(), Error> {
        let params = params.to_vec();
        let client = self.connection.client();
        sent.send(async move { client.execute(statement, &params).await.map(drop) }).await
    }
}

/// Statements on their way, whose answers nobody has waited for.
#[derive(Default)]
struct Sent<'s>(Vec<Answer<'s>>);

type Answer<'s> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 's>>;

impl<'s> Sent<'s> {
    /// Sends a statement: the driver does so the first time the future is polled. What the server answers is looked
    /// at later; an error now means that nothing was sent, and that nothing more may be.
    async fn send(&mut self, statement: impl Future<Output = Result<(), Error>> + Send + 's) -> Result<(), Error> {
        let mut statement: Answer<'s> = Box::pin(statement);
        match futures::poll!(statement.as_mut()) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                self.0.push(statement);
                Ok(())
            }
        }
    }

    /// Sends one more statement and waits for the answers of all. The first error is the answer: in a transaction the
    /// later ones only follow from it.
    async fn after<T>(&mut self, last: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut last = Box::pin(last);
        let answer = futures::poll!(last.as_mut());
        for statement in self.0.drain(..) {
            statement.await?;
        }
        match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => last.await,
        }
    }
}

/// Opens the transaction and takes the advisory locks that the batch needs. The lock on orders is taken even when a
/// batch of customers alone has no order to bring: whether it has is known only under the lock.
fn begin(batch: &Batch<'_>) -> String {
    let brings_customers = !batch.customers.is_empty();
    let brings_orders = brings_customers || !batch.orders.is_empty();
    let seeks_orders = !(batch.lines.is_empty() && batch.payments.is_empty());
    let customers = match (brings_customers, brings_orders) {
        (true, _) => Hold::Alone,
        (false, true) => Hold::Shared,
        (false, false) => Hold::Not,
    };
    let orders = match (brings_orders, seeks_orders) {
        (true, _) => Hold::Alone,
        (false, true) => Hold::Shared,
        (false, false) => Hold::Not,
    };
    format!("BEGIN;{}{}", lock(1, customers), lock(2, orders))
}

/// SQL that takes an advisory lock until the commit; the first number is this function's own.
fn lock(number: u8, hold: Hold) -> String {
    match hold {
        Hold::Not => String::new(),
        Hold::Shared => format!("SELECT pg_advisory_xact_lock_shared(1701015405, {number});"),
        Hold::Alone => format!("SELECT pg_advisory_xact_lock(1701015405, {number});"),
    }
}

/// Sorted ids without repetitions.
fn distinct<'r>(sorted: impl Iterator<Item = &'r Cow<'r, str>>) -> Vec<&'r str> {
    let mut ids: Vec<&str> = sorted.map(AsRef::as_ref).collect();
    ids.dedup();
    ids
}
