"""Writes a Delta table to S3, and prints its rows as Athena is expected to give them: an oracle without SQL."""

import datetime
import decimal
import json
import sys

import pyarrow
from deltalake import DeltaTable, write_deltalake

location, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
storage = {
    "AWS_ENDPOINT_URL": endpoint,
    "AWS_ALLOW_HTTP": "true",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "000000000000",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
texts = [None, "", "plain", 'say "hi", twice\nplease', "größer"]
start = datetime.datetime(2024, 2, 28, 23, 59, 59, 987000, tzinfo=datetime.timezone.utc)


def maybe(at, every, value):
    return None if at % every == 0 else value


table = pyarrow.table(
    {
        "id": pyarrow.array(range(count), pyarrow.int64()),
        "small": pyarrow.array([maybe(it, 7, it % 100) for it in range(count)], pyarrow.int32()),
        "net": pyarrow.array(
            [maybe(it, 11, decimal.Decimal(it * 997 - 5000).scaleb(-2)) for it in range(count)],
            pyarrow.decimal128(18, 2),
        ),
        "day": pyarrow.array([maybe(it, 13, (start + datetime.timedelta(days=it)).date()) for it in range(count)]),
        "at": pyarrow.array(
            [maybe(it, 17, start + datetime.timedelta(seconds=it)) for it in range(count)], pyarrow.timestamp("us", "UTC")
        ),
        "note": pyarrow.array([texts[it % len(texts)] for it in range(count)]),
        "open": pyarrow.array([maybe(it, 3, it % 2 == 0) for it in range(count)]),
    }
)
half = count // 2
write_deltalake(location, table.slice(0, half), storage_options=storage)
write_deltalake(location, table.slice(half), storage_options=storage, mode="append")
# The list of its files, as Redshift Spectrum reads it.
DeltaTable(location, storage_options=storage).generate()


def text(it):
    if isinstance(it, bool):
        return "true" if it else "false"
    if isinstance(it, datetime.datetime):
        return it.strftime("%Y-%m-%d %H:%M:%S.") + f"{it.microsecond // 1000:03} UTC"
    return None if it is None else str(it)


rows = DeltaTable(location, storage_options=storage).to_pyarrow_table().sort_by("id").to_pylist()
print(json.dumps([list(map(text, it.values())) for it in rows]))
