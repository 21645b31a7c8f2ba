from __future__ import annotations

import base64
import html
import json
import shlex
import textwrap
import urllib.parse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_nb.data import artifacts as artifacts_module
from orchestrator_nb.data import stored, tables
from orchestrator_nb.data.artifacts import Artifacts
from orchestrator_nb.data.redacted_facts import redacted
from orchestrator_nb.data.redaction import REDACTOR, Redacted, Redactor
from orchestrator_nb.data.stored import load, store
from orchestrator_nb.errors import ResultRefused
from orchestrator_nb.events import AttemptFailed, AttemptReturned, Failure, MetricRecorded, NoticeGiven, Stored


def in_base64(before: int, *, after: int = 0, urlsafe: bool = False, width: int = 0):
    """Return the encoder of a value among other bytes; `core` in what it gives are the characters of its own."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode

    def encoded(value: str) -> Base64:
        data = value.encode()
        text = encode(b"\xa5" * before + data + b"\x5a" * after).decode()
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        if width:
            first, last = first + first // width, last + (last - 1) // width
            text = "\n".join(textwrap.wrap(text, width))
        whole = Base64(text)
        whole.core = text[first:last].strip()
        return whole

    return encoded


class Base64(str):  # noqa: SLOT000 - it has one more attribute
    core: str


ENCODINGS = {
    "plain": lambda value: value,
    "json": lambda value: json.dumps(value)[1:-1],
    "json, not ASCII": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json in json": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "json, slashes too": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "all as \\u": lambda value: "".join(json.dumps(each)[1:-1] if ord(each) > 0xFFFF else f"\\u{ord(each):04X}" for each in value),
    "repr": lambda value: repr(value)[1:-1],
    "ascii": lambda value: ascii(value)[1:-1],
    "repr of bytes": lambda value: repr(value.encode())[2:-1],
    "url": urllib.parse.quote,
    "url, form": urllib.parse.quote_plus,
    "url, all of it": lambda value: urllib.parse.quote(value, safe=""),
    "url, twice": lambda value: urllib.parse.quote(urllib.parse.quote(value)),
    "html": html.escape,
    "html, numbers": lambda value: "".join(f"&#{ord(each)};" for each in value),
    "shell": lambda value: shlex.quote(value).strip("'") if "'" not in value[:1] + value[-1:] else value,
    "shell, backslashes": lambda value: "".join(each if each.isalnum() else f"\\{each}" for each in value),
    "csv": lambda value: value.replace('"', '""'),
    "hex": lambda value: value.encode().hex(),
    "hex, upper": lambda value: value.encode().hex().upper(),
    "hex, colons": lambda value: value.encode().hex(":"),
    "backwards": lambda value: value[::-1],
    "coloured": "\x1b[31m".join,
    "base64": in_base64(0),
    "base64, more after": in_base64(0, after=2),
    "base64, 1 before": in_base64(1, after=1),
    "base64, 2 before": in_base64(2, after=5),
    "base64, urlsafe": in_base64(0, urlsafe=True),
    "base64, urlsafe, 2 before": in_base64(2, urlsafe=True, after=1),
    "base64, in lines": in_base64(50, after=3, width=76),
}  # fmt: skip

NAME = "TOKEN"
SECRETS = st.text(st.characters(codec="utf-8"), min_size=4, max_size=40).filter(lambda text: len(text.strip()) >= 4)
CONTEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


def knowing(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.add(NAME, value)
    return redactor


@given(value=SECRETS, encoding=st.sampled_from(sorted(ENCODINGS)), before=CONTEXTS, after=CONTEXTS)
def test_no_secret_comes_out_in_any_encoding_and_context(value, encoding, before, after) -> None:
    """Whatever stands around it: what was the secret is not in the text that comes out."""
    written = ENCODINGS[encoding](value.strip())
    assert getattr(written, "core", written) not in knowing(value).text(f"{before}{written}{after}")


@given(value=SECRETS, encoding=st.sampled_from(sorted(ENCODINGS)), before=CONTEXTS, after=CONTEXTS,
       cuts=st.lists(st.integers(0, 200), max_size=6))  # fmt: skip
def test_a_secret_that_comes_in_pieces_does_not_come_out(value, encoding, before, after, cuts) -> None:
    """Cut anywhere, any number of times: all that is let out together is without it, and nothing else is lost."""
    redactor, written = knowing(value), ENCODINGS[encoding](value.strip())
    text = f"{before}{written}{after}"
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    stream = Redacted(redactor)
    out = "".join(stream.feed(text[a:b]) for a, b in pairwise(places)) + stream.rest()
    assert getattr(written, "core", written) not in out


@given(value=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4), text=st.text(" xyz\n\t\"'\\äé.,"))
def test_a_text_without_secrets_is_unchanged(value, text) -> None:
    """Nothing is taken out of what holds no secret, whole or in pieces."""
    redactor = knowing(value)
    stream = Redacted(redactor)
    assert redactor.text(text) == text
    assert "".join(map(stream.feed, text)) + stream.rest() == text


@given(value=SECRETS)
def test_redacting_twice_changes_nothing_more(value) -> None:
    """What has been through it once comes out of it as it is."""
    redactor = knowing(value)
    once = redactor.text(f"a {value} b")
    assert redactor.text(once) == once


@given(value=SECRETS, key=SECRETS)
def test_plain_data_is_walked(value, key) -> None:
    """Texts and keys at any depth are redacted; JSON of what comes out holds no secret."""
    redactor = knowing(value, key)
    out = redactor.value({"list": [value, {key: [f"<{value}>"]}], "number": 5, "none": None})
    assert out["number"] == 5
    assert value.strip() not in str(out["list"][0])
    assert all(value.strip() not in text for inner in [out["list"][1]] for items in inner.values() for text in items)


def test_without_secrets_everything_is_let_through() -> None:
    """While no secret is known, texts and data are the very same objects."""
    redactor, data = Redactor(), {"a": ["b"]}
    assert redactor.value(data) is data
    assert redactor.text("hunter22") == "hunter22"
    assert not redactor.active


def test_the_name_stands_where_the_value_was() -> None:
    """People see which secret it was, and the text around it."""
    redactor = knowing("hunter22")
    assert redactor.text("password=hunter22;") == "password=[secret TOKEN];"
    assert redactor.text(f"Basic {base64.b64encode(b'me:hunter22').decode()}") == "Basic bWU6[secret TOKEN]="


def test_overlapping_secrets_leave_nothing_of_each_other() -> None:
    """Where two values overlap, the whole piece is taken out."""
    assert knowing("abcd1234", "1234efgh").text("<abcd1234efgh>") == "<[secret TOKEN]>"


@pytest.mark.parametrize("value", ["secret", "secret TOKEN", "cret", "]]]]", "[secret TOKEN]", "[…][…]"])
def test_a_secret_that_is_like_a_mark_does_not_come_out_with_it(value) -> None:
    """A mark never brings the value back."""
    assert value not in knowing(value).text(f"x{value}{value}x [secret TOKEN]")


@pytest.mark.parametrize("value", ["", "abc", " abc\n", "    "])
def test_a_short_secret_is_refused_without_its_value(value) -> None:
    """What is shorter than four characters cannot be kept out; the message does not say what it was."""
    with pytest.raises(ValueError, match=r"it has \d characters"):
        Redactor().add(NAME, value)


def test_each_line_of_a_key_is_kept_out() -> None:
    """A key of several lines is not printed line by line either."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END KEY-----"
    redactor = knowing(key)
    assert redactor.text("2 MIIEvQIBADANBgkqhkiG9w0BAQEFAASC 2") == "2 [secret TOKEN] 2"
    assert redactor.text(json.dumps({"key": key})) == '{"key": "[secret TOKEN]"}'


def test_lines_are_let_out_when_they_cannot_go_on_as_a_secret() -> None:
    """Nothing is held back that need not be: whoever follows a log sees it grow."""
    stream = Redacted(knowing("hunter22"))
    assert stream.feed("a line\n") == "a line\n"
    assert stream.feed("the password is hunt") == "the password is "
    assert stream.feed("ing\n") == "hunting\n"
    assert stream.feed("hunt") + stream.feed("er22\n") == "[secret TOKEN]\n"


def test_a_flood_that_looks_like_a_secret_is_not_kept_in_memory() -> None:
    """Text without end that a secret might begin with costs time in proportion and comes out."""
    stream = Redacted(knowing("aaaaaaaaaab"))
    out = "".join(stream.feed("a" * 1000) for _ in range(20))
    assert len(out) > 10_000
    assert (out + stream.rest()) == "a" * 20_000


@pytest.fixture
def secret(monkeypatch):
    """A secret that this process knows for as long as the test goes on."""
    redactor = knowing("hunter22ö!")
    for module in (stored, tables, artifacts_module):
        monkeypatch.setattr(module, "REDACTOR", redactor)
    monkeypatch.setattr(REDACTOR, "_known", redactor._known)
    return "hunter22ö!"


def test_json_is_stored_without_it(secret, tmp_path) -> None:
    """Small and large JSON lose the secret, and nothing else, before they are kept."""
    artifacts = Artifacts(tmp_path)
    small = store({"a": f"x{secret}"}, artifacts=artifacts, live=None, at="result")
    large = store(["y" * 100_000, secret], artifacts=artifacts, live=None, at="result")
    assert small.value == {"a": "x[secret TOKEN]"}
    assert load(large, artifacts=artifacts, live=None) == ["y" * 100_000, "[secret TOKEN]"]


def holding(kind: str, secret: str, folder: Path):
    if kind == "file":
        (folder / "report.txt").write_text("y" * (2**20 - 5) + secret + "y" * 100, encoding="utf-8")
        return folder / "report.txt"
    return {
        "bytes": lambda: b"\x00\xff" + secret.encode() + b"\xff",
        "wide bytes": lambda: secret.encode("utf-16-le"),
        "text array": lambda: np.array(["a", secret]),
        "byte array": lambda: np.frombuffer(secret.encode(), dtype=np.uint8),
        "column": lambda: pd.DataFrame({"a": ["x", f"<{secret}>"]}),
        "category": lambda: pd.DataFrame({"a": pd.Categorical(["x", secret])}),
        "name of a column": lambda: pd.DataFrame({secret: [1]}),
        "arrow": lambda: pa.table({"a": [[secret], ["x"]]}),
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    ["file", "bytes", "wide bytes", "text array", "byte array", "column", "category", "name of a column", "arrow"],
)
def test_what_cannot_be_changed_is_refused_whole(secret, tmp_path, kind) -> None:
    """Files, bytes, arrays and tables that hold it are refused, by their name and its, and nothing of them is kept."""
    value = holding(kind, secret, tmp_path)
    with pytest.raises(ResultRefused, match=r'result.* holds the value of the secret "TOKEN"'):
        store(value, artifacts=Artifacts(tmp_path / "kept"), live=None, at="result")
    assert not list((tmp_path / "kept").rglob("*"))


def test_what_does_not_hold_it_is_kept(secret, tmp_path) -> None:
    """Files, arrays and tables pass as ever while a secret is known."""
    artifacts = Artifacts(tmp_path)
    for value in (b"bytes", np.array(["a", "b"]), pd.DataFrame({"a": ["x", None], "b": [1, 2]}), pa.table({"a": [1]})):
        kept = store(value, artifacts=artifacts, live=None, at="result")
        assert type(load(kept, artifacts=artifacts, live=None)) is type(value)


def test_facts_lose_what_commands_put_into_them_and_keep_what_is_ours(secret) -> None:
    """Messages, tracebacks, results and their keys are redacted; ids, paths and hashes stay what they are."""
    failure = Failure(kind="exception", message=secret, traceback=f"at {secret}", types=("a.B",), notebook=f"{secret}.ipynb",
                      advice={"retry": True, secret: [secret]})  # fmt: skip
    failed = redacted(AttemptFailed(at=0.0, command=secret, attempt=1, seconds=1.0, failure=failure))
    assert isinstance(failed, AttemptFailed)
    assert failed.command == secret
    assert failed.failure == Failure(
        kind="exception", message="[secret TOKEN]", traceback="at [secret TOKEN]", types=("a.B",),
        notebook=f"{secret}.ipynb", advice={"retry": True, "[secret TOKEN]": ["[secret TOKEN]"]},
    )  # fmt: skip
    result = Stored(form="mapping", items={secret: Stored(form="file", artifact="ab", size=1, name=f"{secret}.txt")})
    returned = redacted(
        AttemptReturned(at=0.0, command="a", attempt=1, seconds=1.0, result=result, shared={"k": secret})
    )
    assert isinstance(returned, AttemptReturned)
    kept = Stored(form="file", artifact="ab", size=1, name="[secret TOKEN].txt")
    assert returned.result == Stored(form="mapping", items={"[secret TOKEN]": kept})
    assert returned.shared == {"k": "[secret TOKEN]"}


def test_a_number_that_is_a_secret_is_no_result_and_no_metric(monkeypatch) -> None:
    """A secret of digits is not told as a number either."""
    monkeypatch.setattr(REDACTOR, "_known", knowing("837461")._known)
    event = MetricRecorded(at=0.0, command="a", attempt=1, name="pin", value=837461.0)
    assert redacted(event) == NoticeGiven(
        at=0.0, command="a", attempt=1, text='the metric "pin" is not recorded: its value is that of a secret'
    )
    assert REDACTOR.value({"a": [837461, 837462]}) == {"a": ["[secret TOKEN]", 837462]}
