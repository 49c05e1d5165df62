-- Rows whose parent has not arrived: an order without its customer, a line or a payment without its order. The
-- transaction that brings the parent moves them to the core tables. No foreign keys here, as that is the point.
--
-- The parent leads each primary key, so that a parent finds its rows by one index probe. It is part of the key even
-- where the row's own id would do: two events of one order may name different customers, and which of them becomes
-- visible must not depend on the order of arrival.
--
-- Rows come and go in bulk, so vacuum is told not to wait for a fifth of the table.

CREATE TABLE waiting_orders (
    order_id         text COLLATE "C" NOT NULL,
    customer_id      text COLLATE "C" NOT NULL,
    status           text        NOT NULL,
    currency         text        NOT NULL,
    ordered_at       timestamptz NOT NULL,
    channel          text        NOT NULL,
    shipping_country text        NOT NULL,
    updated_at       timestamptz NOT NULL,
    event_id         uuid        NOT NULL,
    PRIMARY KEY (customer_id, order_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE waiting_order_details (
    order_id     text COLLATE "C" NOT NULL,
    line_no      integer       NOT NULL,
    product_id   text COLLATE "C" NOT NULL,
    product_name text          NOT NULL,
    category     text          NOT NULL,
    quantity     integer       NOT NULL,
    unit_price   numeric(12,2) NOT NULL,
    discount     numeric(5,4)  NOT NULL,
    updated_at   timestamptz   NOT NULL,
    event_id     uuid          NOT NULL,
    PRIMARY KEY (order_id, line_no)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE waiting_payments (
    payment_id     text COLLATE "C" NOT NULL,
    order_id       text COLLATE "C" NOT NULL,
    method         text          NOT NULL,
    status         text          NOT NULL,
    outcome        text          NOT NULL,
    amount         numeric(12,2) NOT NULL,
    currency       text          NOT NULL,
    failure_reason text,
    processed_at   timestamptz   NOT NULL,
    updated_at     timestamptz   NOT NULL,
    event_id       uuid          NOT NULL,
    PRIMARY KEY (order_id, payment_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
