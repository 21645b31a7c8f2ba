from __future__ import annotations

import pytest

from orchestrator_nb.data.redaction import REDACTOR
from orchestrator_nb.data.secret_values import PREFIX, environment_with, keep_out_environment, missing, secret
from orchestrator_nb.errors import UsageError


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(REDACTOR, "_known", ())


def test_a_variable_for_secrets_comes_before_one_of_the_name(monkeypatch) -> None:
    """The environment is looked at under both names; what was read is kept out of what is written from then on."""
    monkeypatch.setenv("API_KEY", "the second one")
    assert secret("API_KEY") == "the second one"
    monkeypatch.setenv(f"{PREFIX}API_KEY", "the first one")
    assert secret("API_KEY") == "the first one"
    assert REDACTOR.text("the first one, the second one") == "[secret API_KEY], [secret API_KEY]"


def test_a_missing_secret_says_what_was_looked_for_and_what_to_do(monkeypatch) -> None:
    """The message names the variables, the keyring, how to provide it, and the nearest one that is there."""
    monkeypatch.setenv(f"{PREFIX}API_TOKEN", "hunter22")
    mistake = missing("API_TOKNE")
    assert mistake is not None
    assert mistake.nearest == "API_TOKEN"
    text = str(mistake)
    assert f"{PREFIX}API_TOKNE and API_TOKNE" in text
    assert "keyring set orchestrator-nb API_TOKNE" in text
    with pytest.raises(UsageError, match='the secret "API_TOKNE" is not there'):
        secret("API_TOKNE")


@pytest.mark.parametrize(("value", "words"), [("", "is empty"), ("abc", "is too short"), (" abc\n", "is too short")])
def test_a_value_that_cannot_be_kept_out_is_refused(monkeypatch, value, words) -> None:
    """Empty and short values are mistakes, told without the value."""
    monkeypatch.setenv(f"{PREFIX}PIN", value)
    mistake = missing("PIN")
    assert mistake is not None
    assert words in mistake.message
    assert "abc" not in str(mistake)


def test_other_processes_get_what_they_declare(monkeypatch) -> None:
    """Of the variables for secrets a child inherits those it was named for, under the same names."""
    monkeypatch.setenv(f"{PREFIX}ONE", "hunter22")
    monkeypatch.setenv("TWO", "hunter33")
    assert f"{PREFIX}ONE" not in environment_with()
    given = environment_with(["ONE", "TWO"])
    assert (given[f"{PREFIX}ONE"], given[f"{PREFIX}TWO"]) == ("hunter22", "hunter33")


def test_what_is_marked_as_a_secret_is_kept_out_unasked(monkeypatch) -> None:
    """Variables for secrets are kept out although nothing refers to them; those that are too short are passed over."""
    monkeypatch.setenv(f"{PREFIX}ONE", "hunter22")
    monkeypatch.setenv(f"{PREFIX}PIN", "123")
    keep_out_environment()
    assert REDACTOR.text("hunter22 123") == "[secret ONE] 123"


def test_a_secret_of_the_keyring(monkeypatch) -> None:
    """Where the environment has none, the keyring is asked under our service; the environment comes first."""
    keyring = pytest.importorskip("keyring")

    class InMemory(keyring.backend.KeyringBackend):
        priority = 1

        def get_password(self, service, username):
            return {("orchestrator-nb", "DB"): "from the keyring"}.get((service, username))

        def set_password(self, service, username, password):
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    try:
        assert secret("DB") == "from the keyring"
        assert missing("OTHER") is not None
        monkeypatch.setenv("DB", "from here")
        assert secret("DB") == "from here"
    finally:
        keyring.set_keyring(before)
