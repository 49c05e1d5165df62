-- Records that ingest did not accept, kept byte for byte, so that they can be looked at, mended and sent again.
-- key and payload are null where the Kafka record's are (a tombstone has no value).

CREATE TABLE rejected_events (
    topic       text COLLATE "C" NOT NULL,
    partition   integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    key         bytea,
    payload     bytea,
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, "offset")
);

CREATE INDEX rejected_events_rejected_at ON rejected_events (rejected_at);
