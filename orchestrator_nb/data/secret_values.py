"""Where the values of secrets come from: the environment, else the keyring of the system. They are read when needed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec

from orchestrator_nb.data.redaction import REDACTOR, SHORTEST
from orchestrator_nb.definition.names import nearest
from orchestrator_nb.errors import Mistake, UsageError

PREFIX = "ORCHESTRATOR_NB_SECRET_"
"""What the names of environment variables begin with that are for secrets only; they are looked at first."""

SERVICE = "orchestrator-nb"
"""The service under which the keyring has them."""


def secret(name: str) -> str:
    """Return the value of a secret, which is kept out of all that is written from now on.

    Raises UsageError, which says where it was looked for, how to provide it, and nothing of its value.
    """
    mistake = missing(name)
    if mistake is not None:
        raise UsageError(str(mistake))
    value = _value(name)
    assert value is not None
    return value


def missing(name: str) -> Mistake | None:
    """Return what is wrong with a secret, None where it is there; then it is kept out of all that is written."""
    value = _value(name)
    if not value:
        keyring = f'the keyring (service "{SERVICE}")' if find_spec("keyring") else "no keyring, which is not installed"
        there = [variable[len(PREFIX) :] for variable in os.environ if variable.startswith(PREFIX)]
        return Mistake(
            f'the secret "{name}" is {"not there" if value is None else "empty"}',
            found=f"nothing in the environment variables {PREFIX}{name} and {name}, and {keyring}",
            expected=f"one of them: export {PREFIX}{name}=…, or keyring set {SERVICE} {name}",
            nearest=nearest(name, there),
        )
    try:
        REDACTOR.add(name, value)
    except ValueError as error:
        expected = f"at least {SHORTEST} characters: a shorter one cannot be kept out of what is written"
        return Mistake(f'the secret "{name}" is too short', found=str(error), expected=expected)
    return None


def keep_out_environment() -> None:
    """Keep the values of all variables that are for secrets out of what this process writes, if it can be done."""
    for variable, value in os.environ.items():
        if variable.startswith(PREFIX) and len(value.strip()) >= SHORTEST:
            REDACTOR.add(variable[len(PREFIX) :], value)


def environment_with(names: Iterable[str] = ()) -> dict[str, str]:
    """Return this process's environment for another one: of the variables that are for secrets, those of `names` only.

    Raises UsageError as `secret` does.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**environment, **{f"{PREFIX}{name}": secret(name) for name in names}}


def _value(name: str) -> str | None:
    for variable in (f"{PREFIX}{name}", name):
        if variable in os.environ:
            return os.environ[variable]
    if find_spec("keyring") is None:
        return None
    import keyring
    from keyring.errors import KeyringError

    try:
        found: str | None = keyring.get_password(SERVICE, name)
    except KeyringError:  # there is none on this machine, or it stays locked
        return None
    return found
