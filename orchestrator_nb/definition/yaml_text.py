"""Text in YAML 1.2, read safely: no tags, no merge keys, one document, bounded aliases; timestamps stay text."""

from __future__ import annotations

import re
from typing import Any

from orchestrator_nb.definition.tree import Place, Tree
from orchestrator_nb.definition.values import escaped

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_ENDLESS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def is_plain_text(text: str) -> bool:
    """Whether a text without quotes is read as that text, and not as null, a boolean or a number."""
    return not (
        text in _NULLS or text in _BOOLEANS or text == "<<"
        or _NUMBER.fullmatch(text) or _BASED.fullmatch(text) or _ENDLESS.fullmatch(text)
    )  # fmt: skip


def read_yaml(text: str, label: str | None) -> Tree:
    """Return the tree of the one document in `text`. Raises DefinitionError where it cannot be read any further."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    tree = Tree(label)
    try:
        _build(tree, YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise tree.wrong(*_explained(error, text, place), found=_shown(text, place[0])) from None
    except ReaderError as error:
        before = text[: error.position]
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise tree.wrong(
            "a character is not allowed in YAML", place, found=f"U+{ord(text[error.position]):04X}"
        ) from None
    return tree


def _build(tree: Tree, events: Any) -> None:
    from ruamel.yaml import events as kinds

    documents = 0
    for event in events:
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, kinds.NodeEvent):
            tag = getattr(event, "tag", None)
            if tag is not None:
                tree.note("tags are not allowed", place, found=escaped(str(tag)), expected="a plain value")
            if isinstance(event, kinds.ScalarEvent):
                value = _resolved(tree, event.value, place) if event.style is None else event.value
                tree.scalar(value, place, raw=event.value, anchor=event.anchor)
            elif isinstance(event, kinds.AliasEvent):
                tree.alias(event.anchor, place)
            else:
                tree.open({} if isinstance(event, kinds.MappingStartEvent) else [], place, anchor=event.anchor)
        elif isinstance(event, (kinds.MappingEndEvent, kinds.SequenceEndEvent)):
            tree.close()
        elif isinstance(event, kinds.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise tree.wrong("there is a second document", place, expected="one document only")
            if event.version not in (None, (1, 2)):
                raise tree.wrong("the document says that it is not YAML 1.2", place, expected="%YAML 1.2, or no %YAML")


def _resolved(tree: Tree, text: str, place: Place) -> Any:
    """Return what a text without quotes means by YAML's core schema."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _NUMBER.fullmatch(text):
        return tree.number(text, place)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _ENDLESS.fullmatch(text):
        tree.note("a number is not finite", place, found=text, expected="a finite number, or null")
    elif text == "<<":
        tree.note("a merge key is not YAML 1.2", place, found="<<", expected="the keys themselves")
    return text


def _explained(error: Any, text: str, place: Place) -> tuple[str, Place]:
    """Return what is wrong in plain words, and where it is."""
    tab = re.match(r" *\t", _line(text, place[0]))
    if tab:
        return "a tab is used to indent; YAML wants spaces", (place[0], tab.end())
    problem = str(error.problem or "it cannot be read").replace("<stream end>", "the end of the text")
    context = f", {error.context}" if error.context else ""
    return f"this is not YAML: {problem}{context}", place


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1].strip("\r") if 0 < number <= len(lines) else ""


def _shown(text: str, number: int) -> str:
    line = _line(text, number)
    return escaped(line) if line else "the end of the text"
