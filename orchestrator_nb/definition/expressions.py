"""Expressions such as ``clean.rows > 100 and parameters.mode == "full"``: read, checked and evaluated over plain data.

The grammar is a part of Python's: comparisons (chained ones, `in`, `is null`), `and`, `or`, `not`, `+ - * / // %`,
text, numbers, lists, `true`, `false`, `null`, look-ups with dots and with literals in brackets, and the functions of
`FUNCTIONS`. A look-up leads into mappings and lists only, never to an attribute of an object; size, depth and cost are
bounded.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from msgspec import Struct

from orchestrator_nb.definition.arithmetic import COMPARISONS, FUNCTIONS, OPERATORS, SIGNS, Impossible
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.definition.references import references_in
from orchestrator_nb.definition.values import escaped
from orchestrator_nb.errors import UsageError

LONGEST = 2_000
"""Characters that an expression may have."""
DEEPEST = 50
"""How deep its parts may be nested in each other."""

_WORDS = {"true": True, "false": False, "null": None}
_BRACES = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_GRAMMAR = "comparisons, and, or, not, + - * / // %, text, numbers, lists, and names such as clean.rows"
_WRITTEN = {
    ast.Pow: "**", ast.LShift: "<<", ast.RShift: ">>", ast.BitOr: "|", ast.BitAnd: "&", ast.BitXor: "^",
    ast.MatMult: "@", ast.Invert: "~", ast.Lambda: "lambda", ast.IfExp: "if", ast.NamedExpr: ":=",
    ast.Starred: "*", ast.JoinedStr: 'f"…"', ast.Dict: "{…}", ast.Set: "{…}", ast.Slice: "a slice",
    ast.ListComp: "for", ast.SetComp: "for", ast.DictComp: "for", ast.GeneratorExp: "for",
    ast.Await: "await", ast.Yield: "yield", ast.YieldFrom: "yield",
}  # fmt: skip


class Lookup(Struct, frozen=True):
    """One name that an expression looks up: `root`, and the `keys` that lead on from there, text or whole numbers.

    `text` is how it is written, without braces; `column` is its place in the expression, from 1.
    """

    text: str
    root: str
    keys: tuple[str | int, ...] = ()
    column: int = 1


class Expression(Struct, frozen=True):
    """An expression that was found to be right; `names` are its look-ups, in the order in which they are written."""

    text: str
    names: tuple[Lookup, ...]
    _tree: ast.expr
    _found: dict[ast.expr, Lookup]

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Return the expression of a text. ``${{ clean.rows }}`` inside, or around the whole, is read as well.

        Raises UsageError naming the column and what was found there.
        """
        return _Reader(text).read()

    def value(self, lookup: Callable[[Lookup], Any]) -> Any:
        """Return what the expression comes to, with what `lookup` gives for each name that is needed for that.

        The second part of `and` and `or`, and the rest of a chain of comparisons, is looked at as in Python only where
        it matters. Raises UsageError where an operation is not possible with the values found, naming its column, and
        lets through what `lookup` raises.
        """
        return self._value(self._tree, lookup)

    def _value(self, node: ast.expr, lookup: Callable[[Lookup], Any]) -> Any:
        name = self._found.get(node)
        if name is not None:
            return lookup(name)
        try:
            match node:
                case ast.Constant(value=value):
                    return value
                case ast.Name(id=word):
                    return _WORDS[word]
                case ast.List(elts=items) | ast.Tuple(elts=items):
                    return [self._value(item, lookup) for item in items]
                case ast.BoolOp(op=junction, values=parts):
                    return self._junction(isinstance(junction, ast.And), parts, lookup)
                case ast.UnaryOp(op=sign, operand=operand):
                    return SIGNS[type(sign)](self._value(operand, lookup))
                case ast.BinOp(left=left, op=operator, right=right):
                    return OPERATORS[type(operator)](self._value(left, lookup), self._value(right, lookup))
                case ast.Compare(left=left, ops=ops, comparators=others):
                    return self._comparison(left, ops, others, lookup)
                case ast.Call(func=ast.Name(id=function), args=arguments):
                    return FUNCTIONS[function](*(self._value(item, lookup) for item in arguments))
        except Impossible as error:
            raise UsageError(f"{escaped(self.text)}, column {node.col_offset + 1}: {error}") from None
        raise AssertionError(node)  # the reader lets nothing else through

    def _junction(self, is_and: bool, parts: list[ast.expr], lookup: Callable[[Lookup], Any]) -> Any:
        value: Any = None
        for part in parts:
            value = self._value(part, lookup)
            if bool(value) != is_and:
                break
        return value

    def _comparison(
        self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr], lookup: Callable[[Lookup], Any]
    ) -> bool:
        before = self._value(left, lookup)
        for op, other in zip(ops, others, strict=True):
            after = self._value(other, lookup)
            if not COMPARISONS[type(op)](before, after):
                return False
            before = after
        return True


def follow(value: Any, name: Lookup, keys: tuple[str | int, ...], place: str) -> Any:
    """Return what keys lead to in plain data. Raises UsageError naming the `place` and what is there instead."""
    for key in keys:
        if isinstance(value, dict) and str(key) in value:
            value = value[str(key)]
        elif isinstance(value, list) and _is_index(key) and -len(value) <= int(key) < len(value):
            value = value[int(key)]
        else:
            if isinstance(value, dict):
                there = f"there is {listed(value)}"
                meant = nearest(str(key), [item for item in value if isinstance(item, str)])
                there += f'; did you mean "{meant}"?' if meant else ""
            else:
                there = f"it is a list of {len(value)}" if isinstance(value, list) else "it has no names in it"
            raise UsageError(f'"{name.text}" asks {place} for "{key}"; {there}')
    return value


def listed(names: Any) -> str:
    """Return some names for a message, the first twelve of them."""
    shown = [f'"{name}"' for name in list(names)[:12]]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(shown) or "nothing") + more


def _is_index(key: str | int) -> bool:
    return isinstance(key, int) or key.isdecimal()


class _Reader:
    """Reads one expression; what it refuses it refuses with the column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._braces: dict[int, tuple[str, ...]] = {}  # the names in braces, by the column where they begin
        self._found: dict[ast.expr, Lookup] = {}

    def read(self) -> Expression:
        text = self._text
        if len(text) > LONGEST:
            self._refuse(f"the expression has {len(text):,} characters; expected at most {LONGEST:,}", 1)
        if "\\" in text:
            self._refuse("a backslash has no place in an expression", text.index("\\") + 1)
        line = self._without_braces(re.sub(r"[\t\r\n\f]", " ", text))
        if not line.strip():
            self._refuse(f"there is nothing in it; expected {_GRAMMAR}", 1)
        tree = self._parsed(line)
        self._check(tree, 0)
        names = sorted(self._found.values(), key=lambda name: name.column)
        return Expression(text, tuple(names), tree, self._found)

    def _without_braces(self, line: str) -> str:
        """Return the line with each reference as a name of its length, whose column says which it is."""
        whole = _BRACES.fullmatch(line.strip())
        if whole and "${{" not in whole[1] and not _is_reference(whole[0]):
            lead = line.index("${{") + 3
            return " " * lead + whole[1]
        for match in _BRACES.finditer(line):
            try:
                reference = references_in(match[0])[0]
            except UsageError as error:
                self._refuse(str(error), match.start() + 1)
            self._braces[match.start()] = (reference.root, *reference.keys)
        return _BRACES.sub(lambda match: "_" * len(match[0]), line)

    def _parsed(self, line: str) -> ast.expr:
        margin = len(line) - len(line.lstrip())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about code that is not run
                tree = ast.parse(line.lstrip(), mode="eval").body
        except SyntaxError as error:
            column = margin + error.offset if error.offset else len(line)  # no place: at the end
            return self._refuse(f"this cannot be read; expected {_GRAMMAR}", max(1, min(column, len(line))))
        except (RecursionError, MemoryError):
            return self._refuse(f"its parts are nested deeper than {DEEPEST} levels", 1)
        except ValueError as error:
            return self._refuse(str(error), 1)
        written = line.lstrip().encode()
        for node in ast.walk(tree):
            if isinstance(node, ast.expr):  # the tree counts bytes
                node.col_offset = margin + len(written[: node.col_offset].decode())
        return tree

    def _refuse(self, message: str, column: int) -> NoReturn:
        raise UsageError(f"{escaped(self._text)}, column {column}: {message}")

    def _check(self, node: ast.expr, depth: int) -> None:
        """Go through the tree; raise for what has no place in an expression, and note what it looks up."""
        if depth > DEEPEST:
            self._refuse(f"its parts are nested deeper than {DEEPEST} levels", node.col_offset + 1)
        if isinstance(node, (ast.Attribute, ast.Subscript)) or (isinstance(node, ast.Name) and node.id not in _WORDS):
            self._found[node] = self._lookup(node)
            return
        for part in self._parts(node):
            self._check(part, depth + 1)

    def _parts(self, node: ast.expr) -> Iterator[ast.expr]:
        match node:
            case ast.Name():
                return
            case ast.Constant(value=value):
                if not (value is None or type(value) in (str, int, float, bool)):
                    self._refuse("this kind of value has no place in an expression", node.col_offset + 1)
                if type(value) is float and value in (float("inf"), float("-inf")):
                    self._refuse("a number does not fit", node.col_offset + 1)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                yield from items
            case ast.BoolOp(values=parts):
                yield from parts
            case ast.UnaryOp(op=sign, operand=operand) if type(sign) in SIGNS:
                yield operand
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
                yield from (left, right)
            case ast.Compare(left=left, ops=ops, comparators=others):
                for op, other in zip(ops, others, strict=True):
                    if isinstance(op, (ast.Is, ast.IsNot)) and not _is_word(other):
                        self._refuse('"is" goes with null, true or false; expected ==', node.col_offset + 1)
                yield from (left, *others)
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS and not node.keywords:
                yield from node.args
            case ast.Call(func=ast.Name(id=name)):
                near = nearest(name, FUNCTIONS)
                meant = f'; did you mean "{near}"?' if near else ""
                self._refuse(
                    f'there is no function "{name}"; there is {", ".join(FUNCTIONS)}{meant}', node.col_offset + 1
                )
            case ast.Call():
                self._refuse(f"only functions are called: {', '.join(FUNCTIONS)}", node.col_offset + 1)
            case _:
                what = getattr(node, "op", node)
                written = _WRITTEN.get(type(what), type(what).__name__)
                self._refuse(f'"{written}" has no place in an expression; expected {_GRAMMAR}', node.col_offset + 1)

    def _lookup(self, node: ast.expr) -> Lookup:
        """Return what a chain of dots and brackets looks up, from its name on."""
        keys: list[str | int] = []
        base = node
        while not isinstance(base, ast.Name):
            if isinstance(base, ast.Attribute):
                if base.attr.startswith("__"):
                    self._refuse(f'"{base.attr}" is no name of a value', node.col_offset + 1)
                keys.append(base.attr)
                base = base.value
            elif isinstance(base, ast.Subscript):
                keys.append(self._key(base.slice))
                base = base.value
            else:
                self._refuse("a dot or bracket leads on from a name only, as in clean.rows", base.col_offset + 1)
        column = base.col_offset + 1
        root, *first = self._braces.get(column - 1, (base.id,))
        if root.startswith("__"):
            self._refuse(f'"{root}" is no name of a value', column)
        way = (*first, *reversed(keys))
        return Lookup(_said(root, way), root, way, column)

    def _key(self, node: ast.expr) -> str | int:
        match node:
            case ast.Constant(value=value) if type(value) in (str, int):
                return value  # type: ignore[return-value]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)) if type(value) is int:
                return -value
        return self._refuse("brackets hold a text or a whole number", node.col_offset + 1)


def _is_word(node: ast.expr) -> bool:
    """Say whether this is null, true or false."""
    if isinstance(node, ast.Constant):
        return node.value is None or type(node.value) is bool
    return isinstance(node, ast.Name) and node.id in _WORDS


def _is_reference(text: str) -> bool:
    try:
        return bool(references_in(text))
    except UsageError:
        return False


def _said(root: str, keys: tuple[str | int, ...]) -> str:
    """Return a look-up as it may be written: with dots where they can be, else with brackets."""
    parts = [f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]" for key in keys]
    return root + "".join(parts)
