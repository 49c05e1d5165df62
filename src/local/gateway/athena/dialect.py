"""What sqlglot leaves of Trino's dialect for DuckDB to misunderstand, put right in the tree of a statement."""

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

# Joda's letters for dates, as `format_datetime` takes them, with strftime's. The longest come first.
JODA = {
    "yyyy": "%Y",
    "YYYY": "%Y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "dd": "%d",
    "EEEE": "%A",
    "EEE": "%a",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSS": "%g",
    "yy": "%y",
    "M": "%-m",
    "d": "%-d",
    "H": "%-H",
    "a": "%p",
    "w": "%V",
}
# Trino's precision of integers that become decimals.
DIGITS = {exp.DataType.Type.TINYINT: 3, exp.DataType.Type.SMALLINT: 5, exp.DataType.Type.INT: 10, exp.DataType.Type.BIGINT: 19}

# What DuckDB gives a wider type than Trino.
NARROWED = (exp.Div, exp.Avg, exp.TimestampTrunc, exp.DateTrunc, exp.DateAdd, exp.DateSub, exp.Add, exp.Sub)


def put_right(tree, schema):
    """Returns the tree with names, literals and divisions as Trino has them."""
    tree = named(tree)
    for cast in tree.find_all(exp.Cast):
        if cast.to.is_type("decimal") and not cast.to.expressions and cast.this.is_string:
            cast.set("to", exp.DataType.build("decimal({}, {})".format(*shape_of_literal(cast.this.name))))
    for call in list(tree.find_all(exp.Anonymous)):
        if call.name.lower() in ("nan", "infinity"):
            call.replace(exp.cast(exp.Literal.string(call.name), "double"))
        if call.name.lower() == "format_datetime" and len(call.expressions) == 2 and call.expressions[1].is_string:
            moment, pattern = call.expressions
            moment = exp.cast(moment.copy(), "timestamp")
            call.replace(exp.Anonymous(this="strftime", expressions=[moment, exp.Literal.string(strftime(pattern.name))]))
    if tree.find(*NARROWED):
        narrow(tree, schema)
    return tree


def named(tree):
    """Names what has no name as Athena does: `_col0`."""
    select = tree
    while isinstance(select, (exp.SetOperation, exp.Subquery)):
        select = select.this
    if isinstance(select, exp.Select):
        for at, it in enumerate(list(select.expressions)):
            if not isinstance(it, (exp.Alias, exp.Column, exp.Star)) and not it.is_star:
                it.replace(exp.alias_(it.copy(), f"_col{at}"))
    if isinstance(select, exp.Values):
        names = [f"_col{at}" for at in range(len(select.expressions[0].expressions))]
        return exp.select("*").from_(exp.alias_(exp.Subquery(this=select.copy()), "rows", table=names))
    return tree


def narrow(tree, schema):
    """Gives results the types that Trino gives them: what is computed from decimals stays decimal, from dates a date.

    What the operands are must be known for that. Where it cannot be told, DuckDB's own stands: the same value, as a double
    or a timestamp.
    """
    for mark, node in enumerate(tree.walk()):
        node.meta["mark"] = mark
    try:
        typed = qualify(tree.copy(), schema=schema, dialect="trino", validate_qualify_columns=False, quote_identifiers=False)
        typed = annotate_types(typed, schema=schema, dialect="trino")
    except (SqlglotError, AttributeError, KeyError, TypeError, ValueError):
        return
    kinds = {it.meta.get("mark"): narrowed(it) for it in typed.find_all(*NARROWED)}
    for node in list(tree.find_all(*NARROWED)):
        if kind := kinds.get(node.meta["mark"]):
            node.replace(exp.Paren(this=exp.cast(node.copy(), kind)))


def narrowed(node):
    """Returns the type that Trino gives, where DuckDB gives a wider one."""
    if isinstance(node, exp.Div):
        kind = quotient(node.this, node.expression)
        return kind and "decimal({}, {})".format(*kind)
    if isinstance(node, exp.Avg):
        kind = shape_of(node.this) if is_decimal(node.this) else None
        return kind and "decimal({}, {})".format(*kind)
    if isinstance(node, (exp.TimestampTrunc, exp.DateTrunc)):
        return "date" if node.this.is_type("date") else None
    unit = node.args.get("unit") or (node.expression.args.get("unit") if isinstance(node.expression, exp.Interval) else None)
    days = unit is not None and unit.name.lower().rstrip("s") in ("day", "week", "month", "quarter", "year")
    return "date" if days and node.this.is_type("date") else None


def is_decimal(node):
    node = node.unnest()
    literal = isinstance(node, exp.Literal) and not node.is_string and "." in node.name and "e" not in node.name.lower()
    return literal or node.is_type("decimal")


def quotient(left, right):
    """Returns precision and scale of a quotient ("Decimal functions and operators" in Trino's documentation)."""
    if not (is_decimal(left) or is_decimal(right)):
        return None
    left, right = shape_of(left), shape_of(right)
    if not left or not right:
        return None
    (p, s), (q, t) = left, right
    return min(38, p + t + max(0, t - s)), max(s, t)


def shape_of(node):
    """Returns precision and scale of what is a decimal or becomes one."""
    node = node.unnest()
    if isinstance(node, exp.Literal) and not node.is_string:
        return shape_of_literal(node.name)
    if isinstance(node, (exp.Sum, exp.Max, exp.Min, exp.Nullif, exp.Coalesce, exp.Filter, exp.Window, exp.Abs, exp.Neg)):
        inner = shape_of(node.this)
        return (38, inner[1]) if inner and isinstance(node, exp.Sum) else inner
    if isinstance(node, (exp.Add, exp.Sub)):
        left, right = shape_of(node.this), shape_of(node.expression)
        return (38, max(left[1], right[1])) if left and right else None
    if isinstance(node, exp.Mul):
        left, right = shape_of(node.this), shape_of(node.expression)
        return (38, left[1] + right[1]) if left and right else None
    kind = node.type
    if kind is None:
        return None
    if kind.this == exp.DataType.Type.DECIMAL and len(kind.expressions) == 2:
        return tuple(int(it.name) for it in kind.expressions)
    return (DIGITS[kind.this], 0) if kind.this in DIGITS else None


def shape_of_literal(text):
    whole, _, rest = text.strip("+-").partition(".")
    return max(1, len(whole.lstrip("0")) + len(rest)), len(rest)


def strftime(pattern):
    """Turns Joda's letters into strftime's; text in quotes stands as it is."""
    out, at = "", 0
    while at < len(pattern):
        if pattern[at] == "'":
            end = pattern.find("'", at + 1)
            end = len(pattern) if end < 0 else end
            out, at = out + (pattern[at + 1 : end] or "'"), end + 1
            continue
        letters = next((it for it in JODA if pattern.startswith(it, at)), None)
        out, at = out + (JODA[letters] if letters else pattern[at]), at + len(letters or " ")
    return out
