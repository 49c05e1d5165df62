//! Rows as the columns that a statement takes: one array each, so that a statement's cost does not depend on parsing.

use database::postgres::types::ToSql;

use crate::{
    batch::Reject,
    entity::{Customer, Line, Order, Payment},
};

/// The parameters of one statement, in order.
pub(super) struct Columns<'r>(Vec<Box<dyn ToSql + Sync + Send + 'r>>);

impl Columns<'_> {
    pub(super) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect()
    }
}

macro_rules! columns {
    ($rows:ident, $row:ident => $($value:expr),+ $(,)?) => {
        Columns(vec![$(Box::new($rows.iter().map(|$row| $value).collect::<Vec<_>>())),+])
    };
}

pub(super) fn customers<'r>(rows: &'r [Customer<'_>]) -> Columns<'r> {
    columns! { rows, row =>
        &*row.customer_id, &*row.name, &*row.email, row.country, row.created_at,
        row.version.occurred_at, row.version.event_id,
    }
}

pub(super) fn orders<'r>(rows: &[&'r Order<'_>]) -> Columns<'r> {
    columns! { rows, row =>
        &*row.order_id, &*row.customer_id, row.status, row.currency, row.ordered_at, row.channel, row.shipping_country,
        row.version.occurred_at, row.version.event_id,
    }
}

pub(super) fn lines<'r>(rows: &'r [Line<'_>]) -> Columns<'r> {
    columns! { rows, row =>
        &*row.order_id, row.line_no, &*row.product_id, &*row.product_name, &*row.category, row.quantity, row.unit_price,
        row.discount, row.version.occurred_at, row.version.event_id,
    }
}

pub(super) fn payments<'r>(rows: &[&'r Payment<'_>]) -> Columns<'r> {
    columns! { rows, row =>
        &*row.payment_id, &*row.order_id, row.method, row.status, row.outcome, row.amount, row.currency,
        row.failure_reason.as_deref(), row.processed_at, row.version.occurred_at, row.version.event_id,
    }
}

pub(super) fn rejects<'r>(rows: &'r [Reject<'_>]) -> Columns<'r> {
    columns! { rows, row =>
        &*row.record.topic, row.record.partition, row.record.offset, row.record.key.0.as_deref(),
        row.record.value.0.as_deref(), row.fault.reason.as_str(), &*row.fault.detail,
    }
}
