-- The tables that readers see: customers, their orders, the orders' lines and payments.
--
-- Ids collate as bytes ("C"): comparing them is cheap, and the database sorts them exactly as the writer does, which is
-- what keeps concurrent writers from locking rows in different orders.
--
-- updated_at is the winning event's occurred_at. ingested_at is the database's own clock, set on insert by the default
-- and on update by a trigger. It is taken shortly before the commit, not at it: whoever reads incrementally re-reads
-- the last few minutes before the highest value seen.

CREATE FUNCTION stamp_ingested_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.ingested_at := clock_timestamp();
    RETURN NEW;
END
$$;

-- Net of one line: rounded half up to 2 digits (numeric rounds halves away from zero, and no line is negative).
CREATE FUNCTION line_net(quantity integer, unit_price numeric, discount numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round(quantity * unit_price * (1 - discount), 2);

-- Tier of an order by the sum of its lines' nets, in the order's own currency; null while there are no lines.
CREATE FUNCTION value_tier(net numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN net IS NULL THEN NULL WHEN net < 50 THEN 'small' WHEN net < 200 THEN 'medium' ELSE 'large' END;

CREATE TABLE customers (
    customer_id text COLLATE "C" PRIMARY KEY,
    name        text        NOT NULL,
    email       text        NOT NULL,
    country     text        NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    event_id    uuid        NOT NULL,
    ingested_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE orders (
    order_id         text COLLATE "C" PRIMARY KEY,
    customer_id      text COLLATE "C" NOT NULL REFERENCES customers,
    status           text        NOT NULL
        CHECK (status IN ('created', 'paid', 'shipped', 'delivered', 'cancelled', 'returned')),
    currency         text        NOT NULL,
    ordered_at       timestamptz NOT NULL,
    channel          text        NOT NULL CHECK (channel IN ('web', 'mobile', 'store', 'marketplace')),
    shipping_country text        NOT NULL,
    value_tier       text        CHECK (value_tier IN ('small', 'medium', 'large')),
    updated_at       timestamptz NOT NULL,
    event_id         uuid        NOT NULL,
    ingested_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE order_details (
    order_id     text COLLATE "C" NOT NULL REFERENCES orders,
    line_no      integer       NOT NULL CHECK (line_no >= 1),
    product_id   text COLLATE "C" NOT NULL,
    product_name text          NOT NULL,
    category     text          NOT NULL,
    quantity     integer       NOT NULL CHECK (quantity >= 1),
    unit_price   numeric(12,2) NOT NULL CHECK (unit_price >= 0),
    discount     numeric(5,4)  NOT NULL CHECK (discount BETWEEN 0 AND 1),
    updated_at   timestamptz   NOT NULL,
    event_id     uuid          NOT NULL,
    ingested_at  timestamptz   NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (order_id, line_no)
);

CREATE TABLE payments (
    payment_id     text COLLATE "C" PRIMARY KEY,
    order_id       text COLLATE "C" NOT NULL REFERENCES orders,
    method         text          NOT NULL
        CHECK (method IN ('card', 'paypal', 'bank_transfer', 'wallet', 'cash_on_delivery')),
    status         text          NOT NULL CHECK (status IN ('pending', 'authorized', 'succeeded', 'failed', 'refunded')),
    outcome        text          NOT NULL CHECK (outcome IN ('open', 'paid', 'lost', 'returned')),
    amount         numeric(12,2) NOT NULL CHECK (amount >= 0),
    currency       text          NOT NULL,
    failure_reason text,
    processed_at   timestamptz   NOT NULL,
    updated_at     timestamptz   NOT NULL,
    event_id       uuid          NOT NULL,
    ingested_at    timestamptz   NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX customers_ingested_at ON customers (ingested_at);
CREATE INDEX orders_ingested_at ON orders (ingested_at);
CREATE INDEX order_details_ingested_at ON order_details (ingested_at);
CREATE INDEX payments_ingested_at ON payments (ingested_at);

CREATE TRIGGER stamp BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION stamp_ingested_at();
CREATE TRIGGER stamp BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp_ingested_at();
CREATE TRIGGER stamp BEFORE UPDATE ON order_details FOR EACH ROW EXECUTE FUNCTION stamp_ingested_at();
CREATE TRIGGER stamp BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION stamp_ingested_at();
