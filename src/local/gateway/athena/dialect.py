"""What sqlglot leaves of Trino's dialect for DuckDB to misunderstand, put right in the tree of a statement.

What depends on types comes after that (`typed.py`).
"""

import re

from sqlglot import exp

from statement import Refused

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
# What `date_format` and `date_parse` take, once sqlglot has written it as strftime does.
STRFTIME = set("Y m d H M S B I A a b j p f y V G %".split()) | {"-m", "-d", "-H", "-I"}


def put_right(tree):
    """Returns the tree with names, literals and functions as Trino has them."""
    tree = named(tree)
    # From the inside out: what is replaced is copied as it then is.
    for node in reversed(list(tree.find_all(exp.Func, exp.Extract))):
        change = function(node)
        if change is not None:
            node.replace(change)
    return tree


def function(node):
    """Returns what a call of a function is to DuckDB, where sqlglot has it wrong."""
    if isinstance(node, exp.Anonymous):
        return anonymous(node.name.lower(), node.expressions)
    if isinstance(node, exp.Extract):
        part = {"DOW": "ISODOW", "DAY_OF_WEEK": "ISODOW", "DAYOFWEEK": "ISODOW", "YOW": "ISOYEAR", "YEAR_OF_WEEK": "ISOYEAR"}
        if node.name.upper() in part:
            node.set("this", exp.var(part[node.name.upper()]))
    if isinstance(node, exp.Date) and node.this and not node.expressions:
        return exp.cast(node.this.copy(), "date")
    if isinstance(node, (exp.TimeToStr, exp.StrToTime)):
        pattern = node.args.get("format")
        if isinstance(node, exp.TimeToStr) and pattern is not None and pattern.is_string:
            pattern.set("this", pattern.name.replace("%v", "%V"))
        codes = re.findall("%(-?.?)", pattern.name, re.S) if pattern is not None and pattern.is_string else [None]
        for code in codes:
            if code not in STRFTIME:
                raise Refused("NOT_SUPPORTED", f"this format of a date is not supported here: {pattern.sql(dialect='trino')}")
    if isinstance(node, exp.RegexpExtract):
        # Nothing that fits is nothing, and not an empty text.
        fits = exp.RegexpLike(this=node.this.copy(), expression=node.expression.copy())
        return exp.Case(ifs=[exp.If(this=fits, true=node.copy())])
    if isinstance(node, exp.SplitPart):
        parts = exp.Anonymous(this="string_split", expressions=[node.this.copy(), node.args["delimiter"].copy()])
        there = exp.LTE(this=node.args["part_index"].copy(), expression=exp.Anonymous(this="len", expressions=[parts]))
        return exp.Case(ifs=[exp.If(this=there, true=node.copy())])
    if isinstance(node, exp.Format):
        said = "format is not supported here: round the number or cast it to a decimal, and that to varchar"
        raise Refused("NOT_SUPPORTED", said)
    return None


def anonymous(name, arguments):
    """Returns what a function that sqlglot does not know is to DuckDB."""
    if name in ("nan", "infinity") and not arguments:
        return exp.cast(exp.Literal.string({"nan": "NaN"}.get(name, "Infinity")), "double")
    if name == "format_datetime" and len(arguments) == 2:
        if not arguments[1].is_string:
            raise Refused("NOT_SUPPORTED", "the format of format_datetime has to be a text here")
        moment = exp.cast(arguments[0].copy(), "timestamp")
        return exp.Anonymous(this="strftime", expressions=[moment, exp.Literal.string(strftime(arguments[1].name))])
    if name == "at_timezone" and len(arguments) == 2:
        return exp.AtTimeZone(this=exp.Paren(this=arguments[0].copy()), zone=arguments[1].copy())
    if name == "millisecond" and len(arguments) == 1:
        # DuckDB's counts the seconds as well.
        whole = exp.Anonymous(this="millisecond", expressions=[arguments[0].copy()])
        return exp.Paren(this=exp.Mod(this=whole, expression=exp.Literal.number("1000")))
    return None


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


def strftime(pattern):
    """Turns Joda's letters into strftime's; text in quotes stands as it is."""
    out, at = "", 0
    while at < len(pattern):
        if pattern[at] == "'":
            end = pattern.find("'", at + 1)
            end = len(pattern) if end < 0 else end
            out, at = out + (pattern[at + 1 : end] or "'").replace("%", "%%"), end + 1
            continue
        run = re.match(r"([A-Za-z])\1*|.", pattern[at:], re.S)[0]
        if run[0].isalpha() and run not in JODA:
            raise Refused("NOT_SUPPORTED", f"the letters {run} in a format of a date are not supported here")
        out, at = out + (JODA.get(run) or run.replace("%", "%%")), at + len(run)
    return out
