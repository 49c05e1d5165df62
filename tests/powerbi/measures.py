"""Whether a figure says the same in DAX as in SQL: each measure that has a statement beside it, over the same made-up rows.

    python measures.py TREE

TREE is a project that `ecomctl build` wrote. Statements are those of `templates/dashboards/sales.toml`, asked of DuckDB; formulas
are those of the project, computed by pbix-mcp's engine, which knows nothing of this project. It is no Analysis Services: where
the two agree, that is evidence and no proof.
"""

import datetime
import json
import random
import re
import sys
import tomllib
from pathlib import Path

import duckdb
from pbix_mcp.dax import calc_tables, engine

ROOT = Path(__file__).resolve().parents[2]
FIGURES = tomllib.loads((ROOT / "templates/dashboards/sales.toml").read_text())
CONTRACT = json.loads((ROOT / "notebooks/src/ecom_pipeline/contracts/gold.json").read_text())
TYPES = {"string": "varchar", "tinyint": "integer", "int": "integer"}
FIRST, DAYS = datetime.date(2026, 6, 20), 150
CURRENCIES = ["EUR", "GBP", "JPY"]
# By what a visual of the dashboard shows its rows: columns of the statement, and of the model.
SHOWN_BY = {
    "sales_trend": {"order_date": "Date.Date"},
    "top_products": {"label": "Products.Product name"},
    "top_categories": {"label": "Products.Category"},
    "payment_outcomes": {"label": "Payments.Method"},
    "customer_segments": {"label": "Customers.Segment"},
    "cohort_retention": {"cohort_month": "Cohorts.Cohort month", "month_offset": "Cohorts.Month offset"},
}


def made_up(seed):
    """Rows of the gold tables: nothing but the keys and the references between tables is as in a shop."""
    dice = random.Random(seed)
    day = lambda: FIRST + datetime.timedelta(days=dice.randrange(DAYS))
    money = lambda: round(dice.uniform(1, 900), 2)
    customers = [f"c{it}" for it in range(120)]
    orders = []
    for it in range(600):
        ordered = datetime.datetime.combine(day(), datetime.time(dice.randrange(24), dice.randrange(60)))
        orders.append(
            {
                "order_id": f"o{it}",
                "customer_id": dice.choice(customers),
                "order_date": ordered.date(),
                "ordered_at": ordered,
                "currency": dice.choice(CURRENCIES),
                "paid": dice.random() < 0.7,
                "net_amount": money(),
                "gold_at": ordered + datetime.timedelta(minutes=dice.randrange(600)),
            }
        )
    days = sorted({(it["order_date"], it["currency"]) for it in orders})
    tables = {
        "order_facts": orders,
        "daily_sales": [
            {"order_date": date, "currency": currency, "channel": channel, "orders": dice.randrange(2, 40), "paid_orders": dice.randrange(2, 30), "net_sales": money()}
            for date, currency in days
            for channel in ["web", "store"]
        ],
        "product_sales": [
            {"product_id": f"p{it}", "product_name": f"Product {it}", "category": dice.choice(["home", "toys", "books"]), "currency": currency, "units": dice.randrange(90), "net_sales": money()}
            for it in range(9)
            for currency in CURRENCIES
        ],
        "payment_outcomes": [
            {"payment_date": date, "method": method, "currency": currency, "succeeded": dice.randrange(9), "failed": dice.randrange(4), "refunded": dice.randrange(3), "failed_amount": money()}
            for date, currency in days
            for method in ["card", "paypal"]
        ],
        "customer_segments": [
            {"customer_id": it, "segment": dice.choice(["loyal", "new", "lost"]), "frequency": dice.randrange(1, 9), "recency_days": dice.randrange(90), "monetary": money(), "first_order_date": day()}
            for it in customers[:100]
        ],
        "cohort_retention": [
            {"cohort_month": datetime.date(2026, month, 1), "month_offset": offset, "customers": dice.randrange(1, 90)}
            for month in range(6, 11)
            for offset in range(11 - month)
        ],
    }
    return {name: [whole(CONTRACT[name], row) for row in rows] for name, rows in tables.items()}


def whole(contract, row):
    other = lambda it: {"string": "x", "boolean": False, "date": FIRST, "timestamp": datetime.datetime.combine(FIRST, datetime.time())}.get(it, 0)
    return [row.get(it["name"], other(it["type"])) for it in contract["columns"]]


class Model:
    """What the project's files say: columns, formulas, joins."""

    def __init__(self, tree):
        definition = next(tree.glob("*.SemanticModel")) / "definition"
        self.columns, self.sources, self.formulas, self.computed = {}, {}, {}, {}
        for file in sorted((definition / "tables").glob("*.tmdl")):
            self.read(file.stem, file.read_text().splitlines())
        sides = re.findall(r"fromColumn: (.*)\n\ttoColumn: (.*)", (definition / "relationships.tmdl").read_text())
        self.joins = [self.join(one, other) for one, other in sides]

    def read(self, table, lines):
        for i, line in enumerate(lines):
            if found := re.match(r"\t(measure|column|partition) ('(?:[^']|'')*'|\w+)(?: = ?(.*))?", line + " "):
                what, name, rest = found.groups()
                name, body = name.strip("'"), []
                for it in lines[i + 1 :]:
                    if not it.startswith("\t\t"):
                        break
                    body.append(it)
                if what == "column":
                    source = next(it for it in body if it.startswith("\t\tsourceColumn")).split(": ")[1]
                    self.columns.setdefault(table, {})[source.strip("[]")] = name
                elif what == "measure":
                    deeper = [it.strip("\t") for it in body if it.startswith("\t\t\t")]
                    self.formulas[name] = (rest or "").strip() or "\n".join(deeper)
                else:
                    source = body[1:]
                    text = "\n".join([source[0].split("=", 1)[1], *(it.strip("\t") for it in source[1:])]).strip()
                    if rest.strip() == "m":
                        self.sources[table] = re.search(r'Database\{\[Name = "(\w+)", Kind', text).group(1)
                    elif list(self.columns[table].values()) != ["None"]:
                        self.computed[table] = text

    def join(self, one, other):
        (many, from_column), (single, to_column) = [[it.strip("'") for it in side.strip().split(".", 1)] for side in (one, other)]
        return {"FromTable": many, "FromColumn": from_column, "ToTable": single, "ToColumn": to_column, "IsActive": True}

    def load(self, rows):
        """Fills its tables, those that Power BI computes included."""
        tables = {}
        for table, source in self.sources.items():
            named = [it["name"] for it in CONTRACT[source]["columns"]]
            midnight = lambda it: datetime.datetime.combine(it, datetime.time()) if type(it) is datetime.date else it
            tables[table] = {"columns": [self.columns[table][it] for it in named], "rows": [[midnight(it) for it in row] for row in rows[source]]}
        for table, text in self.computed.items():
            made, problem = calc_tables.evaluate_calc_table_expression(text, tables, {}, [])
            if problem:
                sys.exit(f"table {table}: {problem}")
            # The engine hands dates out as text.
            dated = lambda it: datetime.datetime.fromisoformat(it) if re.match(r"\d{4}-\d\d-\d\d", str(it)) else it
            tables[table] = {**made, "rows": [[dated(it) for it in row] for row in made["rows"]]}
        return tables


class Lake:
    def __init__(self, rows):
        self.connection = duckdb.connect()
        for name, contract in CONTRACT.items():
            kind = lambda it: TYPES.get(it, it)
            columns = ", ".join(f"{it['name']} {kind(it['type'])}" for it in contract["columns"])
            self.connection.execute(f"create table {name} ({columns})")
            marks = ", ".join("?" for _ in contract["columns"])
            self.connection.executemany(f"insert into {name} values ({marks})", rows[name])

    def ask(self, sql):
        """Rows as dictionaries; a statement may join the spans of time that readers choose."""
        spans = []
        newest = max(it[0] for it in self.connection.execute("select order_date from daily_sales").fetchall())
        back = lambda it: newest - datetime.timedelta(days=it)
        for days in FIGURES["days"]:
            spans.append((days, "now", back(days - 1) if days else back(36_524), back(-36_524)))
            if days:
                spans.append((days, "before", back(2 * days - 1), back(days)))
        values = ", ".join(f"({days}, '{period}', date '{starts}', date '{ends}')" for days, period, starts, ends in spans)
        found = self.connection.execute(f"with ranges(days, period, starts, ends) as (values {values})\n{sql}")
        names = [it[0] for it in found.description]
        self.spans = {(days, period): (starts, ends) for days, period, starts, ends in spans}
        return [dict(zip(names, row)) for row in found.fetchall()]


def averages(rows):
    """Of each day and the six before it, from the seventh day of sales of a currency to the last, and some days after."""
    for currency in CURRENCIES:
        known = {it["order_date"]: float(it["net_sales"]) for it in rows if it["currency"] == currency}
        first, last = min(known), max(known)
        for it in range(-3, (last - first).days + 4):
            day = first + datetime.timedelta(days=it)
            week = [known.get(day - datetime.timedelta(days=back), 0) for back in range(7)]
            is_known = 6 <= it <= (last - first).days
            yield {"currency": currency, "order_date": day, "average": sum(week) / 7 if is_known else None}


def main():
    model = Model(Path(sys.argv[1]))
    compared, measures = 0, set()
    for seed in [7, 8]:
        rows = made_up(seed)
        lake, tables = Lake(rows), model.load(rows)
        dates = [row[0] for row in tables["Date"]["rows"]]

        def computed(title, row, shown_by=()):
            chosen = {}
            if "currency" in row:
                chosen["Currency.Currency"] = [row["currency"]]
            if "days" in row:
                starts, ends = lake.spans[row["days"], row.get("period", "now")]
                chosen["Date.Date"] = [it for it in dates if starts <= it.date() <= ends]
            for column, to in dict(shown_by).items():
                value = row[column]
                chosen[to] = [datetime.datetime.combine(value, datetime.time()) if isinstance(value, datetime.date) else value]
            return engine.evaluate_measure(title, tables, model.formulas, chosen, "Date", "Date", model.joins)

        def same(what, row, title, expected, found):
            nonlocal compared
            compared += 1
            measures.add(title)
            if expected is None or isinstance(expected, datetime.datetime) or isinstance(found, datetime.datetime):
                equal = expected == found
            else:
                equal = abs(float(expected or 0) - float(found or 0)) <= 1e-6 * max(1, abs(float(expected or 0)))
            if not equal:
                sys.exit(f"{what}, {row}: `{title}` is {found} in DAX and {expected} in SQL")

        for tile in FIGURES["tile"]:
            for row in lake.ask(tile["sql"]):
                expected = row["part"] / row["whole"] if row["whole"] else None
                same(tile["name"], row, tile["title"], expected, computed(tile["title"], row))
        for visual in FIGURES["visual"]:
            columns = [it for it in visual.get("columns", []) if "measure" in it]
            if visual["name"] == "cohort_retention":
                columns = [{"name": "customers", "measure": "Customers of the cohort"}]
            for row in lake.ask(visual["sql"]):
                for it in columns:
                    same(visual["name"], row, it["measure"], row[it["name"]], computed(it["measure"], row, SHOWN_BY[visual["name"]]))
        # What the page of the dashboard computes of the rows by itself.
        statement = {it["name"]: it["sql"] for it in FIGURES["visual"]}
        for row in averages(lake.ask(statement["sales_trend"])):
            title = "Net sales, average of 7 days"
            same("the page's averages", row, title, row["average"], computed(title, row, {"order_date": "Date.Date"}))
        cohorts = lake.ask(statement["cohort_retention"])
        sizes = {it["cohort_month"]: it["customers"] for it in cohorts if it["month_offset"] == 0}
        for row in cohorts:
            share = row["customers"] / sizes[row["cohort_month"]]
            same("the page's shares", row, "Cohort retention", share, computed("Cohort retention", row, SHOWN_BY["cohort_retention"]))
        (row,) = lake.ask(FIGURES["freshness"]["sql"])
        for column, title in [("newest_order", "Newest order"), ("newest_gold", "Newest change of gold")]:
            same("freshness", row, title, row[column], computed(title, {}))
    alone = sorted(set(model.formulas) - measures)
    print(f"pbix-mcp: {compared} numbers of {len(measures)} measures are the same in DAX as on the dashboard")
    print(f"  {len(alone)} measures are of Power BI alone: {', '.join(alone)}")


if __name__ == "__main__":
    main()
