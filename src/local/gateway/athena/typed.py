"""What depends on types, as Trino computes it: quotients, averages, sums, casts, differences of dates, time zones; and what
Trino compares or joins with what, where DuckDB would cast.

The types are those that DuckDB finds when it binds the statement, so they are right wherever they come from. Where Trino's
result cannot be had, the statement is refused: what is answered is what Athena answers.
"""

import re

import duckdb
from sqlglot import exp

from statement import Refused

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
# How many digits an integer has once it becomes a decimal.
DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10}
FLOATING = {"DOUBLE", "FLOAT"}
TIMESTAMPS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
ZONED = "TIMESTAMP WITH TIME ZONE"
DAYS = {"day", "week", "month", "quarter", "year"}
UNITS = DAYS | {"millisecond", "second", "minute", "hour"}

# What texts Trino casts; DuckDB takes more, and reads some of it otherwise ('1.5' as an integer is 2).
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
DATE = r"\s*[+-]?[0-9]+-[0-9]{1,2}-[0-9]{1,2}"
TIME = r"[0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]+)?)?"
READABLE = {
    "tinyint": "[+-]?[0-9]+",
    "smallint": "[+-]?[0-9]+",
    "int": "[+-]?[0-9]+",
    "bigint": "[+-]?[0-9]+",
    "float": rf"\s*({NUMBER}|[+-]?Infinity|NaN)\s*",
    "double": rf"\s*({NUMBER}|[+-]?Infinity|NaN)\s*",
    "decimal": NUMBER,
    "boolean": "(?i)t|true|1|f|false|0",
    "date": rf"{DATE}\s*",
    "timestamp": rf"{DATE}( {TIME})?\s*",
    "timestamptz": rf"{DATE}( {TIME}\s*(\S+)?)?\s*",
    "time": TIME,
}
KINDS = {
    exp.DataType.Type.TIMESTAMP: "timestamp",
    exp.DataType.Type.TIMESTAMP_S: "timestamp",
    exp.DataType.Type.TIMESTAMP_MS: "timestamp",
    exp.DataType.Type.TIMESTAMPTZ: "timestamptz",
    exp.DataType.Type.TEXT: "varchar",
}
WHOLE = ("tinyint", "smallint", "int", "bigint")
# What asks a moment with a zone for nothing but what a clock in that zone shows.
CLOCKS = (
    *(exp.Extract, exp.Year, exp.Quarter, exp.Month, exp.Week, exp.WeekOfYear, exp.Day, exp.DayOfMonth, exp.DayOfYear),
    *(exp.DayOfWeek, exp.DayOfWeekIso, exp.Hour, exp.Minute, exp.Second, exp.TimeToStr, exp.Date),
)


def right_types(tree, connection):
    """Returns the tree with what needs types put right, from the inside of the statement to its outside."""
    types = Types(tree, connection)
    types.run()
    return types.root.this


class Types:
    def __init__(self, tree, connection):
        # The root itself may be replaced.
        self.root, self.connection = exp.Paren(this=tree), connection
        self.rules = {
            exp.Div: (self.both, quotient),
            exp.Add: (self.both, plus),
            exp.Sub: (self.both, minus),
            exp.DateAdd: (self.first, moved),
            exp.DateSub: (self.first, moved),
            exp.DateDiff: (self.both, difference),
            exp.TimestampTrunc: (self.first, truncated),
            exp.DateTrunc: (self.first, truncated),
            exp.Avg: (self.argument, average),
            exp.Sum: (self.argument, total),
            exp.CountIf: (self.nothing, counted),
            exp.Round: (self.first, rounded),
            exp.Cast: (self.first, cast),
            exp.TryCast: (self.first, cast),
            exp.AtTimeZone: (self.first, zoned),
            exp.EQ: (self.both, compared("=")),
            exp.NEQ: (self.both, compared("<>")),
            exp.LT: (self.both, compared("<")),
            exp.LTE: (self.both, compared("<=")),
            exp.GT: (self.both, compared(">")),
            exp.GTE: (self.both, compared(">=")),
            exp.NullSafeEQ: (self.both, compared("IS DISTINCT FROM")),
            exp.NullSafeNEQ: (self.both, compared("IS DISTINCT FROM")),
            exp.Between: (self.bounds, between),
            exp.In: (self.members, within_list),
            exp.DPipe: (self.both, joined),
            exp.Like: (self.both, alike),
            exp.Coalesce: (self.all, of_one_type),
        }

    def run(self):
        for scope in scopes(self.root):
            own = [it for it in within(scope) if type(it) in self.rules]
            heights = heights_of(own)
            # Equal expressions, such as one that is grouped by, are changed together: so the statement always binds.
            for height in sorted(set(heights.values())):
                alike = {}
                for node in own:
                    if heights[id(node)] == height:
                        alike.setdefault(node.sql().lower(), []).append(node)
                known = [(nodes, self.ask(scope, nodes)) for nodes in alike.values()]
                for nodes, kinds in known:
                    for node in nodes:
                        change = self.rules[type(node)][1](node, *kinds)
                        if change is not None:
                            node.replace(change)

    def both(self, node):
        return [node.this, node.expression]

    def first(self, node):
        return [node.this]

    def argument(self, node):
        return [node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this]

    def bounds(self, node):
        return [node.this, node.args["low"], node.args["high"]]

    def members(self, node):
        return [node.this, *node.expressions] if node.expressions else []

    def all(self, node):
        return [node.this, *node.expressions]

    def nothing(self, _):
        return []

    def ask(self, scope, nodes):
        """Returns the types of what a node is made of: DuckDB tells them in refusing a function that takes nothing."""
        operands = self.rules[type(nodes[0])][0]
        if not operands(nodes[0]):
            return []
        kinds = [known(it) for it in operands(nodes[0])]
        if all(kinds):
            return kinds
        marked = []
        for node in nodes:
            wanted = operands(node)
            mark = exp.Anonymous(this="pi", expressions=[it.copy() for it in wanted])
            wanted[0].replace(mark)
            marked.append((mark, wanted[0]))
        try:
            try:
                return self.bind(self.alone(scope), len(kinds))
            except duckdb.Error:
                # It uses what is around it.
                pass
            try:
                return self.bind(self.root.this.sql(dialect="duckdb"), len(kinds))
            except duckdb.Error:
                # What was grouped by may no longer be recognised with a mark in it.
                mark = marked[0][0]
                kept = {key: scope.args.get(key) for key in ("expressions", "group", "having", "order", "distinct", "limit")}
                if not isinstance(scope, exp.Select):
                    raise
                for key in kept:
                    scope.set(key, [mark.copy()] if key == "expressions" else None)
                try:
                    return self.bind(self.root.this.sql(dialect="duckdb"), len(kinds))
                except duckdb.Error:
                    pass
                finally:
                    for key, value in kept.items():
                        scope.set(key, value)
                raise
        finally:
            for mark, operand in marked:
                mark.replace(operand)

    def alone(self, scope):
        """Writes a query without those around it, which may be large; what they define before it goes along."""
        defined, inner, node = [], scope, scope.parent
        while node is not None:
            clause = node.args.get("with_") if isinstance(node, exp.Query) else None
            if clause is not None and clause is not inner:
                defined = [clause, *defined]
            elif clause is not None:
                defined = [exp.With(expressions=[it.copy() for it in clause.expressions[: self.depth(scope, clause)]])] + defined
            inner, node = node, node.parent
        if not defined or not isinstance(scope, exp.Query):
            return (self.root.this if scope is self.root else scope).sql(dialect="duckdb")
        whole = scope.copy()
        own = whole.args.get("with_")
        clauses = [*defined, *([own] if own is not None else [])]
        tables = [it.copy() for clause in clauses for it in clause.expressions]
        whole.set("with_", exp.With(expressions=tables, recursive=any(it.args.get("recursive") for it in clauses)) if tables else None)
        return whole.sql(dialect="duckdb")

    def depth(self, scope, clause):
        """Says which definition of a clause a query stands in."""
        return next((at for at, it in enumerate(clause.expressions) if is_below(scope, it)), 0)

    def bind(self, sql, count):
        try:
            self.connection.sql(sql)
        except duckdb.BinderException as err:
            if found := re.search(r"argument types 'pi\((.*)\)'\. You might", str(err)):
                return [kind_of(it) for it in split(found[1], count)]
            raise
        raise Refused("NOT_SUPPORTED", "the type of an expression cannot be told; cast it to the type that is meant")


def scopes(root):
    """Lists the queries of a tree, each after those that it is made of; the root is the last."""
    found = []

    def visit(node):
        own = isinstance(node, exp.Query)
        first = ("with", "with_", "from", "from_", "joins", "laterals") if own else ()
        for key in [*first, *(it for it in node.args if it not in first)]:
            value = node.args.get(key)
            for it in value if isinstance(value, list) else [value]:
                if isinstance(it, exp.Expression):
                    visit(it)
        if own:
            found.append(node)

    visit(root)
    return [*found, root]


def within(scope):
    """Lists what belongs to a query itself, and not to one within it."""
    return [it for it in scope.walk(prune=lambda it: it is not scope and isinstance(it, exp.Query)) if it is scope or not isinstance(it, exp.Query)]


def is_below(node, above):
    while node is not None and node is not above:
        node = node.parent
    return node is above


def heights_of(nodes):
    """Says of each node how many of the others stand below it, one above the other, what belongs to an aggregate included."""
    own, found = {id(it): it for it in nodes}, {}

    def height(node):
        if id(node) not in found:
            below = (it for it in within(outermost(node)) if id(it) in own and it is not node)
            found[id(node)] = 1 + max(map(height, below), default=0)
        return found[id(node)]

    for it in nodes:
        height(it)
    return found


def known(node):
    """Tells the type of what says it itself."""
    node = node.unnest()
    if isinstance(node, exp.Literal):
        if node.is_string:
            return "VARCHAR"
        if "e" in node.name.lower():
            return "DOUBLE"
        if "." in node.name:
            whole, _, rest = node.name.partition(".")
            return f"DECIMAL({max(1, len(whole.lstrip('0')) + len(rest))},{len(rest)})"
        return "INTEGER" if int(node.name) < 2**31 else "BIGINT"
    return "INTERVAL" if isinstance(node, exp.Interval) else None


def split(text, count):
    """Splits a list of types; those within parentheses stay together."""
    out, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            out.append("")
        else:
            out[-1] += letter
    return [it.strip() for it in out] if len(out) == count else [text] * count


def kind_of(text):
    return {"INTEGER_LITERAL": "INTEGER", "STRING_LITERAL": "VARCHAR", '"NULL"': "NULL"}.get(text, text)


def shape(kind):
    """Returns precision and scale of a decimal, or of the decimal that an integer becomes."""
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
        return int(found[1]), int(found[2])
    return (DIGITS.get(kind, 19), 0) if kind in INTEGERS else None


def is_decimal(kind):
    return kind.startswith("DECIMAL(") and kind.endswith(")")


def number(text):
    return exp.Literal.number(text)


def call(name, *arguments):
    return exp.Anonymous(this=name, expressions=[it.copy() for it in arguments])


def enclosed(node):
    return exp.Paren(this=node.copy())


def mismatch(operator, left, right):
    return Refused("TYPE_MISMATCH", f"Cannot apply operator: {words(left)} {operator} {words(right)}")


def words(kind):
    return {"DOUBLE": "double", "FLOAT": "real", ZONED: "timestamp with time zone"}.get(kind, kind.lower().replace(",", ", "))


def family(kind):
    """Returns what all types have in common that Trino compares with each other; nothing where that is not known here."""
    if kind in INTEGERS or kind in FLOATING or is_decimal(kind):
        return "number"
    if kind == "DATE" or kind == ZONED or kind in TIMESTAMPS:
        return "moment"
    return kind if kind in ("VARCHAR", "BOOLEAN") else None


def differ(*kinds):
    return len({it for it in map(family, kinds) if it}) > 1


def as_given(node, kind):
    """A literal's length is part of its type."""
    node = node.unnest()
    return f"varchar({len(node.name)})" if isinstance(node, exp.Literal) and node.is_string else words(kind)


def compared(operator):
    def rule(node, left, right):
        if differ(left, right):
            given = as_given(node.this, left), as_given(node.expression, right)
            raise Refused("TYPE_MISMATCH", f"Cannot apply operator: {given[0]} {operator} {given[1]}")

    return rule


def between(node, value, low, high):
    if differ(value, low, high):
        given = [as_given(*it) for it in zip((node.this, node.args["low"], node.args["high"]), (value, low, high))]
        raise Refused("TYPE_MISMATCH", f"Cannot check if {given[0]} is BETWEEN {given[1]} and {given[2]}")


def within_list(node, *kinds):
    if kinds and differ(*kinds):
        given = ", ".join(dict.fromkeys(as_given(*it) for it in zip([node.this, *node.expressions], kinds)))
        raise Refused("TYPE_MISMATCH", f"All values of an IN list must be of the type of what is looked for: {given}")


def joined(node, left, right):
    """Text is joined to text, and arrays to arrays; numbers are to be cast."""
    texts = [it for it in (left, right) if family(it) in ("number", "moment", "BOOLEAN")]
    if texts:
        given = f"{as_given(node.this, left)}, {as_given(node.expression, right)}"
        raise Refused("FUNCTION_NOT_FOUND", f"Unexpected parameters ({given}) for function concat")


def alike(node, value, pattern):
    for side, what, kind in ((node.this, "Left side of LIKE expression", value), (node.expression, "Pattern for LIKE expression", pattern)):
        if family(kind) not in ("VARCHAR", None):
            raise Refused("TYPE_MISMATCH", f"{what} must evaluate to a varchar (actual: {as_given(side, kind)})")


def of_one_type(node, *kinds):
    if differ(*kinds):
        given = ", ".join(dict.fromkeys(as_given(*it) for it in zip([node.this, *node.expressions], kinds)))
        raise Refused("TYPE_MISMATCH", f"All COALESCE operands must be the same type: {given}")


def quotient(node, left, right):
    """As Trino divides: integers towards nothing, floating point as IEEE 754, decimals exactly, rounded half up."""
    if "NULL" in (left, right) or left == "INTERVAL":
        return None
    for kind in (left, right):
        if not (kind in INTEGERS or kind in FLOATING or is_decimal(kind)):
            raise mismatch("/", left, right)
    if left in INTEGERS and right in INTEGERS:
        return exp.Paren(this=exp.IntDiv(this=enclosed(node.this), expression=enclosed(node.expression)))
    if left in FLOATING or right in FLOATING:
        as_double = [exp.cast(it.copy(), "double") if is_decimal(kind) else it.copy() for it, kind in
                     ((node.this, left), (node.expression, right))]
        return exp.Paren(this=exp.Div(this=exp.Paren(this=as_double[0]), expression=exp.Paren(this=as_double[1]), typed=True))
    (p, s), (_, t) = shape(left), shape(right)
    scale = max(s, t)
    return exact(node.this, node.expression, t, min(38, p + t + max(0, t - s)), scale)


def exact(above, below, scale_below, precision, scale):
    """Divides decimals as integers ("Decimal functions and operators" in Trino's documentation)."""
    above = exp.cast(exp.Mul(this=enclosed(above), expression=number(f"1{'0' * (scale + scale_below)}.")), "int128")
    below = exp.cast(exp.Mul(this=enclosed(below), expression=number(f"1{'0' * scale_below}.")), "int128")
    whole = call("exact_quotient", above, below)
    unit = number(f"0.{'0' * (scale - 1)}1") if scale else number("1.")
    made = exp.Mul(this=exp.cast(whole, "decimal(38, 0)"), expression=unit)
    return exp.cast(made, f"decimal({precision}, {scale})")


def plus(node, left, right):
    return summed(node, "+", left, right)


def minus(node, left, right):
    if left == right == "DATE":
        days = exp.Sub(this=node.this.copy(), expression=node.expression.copy())
        return call("to_days", exp.cast(exp.Paren(this=days), "int"))
    return summed(node, "-", left, right)


def summed(node, operator, left, right):
    moments = {"DATE", ZONED, *TIMESTAMPS}
    if right in moments and left == "INTERVAL":
        node, left, right = exp.Add(this=node.expression, expression=node.this), right, left
    if left in moments and right == "INTERVAL":
        # `2 * interval '1' day` is an interval as well.
        units = {unit_of(it) for it in node.expression.find_all(exp.Interval)} or {"second"}
        return moment(node, left, units)
    if "VARCHAR" in (left, right) or (left in moments) != (right in moments) and "NULL" not in (left, right):
        raise mismatch(operator, left, right)
    return None


def moved(node, kind):
    if kind == "VARCHAR":
        raise Refused("TYPE_MISMATCH", "date_add takes a date or a timestamp, and was given text: cast it")
    return moment(node, kind, {unit_of(node)})


def unit_of(node):
    unit = node.args.get("unit")
    return unit.name.lower().rstrip("s") if isinstance(unit, (exp.Var, exp.Literal)) else "second"


def moment(node, kind, units):
    """A date that is moved stays a date, and is moved by days."""
    if kind != "DATE":
        return None
    for unit in units - DAYS:
        raise Refused("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid DATE field")
    return exp.cast(exp.Paren(this=node.copy()), "date")


def difference(node, end, start):
    """Whole units, not how often one began."""
    unit = node.args.get("unit")
    name = unit.name.lower() if unit is not None else "day"
    if name not in UNITS or end == start == "DATE" and name not in DAYS:
        kind = "DATE" if end == start == "DATE" else "TIMESTAMP"
        raise Refused("INVALID_FUNCTION_ARGUMENT", f"'{name}' is not a valid {kind} field")
    for kind in (end, start):
        if kind not in {"DATE", "NULL", ZONED, *TIMESTAMPS}:
            raise Refused("TYPE_MISMATCH", f"date_diff takes dates or timestamps, and was given {words(kind)}: cast it")
    return call("date_sub", exp.Literal.string(name), node.expression, node.this)


def truncated(node, kind):
    if kind == "VARCHAR":
        raise Refused("TYPE_MISMATCH", "date_trunc takes a date or a timestamp, and was given text: cast it")
    return exp.cast(node.copy(), "date") if kind == "DATE" else None


def outermost(node):
    """An aggregate with its FILTER and OVER."""
    while isinstance(node.parent, (exp.Filter, exp.Window, exp.WithinGroup)) and node.parent.this is node:
        node = node.parent
    return node


def average(node, kind):
    whole = outermost(node)
    if kind == "FLOAT":
        return wrapped(whole, "float")
    if not is_decimal(kind):
        return None

    def decorated(new):
        node.replace(new)
        made = whole.copy() if whole is not node else new.copy()
        new.replace(node)
        return made

    above, below = decorated(exp.Sum(this=node.this.copy())), decorated(exp.Count(this=node.this.copy()))
    _, scale = shape(kind)
    below = exp.cast(exp.Nullif(this=below, expression=number("0")), "decimal(19, 0)")
    whole.replace(exact(above, below, 0, shape(kind)[0], scale))


def total(node, kind):
    if kind == "BOOLEAN":
        raise Refused("FUNCTION_NOT_FOUND", "Unexpected parameters (boolean) for function sum")
    whole = outermost(node)
    to = "bigint" if kind in INTEGERS else "float" if kind == "FLOAT" else None
    if to:
        wrapped(whole, to)


def counted(node):
    wrapped(outermost(node), "bigint")


def wrapped(whole, kind):
    """Casts an aggregate with all that belongs to it."""
    whole.replace(exp.cast(whole.copy(), kind))


def rounded(node, kind):
    if not is_decimal(kind) or not node.args.get("decimals"):
        return None
    precision, scale = shape(kind)
    return exp.cast(node.copy(), f"decimal({min(38, precision + 1)}, {scale})")


def cast(node, kind):
    to = KINDS.get(node.to.this, node.to.this.value.lower())
    if to == "decimal" and not node.to.expressions:
        node.to.set("expressions", [exp.DataTypeParam(this=number(it)) for it in ("38", "0")])
    if kind == "VARCHAR" and to in READABLE:
        return readable(node, to)
    if kind in FLOATING and to in WHOLE:
        node.set("this", call("round", node.this))
    elif kind in FLOATING and to == "decimal":
        node.set("this", exp.cast(node.this.copy(), "text"))
    elif to == "varchar":
        return text(node, kind)
    elif to == "char":
        raise Refused("NOT_SUPPORTED", "char(n) is not supported here: use varchar")
    return None


def readable(node, to):
    """Casts only those texts that Trino does. The others stay in quotes, so that the cast says which it was."""
    value = node.this.copy()
    if isinstance(value, exp.Literal) and to == "timestamptz":
        zone = re.fullmatch(rf"{DATE}(?: {TIME}\s*(\S+)?)?\s*", value.name)
        if zone and zone[zone.lastindex or 0] and zone[3] and zone[3].upper() not in ("UTC", "Z", "+00:00"):
            raise Refused("NOT_SUPPORTED", f"times in the zone {zone[3]} are not supported here: give them in UTC")
    # No function that may fail on purpose: TRY does not take one.
    quoted = exp.DPipe(this=exp.DPipe(this=exp.Literal.string('"'), expression=value.copy()), expression=exp.Literal.string('"'))
    fits = call("regexp_full_match", value, exp.Literal.string(READABLE[to]))
    node.set("this", exp.Case(ifs=[exp.If(this=fits, true=value.copy())], default=quoted))
    return None


def text(node, kind):
    """Writes a value as Trino does, and cuts it to the length that is asked for."""
    value = node.this
    if kind in FLOATING:
        made = call("java_" + kind.lower(), value)
    elif kind in TIMESTAMPS or kind == ZONED:
        literals = [it for it in value.find_all(exp.Cast) if it.this.is_string]
        if kind in ("TIMESTAMP", ZONED) and any(it.to.expressions and it.to.expressions[0].name != "3" for it in literals):
            raise Refused("NOT_SUPPORTED", "how many digits of seconds the text has depends on its literals: use date_format")
        pattern = "%Y-%m-%d %H:%M:%S" + ("" if kind == "TIMESTAMP_S" else ".%g") + (" UTC" if kind == ZONED else "")
        plain = exp.cast(value.copy(), "timestamp")
        made = call("strftime", plain, exp.Literal.string(pattern))
    elif kind == "JSON":
        made = call("json_extract_string", value, exp.Literal.string("$"))
    elif kind in INTEGERS or is_decimal(kind) or kind in ("VARCHAR", "DATE", "BOOLEAN", "NULL"):
        made = exp.cast(value.copy(), "text")
    else:
        raise Refused("NOT_SUPPORTED", f"Cannot cast {words(kind)} to varchar here")
    if node.to.expressions:
        made = call("left", made, number(node.to.expressions[0].name))
    return made


def zoned(node, kind):
    """A moment does not change with the zone that it is shown in: only what a clock there shows can be given here."""
    if kind not in TIMESTAMPS and kind != ZONED:
        raise Refused("TYPE_MISMATCH", f"AT TIME ZONE takes a timestamp, and was given {words(kind)}: cast it")
    instant = node.this.copy() if kind == ZONED else exp.cast(node.this.copy(), "timestamptz")
    if node.args["zone"].is_string and node.args["zone"].name.upper() == "UTC":
        return instant
    use = node.parent
    while isinstance(use, (exp.Paren, exp.TimestampTrunc, exp.DateTrunc)):
        use = use.parent
    plain = isinstance(use, exp.Cast) and KINDS.get(use.to.this, use.to.this.value.lower()) in ("timestamp", "date", "time")
    if not plain and not isinstance(use, CLOCKS):
        said = "what stays in another time zone is not supported here: cast(x AT TIME ZONE z AS timestamp) gives what a clock there shows"
        raise Refused("NOT_SUPPORTED", said)
    return exp.AtTimeZone(this=exp.Paren(this=instant), zone=node.args["zone"].copy())
