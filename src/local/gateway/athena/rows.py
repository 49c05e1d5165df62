"""Rows as Athena's result files hold them: types by Athena's names, values as Trino writes them."""

import datetime
import decimal
import math
import struct

import pyarrow

# DuckDB's names of types, with Athena's, and the precision that Athena reports.
TYPES = {
    "BOOLEAN": ("boolean", 0),
    "TINYINT": ("tinyint", 3),
    "SMALLINT": ("smallint", 5),
    "INTEGER": ("integer", 10),
    "BIGINT": ("bigint", 19),
    "HUGEINT": ("bigint", 19),
    "UTINYINT": ("smallint", 5),
    "USMALLINT": ("integer", 10),
    "UINTEGER": ("bigint", 19),
    "UBIGINT": ("bigint", 19),
    "FLOAT": ("float", 17),
    "DOUBLE": ("double", 17),
    "VARCHAR": ("varchar", 2147483647),
    "JSON": ("json", 2147483647),
    "BLOB": ("varbinary", 1073741824),
    "DATE": ("date", 0),
    "TIME": ("time", 3),
    "TIMESTAMP": ("timestamp", 3),
    "TIMESTAMP_S": ("timestamp", 3),
    "TIMESTAMP_MS": ("timestamp", 3),
    "TIMESTAMP_NS": ("timestamp", 3),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", 3),
    "INTERVAL": ("interval day to second", 0),
    "UUID": ("uuid", 0),
    '"NULL"': ("unknown", 0),
}


def athena_type(name, kind):
    """Describes a column as `GetQueryResults` does."""
    text = str(kind)
    if text.startswith("DECIMAL") and not text.endswith("]"):
        precision, scale = text[len("DECIMAL(") : -1].split(",")
        return {"name": name, "type": "decimal", "precision": int(precision), "scale": int(scale)}
    if text.endswith("]"):
        athena, precision = "array", 0
    elif text.startswith("MAP("):
        athena, precision = "map", 0
    elif text.startswith("STRUCT("):
        athena, precision = "row", 0
    else:
        athena, precision = TYPES.get(text, ("varchar", 2147483647))
    return {"name": name, "type": athena, "precision": precision, "scale": 0}


# How many rows are written at a time.
ROWS = 64


class TooLarge(Exception):
    """The result is larger than a result may be."""


class ResultFile:
    """A result that is being written: every value in quotes, NULL as nothing at all, names first."""

    def __init__(self, path, columns, largest):
        self.path, self.columns, self.largest, self.rows, self.length = path, columns, largest, 0, 0

    def __enter__(self):
        self.file = open(self.path, "w", encoding="utf-8", newline="")
        self.file.write(",".join(quoted(it["name"]) for it in self.columns) + "\n")
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, batch):
        # Few rows at a time become Python's own, whose values may each be large.
        for at in range(0, batch.num_rows, ROWS):
            part = batch.slice(at, ROWS)
            for row in zip(*(texts(it) for it in part.columns)):
                line = ",".join(map(quoted, row)) + "\n"
                self.length += len(line.encode())
                if self.length > self.largest:
                    raise TooLarge(f"the result is larger than {self.largest >> 20} MiB: ask for less, or LIMIT it")
                self.file.write(line)
            self.rows += part.num_rows


def quoted(text):
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def texts(column):
    """Writes the values of an Arrow column; None stays None."""
    zone = ""
    if pyarrow.types.is_timestamp(column.type):
        zone = " UTC" if column.type.tz else ""
        # The instant itself, whatever the zone: values with a zone are in UTC in Arrow.
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False).cast(pyarrow.int64())
        return [None if it is None else timestamp(it) + zone for it in column.to_pylist()]
    single = pyarrow.types.is_float32(column.type)
    return [None if it is None else text(it, single) for it in column.to_pylist()]


def timestamp(micros):
    it = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)
    return f"{it:%Y-%m-%d %H:%M:%S}.{it.microsecond // 1000:03}".rjust(23, "0")


def text(it, single=False):
    """Writes a value as Trino does: decimals plainly, floating point as Java, nested values in braces and brackets."""
    if it is None:
        return "null"
    if isinstance(it, bool):
        return "true" if it else "false"
    if isinstance(it, float):
        return floating(it, single)
    if isinstance(it, bytes):
        return it.hex(" ")
    if isinstance(it, datetime.datetime):
        return f"{it:%Y-%m-%d %H:%M:%S}.{it.microsecond // 1000:03}" + (" UTC" if it.tzinfo else "")
    if isinstance(it, pyarrow.MonthDayNano):
        seconds, nanos = divmod(it.nanoseconds, 10**9)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{nanos // 10**6:03}"
        return f"{it.months // 12}-{it.months % 12}" if it.months else f"{it.days} {clock}"
    if isinstance(it, dict):
        return "{" + ", ".join(f"{key}={text(value)}" for key, value in it.items()) + "}"
    if isinstance(it, list):
        if it and all(isinstance(one, tuple) for one in it):
            return "{" + ", ".join(f"{text(key)}={text(value)}" for key, value in it) + "}"
        return "[" + ", ".join(text(one) for one in it) + "]"
    return format(it, "f") if hasattr(it, "as_tuple") else str(it)


def java_text(single):
    """Returns what casts floating point to text, column by column: always with an exponent, as `1.5E0`."""
    return lambda column: pyarrow.array([None if it is None else scientific(it, single) for it in column.to_pylist()], pyarrow.string())


def scientific(it, single):
    """Writes a number as Trino casts it to text."""
    if it == 0:
        return "-0E0" if math.copysign(1, it) < 0 else "0E0"
    if math.isnan(it) or math.isinf(it):
        return floating(it)
    sign, digits, exponent = decimal.Decimal(repr(shortest(it) if single else it)).as_tuple()
    written = "".join(map(str, digits))
    return f"{'-' if sign else ''}{written[0]}.{written[1:].rstrip('0') or '0'}E{len(written) + exponent - 1}"


def shortest(it):
    """The number with the fewest digits that is the same in single precision."""
    narrow = (float(f"{it:.{digits}g}") for digits in range(1, 10))
    return next(one for one in narrow if struct.pack("f", one) == struct.pack("f", it))


def floating(it, single=False):
    """Writes a number as Java does: `1.0`, `1.0E7`."""
    if math.isnan(it):
        return "NaN"
    if math.isinf(it):
        return "Infinity" if it > 0 else "-Infinity"
    if single:
        it = shortest(it)
    sign, digits, exponent = decimal.Decimal(repr(it)).as_tuple()
    digits = "".join(map(str, digits)).rstrip("0") or "0"
    if it == 0 or 1e-3 <= abs(it) < 1e7:
        plain = format(decimal.Decimal(repr(it)), "f")
        return plain if "." in plain else plain + ".0"
    power = len(decimal.Decimal(repr(it)).as_tuple().digits) + exponent - 1
    return f"{'-' if sign else ''}{digits[0]}.{digits[1:] or '0'}E{power}"
