"""A statement as it was given: read as Trino's dialect, its parameters in their places, and what is known of its words."""

import re

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import Token, TokenType

TRINO = Dialect.get_or_raise("trino")
# What a parameter cannot hold: it is a value, and knows nothing of the statement.
NO_VALUE = (exp.Column, exp.Query, exp.Table, exp.Placeholder, exp.Parameter, exp.AggFunc, exp.Window, exp.Star)


class Refused(Exception):
    """What Athena would answer with: a name of its own, a place in the statement where there is one, and a text."""

    def __init__(self, name, text, place=None):
        where = f"line {place[0]}:{place[1]}: " if place else ""
        super().__init__(f"{name}: {where}{text}" if name else f"{where}{text}")


class Statement:
    """The tree of a statement. Places are those of the text as it was given, whatever its parameters hold."""

    def __init__(self, text, parameters):
        self.text = text
        tokens = read(text)
        holes = sum(it.token_type == TokenType.PLACEHOLDER for it in tokens)
        if holes != len(parameters):
            said = f"Incorrect number of parameters: expected {holes} but found {len(parameters)}"
            raise Refused("INVALID_PARAMETER_USAGE", said)
        try:
            trees = [it for it in TRINO.parser().parse(filled(tokens, parameters), text) if it is not None]
        except sqlglot.errors.ParseError as err:
            known = (err.errors or [{}])[0]
            raise self.misread(known.get("highlight"), known.get("start_context")) from None
        if len(trees) != 1:
            raise Refused("", "Only one sql statement is allowed. Got: " + text, None)
        self.tree = trees[0]

    def misread(self, token, before):
        """Finds where reading stopped: sqlglot gives the last words before it."""
        at = self.text.find((before or "")[-40:] + (token or "")) if token else -1
        at = at + len((before or "")[-40:]) if at >= 0 else len(self.text)
        shown = f"'{token}'" if token and token.strip() else "'<EOF>'"
        return Refused("", f"mismatched input {shown}", place_in(self.text, at))

    def place_of(self, node):
        start = node.meta.get("start") if node is not None else None
        return None if start is None else place_in(self.text, start)

    def place_of_column(self, name):
        for column in self.tree.find_all(exp.Column):
            if column.name.lower() == name.lower() and column.this.meta.get("start") is not None:
                return self.place_of(column.this)
        return None

    def place_of_function(self, name):
        found = re.search(rf"\b{re.escape(name)}\s*\(", self.text, re.IGNORECASE)
        return place_in(self.text, found.start()) if found else None


def read(text):
    """Splits a text into its words. A decimal in quotes becomes the number that it stands for."""
    try:
        tokens = list(TRINO.tokenize(text))
    except sqlglot.errors.TokenError as err:
        raise Refused("", f"{err}", (1, 1)) from None
    out = []
    for token in tokens:
        plain = re.fullmatch(r"\s*([+-]?)(\d*\.?\d*)\s*", token.text) if token.token_type == TokenType.STRING else None
        if plain and plain[2].strip(".") and out and out[-1].token_type == TokenType.DECIMAL:
            # `decimal '1.50'` is 1.50, and `cast('1.50' as decimal)` is 2.
            named = out.pop()
            number = plain[2] if "." in plain[2] else plain[2] + "."
            sign = [(TokenType.DASH, "-")] if plain[1] == "-" else []
            words = [(TokenType.L_PAREN, "("), *sign, (TokenType.NUMBER, number), (TokenType.R_PAREN, ")")]
            out += [at_place_of(named, *it) for it in words]
        else:
            out.append(token)
    return out


def filled(tokens, parameters):
    """Puts the values of parameters where their marks stand, in the order of the text."""
    values, out = iter(enumerate(parameters, 1)), []
    for token in tokens:
        if token.token_type != TokenType.PLACEHOLDER:
            out.append(token)
            continue
        words = [(it.token_type, it.text) for it in value_of(*next(values))]
        if len(words) > 1:
            words = [(TokenType.L_PAREN, "("), *words, (TokenType.R_PAREN, ")")]
        out += [at_place_of(token, *it) for it in words]
    return out


def value_of(number, text):
    """Reads a parameter: one value, such as 5, 'text' or DATE '2024-01-31', and nothing else."""
    wrong = Refused("INVALID_PARAMETER_USAGE", f"parameter {number} is not one SQL value: {text} (text stands in quotes: 'text')")
    try:
        tokens = read(text)
        trees = TRINO.parser().parse(list(tokens), text)
    except (Refused, sqlglot.errors.SqlglotError):
        raise wrong from None
    if len(trees) != 1 or trees[0] is None or isinstance(trees[0], exp.Command):
        raise wrong
    if not isinstance(trees[0], (exp.Condition, exp.Interval)) or any(isinstance(it, NO_VALUE) for it in trees[0].walk()):
        raise wrong
    return tokens


def at_place_of(token, kind, text):
    return Token(kind, text, token.line, token.col, token.start, token.end)


def place_in(text, offset):
    """Counts lines and columns from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
