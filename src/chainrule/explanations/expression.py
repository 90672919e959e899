"""Arithmetic as people type it, read into a tree. Nothing is evaluated by Python: only what stands here is understood.

sum      product  [+|- product]...
product  signed   [*|/ signed]...
signed   [+|-] signed, or power
power    atom [** signed]                  so -a**2 is -(a**2), and a**b**c is a**(b**c)
atom     number, name, (sum), function(sum, ...)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn
from unicodedata import east_asian_width

from chainrule.core.errors import ChainruleError, SettingError, unknown_name
from chainrule.core.text import visible
from chainrule.explanations.operations import FUNCTIONS, SUPERSCRIPTS

MOST_LETTERS, MOST_OPERATIONS, MOST_DEPTH, MOST_NAME = 2000, 200, 50, 60
_SAME = {"×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "−": "-", "–": "-", "^": "**"}
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+−–]?[0-9]+)?)"
    r"|(?P<power>[⁰¹²³⁴-⁹]+)"
    r"|(?P<name>[^\W0-9⁰¹²³⁴-⁹][^\W⁰¹²³⁴-⁹]*)"
    r"|(?P<sign>\*\*|[-+*/^×·⋅∙÷−–(),])"
    r"|(?P<space>\s+)"
)
_INSTEAD = {
    "=": "write only what is right of the equals sign; values of variables stand after the expression, as a=5",
    "%": "write a/100 for per cent",
    "√": "write a**0.5 for a root",
    "|": "write max(a, -a) for a magnitude",
    "!": "a factorial is not among the operations",
    "<": "a comparison is not arithmetic",
    ">": "a comparison is not arithmetic",
    "[": "use round brackets",
    "{": "use round brackets",
    "]": "use round brackets",
    "}": "use round brackets",
    ";": "write one expression",
    ":": "write a/b for a quotient",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A number; negative where a minus stood before it."""

    value: float
    start: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that gets a value."""

    name: str
    start: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operation or function (a key of `operations.OPERATIONS`) and what it takes."""

    operation: str
    inputs: tuple[Tree, ...]
    start: int


Tree = Number | Variable | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression as it was typed, its tree, and how it is written in a title."""

    text: str
    tree: Tree
    title: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


def parse(text: str) -> Expression:
    """Read arithmetic: + - * / **, brackets, functions, numbers and names.

    Raises: SettingError with the place, where it is not arithmetic; UnknownNameError for functions
    >>> parse("3*(a + b×c)").title
    '3·(a + b·c)'
    """
    if len(text) > MOST_LETTERS:
        raise SettingError(f"an expression may have {MOST_LETTERS:,} characters; this one has {len(text):,}")
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        raise SettingError('an expression is needed, such as "3*(a+b*c)" a=5 b=3 c=2')
    return Expression(text, _Parser(text, tokens).whole(), _title(tokens))


def refuse(text: str, start: int, what: str) -> NoReturn:
    """Raise the error for a place in an expression."""
    raise problem(text, start, what)


def problem(text: str, start: int, what: str) -> ChainruleError:
    """Return the error for a place in an expression."""
    return pointing(SettingError(f"{what} (character {start + 1} of the expression)"), text, start)


def pointing(error: ChainruleError, text: str, start: int) -> ChainruleError:
    """Return an error with a note of two lines: the expression, and a caret below the place."""
    first = max(0, start - 50)
    before, after = visible(text[first:start], 400), visible(text[start : start + 30], 200)
    before = ("…" if first else "") + before
    columns = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in before)
    more = "…" if start + 30 < len(text) else ""
    error.add_note(f"  {before}{after}{more}\n  {' ' * columns}^")
    return error


def _tokens(text: str) -> list[_Token]:
    found, start = [], 0
    while start < len(text):
        match = _TOKEN.match(text, start)
        if match is None:
            hint = _INSTEAD.get(text[start], "understood are + - * / ** ( ), numbers, names and functions")
            refuse(text, start, f"'{visible(text[start])}' is not arithmetic: {hint}")
        kind, shown = str(match.lastgroup), match[0]
        if kind == "power":  # a² is a**2
            found += [_Token("sign", "**", start), _Token("number", shown.translate(_POWERS), start)]
        elif kind == "name" and len(shown) > MOST_NAME:
            refuse(text, start, f"a name may have {MOST_NAME} letters; this one has {len(shown):,}")
        elif kind != "space":
            found.append(_Token(kind, _SAME.get(shown, shown) if kind == "sign" else shown, start))
        start = match.end()
    return [*found, _Token("end", "", len(text))]


class _Parser:
    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.place = 0
        self.depth = 0
        self.operations = 0

    def whole(self) -> Tree:
        tree = self.sum()
        rest = self.next
        if rest.kind == "end":
            return tree
        if rest.text == ")":
            refuse(self.text, rest.start, "this bracket closes nothing: take it away, or open one before it")
        if rest.text == ",":
            refuse(
                self.text,
                rest.start,
                "a comma stands between the values of max and min; decimals are written with a point, as 1.5",
            )
        raise self.neighbours(rest)

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self, *signs: str) -> _Token | None:
        """Go past the next token if it is one of these signs."""
        token = self.next
        if token.kind != "sign" or token.text not in signs:
            return None
        self.place += 1
        return token

    def call(self, operation: str, inputs: tuple[Tree, ...], start: int) -> Call:
        self.operations += 1
        if self.operations > MOST_OPERATIONS:
            refuse(
                self.text, start, f"an expression may have {MOST_OPERATIONS} operations, and here is one more"
            )
        return Call(operation, inputs, start)

    def sum(self) -> Tree:
        tree = self.product()
        while sign := self.take("+", "-"):
            tree = self.call("add" if sign.text == "+" else "subtract", (tree, self.product()), sign.start)
        return tree

    def product(self) -> Tree:
        tree = self.signed()
        while sign := self.take("*", "/"):
            tree = self.call("multiply" if sign.text == "*" else "divide", (tree, self.signed()), sign.start)
        return tree

    def signed(self) -> Tree:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            refuse(self.text, self.next.start, f"brackets, signs and powers may be nested {MOST_DEPTH} deep")
        sign = self.take("-", "+")
        tree = self.signed() if sign else self.power()
        self.depth -= 1
        if sign is None or sign.text == "+":
            return tree
        if isinstance(tree, Number):
            return Number(-tree.value, sign.start)
        return self.call("negate", (tree,), sign.start)

    def power(self) -> Tree:
        tree = self.atom()
        sign = self.take("**")
        return self.call("power", (tree, self.signed()), sign.start) if sign else tree

    def atom(self) -> Tree:
        token = self.next
        self.place += 1
        if token.kind == "number":
            value = float(token.text.replace("−", "-").replace("–", "-"))
            if math.isinf(value):
                refuse(self.text, token.start, "this number is too large; the largest is about 1.8e308")
            return Number(value, token.start)
        if token.kind == "name":
            return self.name(token)
        if token.text == "(":
            return self.bracket(token)
        self.place -= 1
        raise self.nothing(token)

    def name(self, token: _Token) -> Tree:
        opening = self.take("(")
        if opening is None:
            if token.text in FUNCTIONS:
                refuse(self.text, token.start, f"{token.text} is a function: write {token.text}(…)")
            return Variable(token.text, token.start)
        if token.text not in FUNCTIONS:
            error = unknown_name("function", token.text, FUNCTIONS)
            error.args = (f"{error}; for a product write {visible(token.text, 40)}*(…)",)
            raise pointing(error, self.text, token.start)
        inputs = [self.sum()] if self.next.text != ")" else []
        while self.take(","):
            inputs.append(self.sum())
        self.close(opening)
        self.check_count(token, len(inputs))
        return self.call(FUNCTIONS[token.text], tuple(inputs), token.start)

    def bracket(self, opening: _Token) -> Tree:
        tree = self.sum()
        self.close(opening)
        return tree

    def close(self, opening: _Token) -> None:
        if self.take(")"):
            return
        if self.next.kind == "end":
            refuse(self.text, opening.start, "this bracket is not closed")
        if self.next.text == ",":
            refuse(self.text, self.next.start, "a comma stands only between the values of max and min")
        raise self.neighbours(self.next)

    def check_count(self, token: _Token, count: int) -> None:
        takes_many = token.text in ("max", "min")
        if takes_many and count < 2:
            refuse(self.text, token.start, f"{token.text} compares two values or more; got {count}")
        if not takes_many and count != 1:
            log = "; it is the natural logarithm, for another base divide: ln(x)/ln(2)"
            hint = log if token.text in ("log", "ln") else ""
            refuse(self.text, token.start, f"{token.text} takes one value; got {count}{hint}")

    def neighbours(self, token: _Token) -> ChainruleError:
        before = self.tokens[self.place - 1]
        right = token.text + ("…)" if token.text == "(" else "")
        left = ("(…" if before.text == ")" else "") + before.text
        pair = f"{visible(left, 30)}*{visible(right, 30)}"
        return problem(self.text, token.start, f"an operation is missing here; a product is written {pair}")

    def nothing(self, token: _Token) -> ChainruleError:
        before = self.tokens[self.place - 1] if self.place else None
        where = "at the end" if token.kind == "end" else f"before '{token.text}'"
        after = f" after '{before.text}'" if before else ""
        place = token.start if token.kind != "end" or before is None else before.start
        return problem(self.text, place, f"a number or a name is missing {where}{after}")


def _title(tokens: list[_Token]) -> str:
    written = {"*": "·", "**": "^", "-": "−", ",": ", "}
    shown, before = "", "("
    for token, following in pairwise(tokens):
        text = written.get(token.text, token.text) if token.kind == "sign" else token.text
        if token.text == "**" and following.text.isdigit():
            text = ""
        elif before == "**" and token.text.isdigit():
            text = token.text.translate(SUPERSCRIPTS)
        is_operation = token.text in ("+", "-") and before not in ("(", ",", "+", "-", "*", "/", "**")
        shown += f" {text} " if is_operation else text
        before = token.text
    return visible(shown, MOST_LETTERS * 2)
