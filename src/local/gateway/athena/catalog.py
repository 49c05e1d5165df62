"""The statements that concern the Data Catalog alone: what there is, and Delta tables made and dropped in it."""

import json
import re

from worker import GlueError, Refused, all_columns

NAME = r'[`"]?([\w$-]+)[`"]?'
TABLE = rf"(?:{NAME}\.)?{NAME}"
# Delta's names of types, with Hive's.
HIVE = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint", "timestamp_ntz": "timestamp"}


class Catalog:
    """The statements, each with its pattern; the first that fits is run."""

    def __init__(self, session):
        self.session, self.glue = session, session.glue

    def run(self, text):
        for pattern, run in [
            (r"SHOW (?:DATABASES|SCHEMAS)(?: LIKE '([^']*)')?", self.show_databases),
            (rf"SHOW TABLES(?: (?:IN|FROM) {NAME})?(?: (?:LIKE )?'([^']*)')?", self.show_tables),
            (rf"SHOW COLUMNS (?:IN|FROM) {TABLE}(?: (?:IN|FROM) {NAME})?", self.show_columns),
            (rf"SHOW TBLPROPERTIES {TABLE}", self.show_properties),
            (rf"SHOW PARTITIONS {TABLE}", self.show_partitions),
            (rf"DESC(?:RIBE)?(?: EXTENDED| FORMATTED)? {TABLE}", self.describe),
            (rf"CREATE (?:DATABASE|SCHEMA) (IF NOT EXISTS )?{NAME}", self.create_database),
            (rf"DROP (?:DATABASE|SCHEMA) (IF EXISTS )?{NAME}(?: RESTRICT)?", self.drop_database),
            (
                rf"CREATE EXTERNAL TABLE (IF NOT EXISTS )?{TABLE} LOCATION '([^']+)' TBLPROPERTIES ?"
                r"\( ?[\"']table_type[\"'] ?= ?[\"'](\w+)[\"'] ?\)",
                self.create_table,
            ),
            (rf"DROP TABLE (IF EXISTS )?{TABLE}", self.drop_table),
        ]:
            if found := re.fullmatch(pattern, " ".join(text.split()), re.IGNORECASE):
                lines = run(*found.groups())
                with open(self.session.request["output"], "w", encoding="utf-8") as file:
                    file.writelines(line + "\n" for line in lines)
                columns = [{"name": it, "type": "string", "precision": 0, "scale": 0} for it in self.columns(run)]
                return {"columns": columns, "rows": len(lines), "scanned": 0}
        known = "SHOW, DESCRIBE, CREATE DATABASE, DROP, and CREATE EXTERNAL TABLE of Delta tables without columns"
        raise Refused("NOT_SUPPORTED", f"this statement about the catalog is not among those that work here: {known}")

    def columns(self, run):
        return {
            self.show_databases: ["database_name"],
            self.show_tables: ["tab_name"],
            self.show_columns: ["field"],
            self.show_properties: ["prpt_name", "prpt_value"],
            self.show_partitions: ["partition"],
            self.describe: ["col_name", "data_type", "comment"],
        }.get(run, [])

    def place(self, database, name):
        return (database or self.session.database).lower(), name.lower()

    def listed(self, database, name):
        return self.glue.table(*self.place(database, name))

    def show_databases(self, pattern):
        return matching((it["Name"] for it in self.glue.list("GetDatabases", "DatabaseList")), pattern)

    def show_tables(self, database, pattern):
        database = (database or self.session.database).lower()
        self.glue.database(database)
        found = self.glue.list("GetTables", "TableList", DatabaseName=database)
        return matching((it["Name"] for it in found), pattern)

    def show_columns(self, database, name, other):
        return [column["Name"] for column in all_columns(self.listed(database or other, name))]

    def show_properties(self, database, name):
        return ["\t".join(it) for it in sorted((self.listed(database, name).get("Parameters") or {}).items())]

    def show_partitions(self, database, name):
        listed = self.listed(database, name)
        table = self.session.lake.open(listed["StorageDescriptor"].get("Location"), name)
        if not table.metadata().partition_columns:
            raise Refused("", f"FAILED: Execution Error. Table {'.'.join(self.place(database, name))} is not a partitioned table")
        return sorted("/".join(f"{key}={value}" for key, value in it.items()) for it in table.partitions())

    def describe(self, database, name):
        listed = self.listed(database, name)
        line = lambda it: "\t".join([it["Name"], it["Type"], it.get("Comment") or ""])  # noqa: E731
        lines = [line(it) for it in all_columns(listed)]
        if listed.get("PartitionKeys"):
            lines += ["", "# Partition Information", "# col_name\tdata_type\tcomment", ""]
            lines += [line(it) for it in listed["PartitionKeys"]]
        return lines

    def create_database(self, lenient, name):
        return self.made(lenient, f"Database {name}", "CreateDatabase", DatabaseInput={"Name": name.lower()})

    def drop_database(self, lenient, name):
        if lenient and not any(it == name.lower() for it in self.show_databases(None)):
            return []
        if self.show_tables(name, None):
            raise Refused("", f"FAILED: Execution Error. Database {name.lower()} is not empty. One or more tables exist.")
        self.glue.ask("DeleteDatabase", Name=name.lower())
        return []

    def create_table(self, lenient, database, name, location, kind):
        if kind.upper() != "DELTA":
            raise Refused("NOT_SUPPORTED", f"tables of type {kind} cannot be made here, only DELTA")
        database, name = self.place(database, name)
        table = self.session.lake.open(location, f"{database}.{name}")
        keys = table.metadata().partition_columns
        fields = {it["name"]: it for it in json.loads(table.schema().to_json())["fields"]}
        column = lambda it: {"Name": it["name"], "Type": hive(it["type"])}  # noqa: E731
        wanted = {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "table_type": "DELTA", "classification": "delta", "spark.sql.sources.provider": "delta"},
            "PartitionKeys": [column(fields[it]) for it in keys],
            "StorageDescriptor": {
                "Columns": [column(it) for it in fields.values() if it["name"] not in keys],
                "Location": location,
                "InputFormat": "org.apache.hadoop.mapred.SequenceFileInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
                "SerdeInfo": {
                    "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                    "Parameters": {"path": location, "serialization.format": "1"},
                },
            },
        }
        self.glue.database(database)
        return self.made(lenient, f"Table {name}", "CreateTable", DatabaseName=database, TableInput=wanted)

    def drop_table(self, lenient, database, name):
        database, name = self.place(database, name)
        try:
            self.glue.ask("DeleteTable", DatabaseName=database, Name=name)
        except GlueError as err:
            if err.code != "EntityNotFoundException":
                raise
            if not lenient:
                raise Refused("", f"FAILED: SemanticException [Error 10001]: Table not found {database}.{name}") from None
        return []

    def made(self, lenient, what, operation, **wanted):
        try:
            self.glue.ask(operation, **wanted)
        except GlueError as err:
            if err.code != "AlreadyExistsException":
                raise
            if not lenient:
                raise Refused("", f"FAILED: Execution Error. AlreadyExistsException: {what} already exists") from None
        return []


def matching(names, pattern):
    """Keeps the names that fit a pattern of Hive's: `*` for any text, `|` for or."""
    if not pattern:
        return sorted(names)
    pattern = "|".join(re.escape(it).replace(r"\*", ".*") for it in pattern.split("|"))
    return sorted(it for it in names if re.fullmatch(pattern, it, re.IGNORECASE))


def hive(kind):
    """Spells a type of Delta's schema as Hive does."""
    if isinstance(kind, str):
        return HIVE.get(kind, kind)
    if kind["type"] == "array":
        return f"array<{hive(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"map<{hive(kind['keyType'])},{hive(kind['valueType'])}>"
    return "struct<" + ",".join(f"{it['name']}:{hive(it['type'])}" for it in kind["fields"]) + ">"
