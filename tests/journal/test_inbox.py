"""The inbox: a request is taken once or withdrawn, never both, and nobody else's file is followed."""

from __future__ import annotations

import os

import pytest

from orchestrator_nb.errors import StoreError
from orchestrator_nb.journal.inbox import FOLDER, Asked, Inbox, Refused, post, withdraw


def test_a_request_is_given_once_and_removed_when_it_is_done(tmp_path):
    """What was asked comes out as it went in, with who asked."""
    request = post(tmp_path, "pause", {"reason": "später"}, wait=10)
    inbox = Inbox(tmp_path)
    (asked,) = inbox.look()
    assert isinstance(asked, Asked)
    assert (asked.id, asked.kind, asked.arguments) == (request, "pause", {"reason": "später"})
    assert asked.by["pid"] == os.getpid()
    assert list(inbox.look()) == []
    assert not withdraw(tmp_path, request)
    inbox.done(request)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_withdrawn_request_is_never_given(tmp_path):
    """Whoever takes it back knows that it will not take effect."""
    request = post(tmp_path, "stop", {"reason": "no"}, wait=10)
    assert withdraw(tmp_path, request)
    assert list(Inbox(tmp_path).look()) == []


def test_requests_of_before_an_owners_death_are_not_given_again(tmp_path):
    """What the owner before had taken is removed; what nobody had taken is still to be answered."""
    post(tmp_path, "pause", {"reason": "taken"}, wait=10)
    list(Inbox(tmp_path).look())
    post(tmp_path, "pause", {"reason": "open"}, wait=10)
    (asked,) = Inbox(tmp_path).look()
    assert asked.arguments == {"reason": "open"}


@pytest.mark.skipif(os.name == "nt", reason="permissions and links of POSIX")
def test_the_inbox_is_private_and_links_are_not_followed(tmp_path):
    """0700 and 0600; a link to somebody's file is refused and removed, the file is left alone."""
    request = post(tmp_path, "pause", {"reason": "x"}, wait=10)
    inbox = tmp_path / FOLDER
    assert inbox.stat().st_mode & 0o777 == 0o700
    assert (inbox / f"{request}.json").stat().st_mode & 0o777 == 0o600
    withdraw(tmp_path, request)
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (inbox / f"{'b' * 32}.json").symlink_to(secret)
    (found,) = Inbox(tmp_path).look()
    assert isinstance(found, Refused)
    assert secret.exists()
    assert list(inbox.iterdir()) == []


def test_a_run_folder_that_is_gone_is_said(tmp_path):
    """There is nowhere to put the request."""
    with pytest.raises(StoreError, match="cannot be put"):
        post(tmp_path / "gone", "pause", {}, wait=1)
