"""Runs one statement of Athena's SQL over the Delta tables that Glue lists, and ends.

Reads one line of JSON from standard input and writes one to standard output; the rows go to the file that the request
names, in the form of Athena's result files. It ends when its input does, which is when whoever asked is gone.

SQL is DuckDB's to run, after sqlglot has turned it from Trino's dialect into DuckDB's. It runs in a database in memory
that may touch no file and no network: tables are handed to it as Arrow datasets, read by delta-rs. Only tables that the
statement names are opened. Errors are worded as Athena words them, with the line and column of the text as it was given.
"""

import http.client
import json
import logging
import os
import re
import resource
import sys
import threading
import urllib.parse

# Half of the time to start would be pandas, which pyarrow loads where it can and nothing here uses.
sys.modules["pandas"] = None

import duckdb
import pyarrow
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from sqlglot import exp

from dialect import put_right
from rows import ResultFile, TooLarge, athena_type, java_text
from statement import Refused, Statement, place_in
from typed import right_types

# DuckDB would take the mark for the library.
del sys.modules["pandas"]
# It says on standard error what it does not know; what comes of that is told in the answer.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

# Files of results that are larger than this help nobody on one machine.
LARGEST_RESULT = 256 << 20
# How many rows are taken from the engine at a time: no fewer than it makes.
AT_ONCE = 2048


class GlueError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Glue:
    """The Data Catalog behind the endpoint."""

    def __init__(self, request):
        self.address = urllib.parse.urlsplit(request["endpoint"]).netloc
        scope = f"{request['account']}/19700101/{request['region']}/glue/aws4_request"
        self.headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "Content-Type": "application/x-amz-json-1.1",
        }

    def ask(self, operation, **wanted):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            headers = {**self.headers, "X-Amz-Target": f"AWSGlue.{operation}"}
            connection.request("POST", "/", json.dumps(wanted), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read() or b"{}")
        finally:
            connection.close()
        if answer.status == 200:
            return said
        code = str(said.get("__type") or answer.headers.get("x-amzn-errortype", "")).split("#")[-1]
        raise GlueError(code, said.get("message") or said.get("Message") or code)

    def list(self, operation, of, **wanted):
        found = []
        while True:
            page = self.ask(operation, **wanted)
            found += page[of]
            if not page.get("NextToken"):
                return found
            wanted["NextToken"] = page["NextToken"]

    def table(self, database, name, place=None):
        try:
            return self.ask("GetTable", DatabaseName=database, Name=name)["Table"]
        except GlueError as err:
            if err.code != "EntityNotFoundException":
                raise
        self.database(database, place)
        raise Refused("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{database}.{name}' does not exist", place)

    def database(self, name, place=None):
        try:
            return self.ask("GetDatabase", Name=name)["Database"]
        except GlueError as err:
            if err.code != "EntityNotFoundException":
                raise
        raise Refused("SCHEMA_NOT_FOUND", f"Schema '{name}' does not exist", place)


class Lake:
    """The Delta tables behind the endpoint."""

    def __init__(self, request):
        self.options = {
            "AWS_ENDPOINT_URL": request["endpoint"],
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": request["region"],
            "AWS_ACCESS_KEY_ID": request["account"],
            "AWS_SECRET_ACCESS_KEY": "local",
        }

    def open(self, location, name):
        if not re.match(r"s3a?://", location or ""):
            raise Refused("NOT_SUPPORTED", f"Table {name} lies at {location!r}, and only S3 can be read")
        try:
            return DeltaTable(re.sub("^s3a:", "s3:", location).rstrip("/"), storage_options=self.options)
        except TableNotFoundError:
            text = f"Metadata not found in transaction log for {name}: nothing was written to {location} yet"
            raise Refused("DELTA_LAKE_INVALID_TABLE", text) from None

    def listed(self, location):
        """Opens the files that the files of a folder list, line by line; returns them with their size. Nothing where there are none."""
        import pyarrow.dataset
        from pyarrow import fs

        store = fs.S3FileSystem(
            access_key=self.options["AWS_ACCESS_KEY_ID"],
            secret_key=self.options["AWS_SECRET_ACCESS_KEY"],
            region=self.options["AWS_REGION"],
            endpoint_override=urllib.parse.urlsplit(self.options["AWS_ENDPOINT_URL"]).netloc,
            scheme="http",
        )
        folder = re.sub("^s3a?://", "", location).rstrip("/")
        lists = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        paths = []
        for it in lists:
            # What begins so is hidden from Hive's formats.
            if it.is_file and it.base_name[0] not in "._":
                with store.open_input_stream(it.path) as stream:
                    paths += stream.read().decode().split()
        files = [re.sub("^s3a?://", "", it) for it in paths]
        size = sum(it.size or 0 for it in store.get_file_info(files))
        return pyarrow.dataset.dataset(files, filesystem=store, format="parquet") if files else None, size


class Session:
    """One statement and everything that it needs."""

    def __init__(self, request):
        self.request = request
        self.glue, self.lake = Glue(request), Lake(request)
        self.database = (request.get("database") or "default").lower()
        self.scanned = 0

    def run(self):
        # Only its end is trimmed, so that places are those of the text as it was given.
        text = self.request["sql"].rstrip().rstrip(";")
        first = (re.match(r"[\s(]*(\w+)", re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.S)) or ["", ""])[1].lower()
        if first in ("show", "describe", "desc", "create", "drop", "alter", "msck"):
            from catalog import Catalog

            if self.request.get("parameters"):
                raise Refused("INVALID_PARAMETER_USAGE", "Incorrect number of parameters: expected 0: only queries take them")
            return Catalog(self).run(re.sub(r"\A(?:\s|--[^\n]*|/\*.*?\*/)+", "", text, flags=re.S))
        if first in ("insert", "update", "delete", "merge", "optimize", "vacuum"):
            raise Refused("NOT_SUPPORTED", "Athena reads Delta tables and does not write them: " + first.upper())
        if first not in ("select", "with", "values", "table", "explain"):
            said = f"mismatched input '{first}'. Expecting: 'SELECT', 'VALUES', 'WITH', 'SHOW', 'DESCRIBE', 'CREATE', 'DROP'"
            raise Refused("", said, place_in(text, text.lower().find(first)))
        statement = Statement(text, self.request.get("parameters") or [])
        if not isinstance(statement.tree, (exp.Query, exp.Values)):
            raise Refused("NOT_SUPPORTED", f"{first.upper()} is not supported")
        return self.select(statement)

    def select(self, statement):
        connection = duckdb.connect(
            ":memory:",
            config={
                "enable_external_access": "false",
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
                "python_enable_replacements": "false",
                "memory_limit": self.request["memory"],
                "threads": str(self.request["threads"]),
                # Quotients are told apart by their types before.
                "integer_division": "false",
            },
        )
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        # Rounded half away from zero, as Trino rounds.
        connection.execute("CREATE MACRO exact_quotient(n, d) AS (2 * n + sign(n) * abs(d)) // (2 * d)")
        for kind in ("double", "float"):
            connection.create_function(f"java_{kind}", java_text(kind == "float"), [kind], "varchar", type="arrow")
        self.attach(connection, statement)
        connection.execute("SET lock_configuration = true")
        limit = self.request.get("limit")
        if limit and self.scanned > limit:
            raise Refused("", f"Bytes scanned limit was exceeded: {self.scanned} of {limit} bytes")
        tree = put_right(statement.tree)
        try:
            relation = connection.sql(right_types(tree, connection).sql(dialect="duckdb"))
            columns = [athena_type(name.lower(), kind) for name, kind in zip(relation.columns, relation.types)]
            with ResultFile(self.request["output"], columns, LARGEST_RESULT) as file:
                for batch in batches(relation):
                    file.write(batch)
        except (duckdb.Error, Broken) as err:
            raise worded(err, statement) from None
        return {"columns": columns, "rows": file.rows, "scanned": self.scanned}

    def attach(self, connection, statement):
        """Opens the tables that the statement names, each as a view under its own name."""
        shadows = {it.alias.lower() for it in statement.tree.find_all(exp.CTE)}
        opened = {}
        for table in list(statement.tree.find_all(exp.Table)):
            if not isinstance(table.this, exp.Identifier) or (not table.db and table.name.lower() in shadows):
                continue
            # Trino points at the beginning of a qualified name.
            place = statement.place_of(table.args.get("catalog") or table.args.get("db") or table.this)
            if table.catalog and table.catalog.lower() != "awsdatacatalog":
                raise Refused("CATALOG_NOT_FOUND", f"Catalog '{table.catalog}' does not exist", place)
            database, name = (table.db or self.database).lower(), table.name.lower()
            table.set("catalog", None)
            table.set("db", exp.to_identifier(database, quoted=True))
            table.this.set("quoted", True)
            table.this.set("this", name)
            if database == "information_schema":
                # DuckDB has one of its own, that tells of DuckDB.
                table.set("db", exp.to_identifier("information", quoted=True))
                database_here = "information"
            else:
                database_here = database
            if (database, name) in opened:
                continue
            if database == "information_schema":
                dataset = self.information(name, place)
            else:
                dataset = self.dataset(database, name, place)
            handle = opened[database, name] = f"__table_{len(opened)}"
            connection.register(handle, dataset)
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database_here}"')
            connection.execute(f'CREATE VIEW "{database_here}"."{name}" AS SELECT * FROM {handle}')

    def information(self, name, place):
        """Tells of databases, tables and columns as the standard's views do."""
        databases = [it["Name"] for it in self.glue.list("GetDatabases", "DatabaseList")]
        tables = [(it, table) for it in databases for table in self.glue.list("GetTables", "TableList", DatabaseName=it)]
        own = "awsdatacatalog"
        views = {
            "schemata": (["catalog_name", "schema_name"], [(own, it) for it in databases]),
            "tables": (
                ["table_catalog", "table_schema", "table_name", "table_type"],
                [(own, it, table["Name"], "BASE TABLE") for it, table in tables],
            ),
            "columns": (
                ["table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "data_type"],
                [
                    (own, it, table["Name"], column["Name"], at, column["Type"])
                    for it, table in tables
                    for at, column in enumerate(all_columns(table), 1)
                ],
            ),
        }
        if name not in views:
            raise Refused("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.information_schema.{name}' does not exist", place)
        names, rows = views[name]
        kinds = [(it, pyarrow.int64() if it == "ordinal_position" else pyarrow.string()) for it in names]
        return pyarrow.Table.from_pylist([dict(zip(names, row)) for row in rows], schema=pyarrow.schema(kinds))

    def dataset(self, database, name, place):
        listed = self.glue.table(database, name, place)
        marks = {key.lower(): str(value).lower() for key, value in (listed.get("Parameters") or {}).items()}
        if (listed.get("StorageDescriptor") or {}).get("InputFormat", "").endswith(".SymlinkTextInputFormat"):
            dataset, size = self.lake.listed(listed["StorageDescriptor"].get("Location") or "")
            self.scanned += size
            return dataset if dataset is not None else empty(all_columns(listed))
        if "delta" not in (marks.get("table_type"), marks.get("spark.sql.sources.provider")):
            said = f"Table '{database}.{name}' is neither a Delta table nor one with a manifest, and others cannot be read here"
            raise Refused("NOT_SUPPORTED", said, place)
        storage = listed.get("StorageDescriptor") or {}
        table = self.lake.open(storage.get("Location"), f"{database}.{name}")
        self.scanned += sum(it.as_py() for it in table.get_add_actions(flatten=True)["size_bytes"])
        return table.to_pyarrow_dataset()


def all_columns(listed):
    return (listed.get("StorageDescriptor") or {}).get("Columns", []) + (listed.get("PartitionKeys") or [])


def empty(columns):
    """A table without rows, of the types that the catalog says."""
    plain = {"tinyint": "int8", "smallint": "int16", "int": "int32", "bigint": "int64", "float": "float32", "double": "float64",
             "boolean": "bool_", "date": "date32", "binary": "binary", "string": "string"}

    def kind(text):
        if found := re.fullmatch(r"decimal\((\d+),(\d+)\)", text):
            return pyarrow.decimal128(int(found[1]), int(found[2]))
        return pyarrow.timestamp("us", "UTC") if text == "timestamp" else getattr(pyarrow, plain.get(text, "string"))()

    return pyarrow.schema([(it["Name"], kind(it["Type"])) for it in columns]).empty_table()


class Broken(Exception):
    """What DuckDB came to while it made rows, as Arrow passes it on: its words alone."""


def batches(relation):
    """The rows, some at a time."""
    reader = relation.to_arrow_reader(AT_ONCE)
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except OSError as err:
            raise Broken(str(err)) from None
        yield batch


class Unreadable(Exception):
    """A table whose log names a file that is not there."""


def worded(err, statement):
    """Words DuckDB's refusal as Athena would."""
    # The libraries below it write colours.
    said = re.sub(r"\x1b\[[0-9;]*m", "", str(err))
    if found := re.search(r"(?:Object at location|path:?) (\S+?):? (?:not found|.*NoSuchKey)|NoSuchKey.*?<Key>([^<]+)", said, re.S):
        return Unreadable(f"a file of a table is not there: {found[1] or found[2]}")
    text = re.split(r"\n\n(?:LINE |Possible solutions)", said)[0].replace("\n", " ").strip()
    kind, plain = re.fullmatch(r"(?:([A-Z][\w ]*) Error: )?(.*)", text, re.S).groups()
    found = re.search(r'Referenced column "([^"]+)" (?:not found|was not found)|does not have a column named "([^"]+)"', text)
    if found:
        name = found[1] or found[2]
        said = f"Column '{name}' cannot be resolved or requester is not authorized to access requested resources"
        return Refused("COLUMN_NOT_FOUND", said, statement.place_of_column(name))
    if found := re.search(r'Referenced table "([^"]+)" not found', text):
        said = f"Column '{found[1]}' cannot be resolved or requester is not authorized to access requested resources"
        for column in statement.tree.find_all(exp.Column):
            if column.table.lower() == found[1].lower():
                return Refused("COLUMN_NOT_FOUND", said, statement.place_of(column.args["table"]))
        return Refused("COLUMN_NOT_FOUND", said)
    if found := re.search(r"Function with name (\w+) does not exist", text):
        return Refused("FUNCTION_NOT_FOUND", f"Function '{found[1]}' not registered", statement.place_of_function(found[1]))
    if found := re.search(r'column "([^"]+)" must appear in the GROUP BY', text):
        said = f"'{found[1]}' must be an aggregate expression or appear in GROUP BY clause"
        return Refused("EXPRESSION_NOT_AGGREGATE", said, statement.place_of_column(found[1]))
    if found := re.search(r'Ambiguous reference to column name "([^"]+)"', text):
        return Refused("AMBIGUOUS_NAME", f"Column '{found[1]}' is ambiguous", statement.place_of_column(found[1]))
    if "Division by zero" in text or "division by zero" in text:
        return Refused("DIVISION_BY_ZERO", "Division by zero")
    if found := re.search(r"Type INT128 .* out of range for the destination type INT64", text):
        return Refused("NUMERIC_VALUE_OUT_OF_RANGE", "bigint addition overflow")
    if kind == "Conversion":
        # Texts that are not to be cast come with quotes (`typed.py`).
        return Refused("INVALID_CAST_ARGUMENT", plain.replace("'\"", "'").replace("\"'", "'").replace('""', '"'))
    if kind == "Out of Range":
        return Refused("NUMERIC_VALUE_OUT_OF_RANGE", plain)
    if kind == "Out of Memory" or "Arrow Appender" in text:
        return Refused("EXCEEDED_MEMORY_LIMIT", "Query exceeded the memory that one query may use here: " + plain)
    if kind == "Binder":
        return Refused("TYPE_MISMATCH", re.split(r" (?:In order to select|You might need|\tCandidate)", plain)[0])
    if kind in ("Parser", "Not implemented"):
        return Refused("NOT_SUPPORTED", "the SQL engine of this machine cannot run it: " + plain)
    return Refused("GENERIC_USER_ERROR", plain)


def follow_the_caller():
    """Ends this process when its input ends."""

    def wait():
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main():
    request = json.loads(sys.stdin.buffer.readline() or b"null")
    if request is None:
        return
    follow_the_caller()
    # The answer is all that the caller is to read, whatever the libraries print.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Whatever is not the engine's own memory is bounded as well: rows on their way, files of tables, Python's objects.
    resource.setrlimit(resource.RLIMIT_AS, (request["address_space"], request["address_space"]))
    try:
        answer = Session(request).run()
    except Refused as err:
        answer = {"refused": str(err)}
    except MemoryError:
        answer = {"refused": "EXCEEDED_MEMORY_LIMIT: Query exceeded the memory that one query may use here"}
    except Unreadable as err:
        answer = {"failed": f"HIVE_CANNOT_OPEN_SPLIT: {err}"}
    except TooLarge as err:
        answer = {"refused": f"GENERIC_USER_ERROR: {err}"}
    except (GlueError, DeltaError, OSError) as err:
        answer = {"failed": f"GENERIC_INTERNAL_ERROR: {err}"}
    except Exception as err:
        # Whatever it is, the caller is told, and not that the engine ended without a word.
        answer = {"failed": f"GENERIC_INTERNAL_ERROR: {type(err).__name__}: {err}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    # Nothing is to be tidied up; threads of the libraries would be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
