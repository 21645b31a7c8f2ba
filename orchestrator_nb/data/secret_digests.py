"""What stands for the values of secrets where it has to be seen whether they changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from orchestrator_nb.data.disk import write_error
from orchestrator_nb.data.secret_values import secret
from orchestrator_nb.errors import UsageError
from orchestrator_nb.values import token

FILE = ".salt"
_SIZE = 32


class SecretDigests:
    """Digests of secrets, keyed with a random salt that is the store's own and is made when it is first needed.

    A journal holds digests only. Whoever gets one without the salt, with a run that was handed on, exported or put into
    an archive, learns nothing from it: not which value it was, not by trying all that it may have been, and not whether
    two stores have the same. The salt is a file of the store that its owner alone can read. Who can read it can try values out
    against the digests, but has the owner's rights and so can ask for the secrets themselves. Where it was deleted no
    digest fits any more, and what depends on a secret runs once more.
    """

    def __init__(self, store: Path, *, make: bool = False) -> None:
        """Without `make` nothing is written, and where there is no salt no digest fits any other."""
        self._path = store / FILE
        self._make = make

    def of(self, names: Iterable[str]) -> str:
        """Return the digest of the values of these secrets as they are now, in hexadecimal; nothing where there are
        none. One that cannot be had counts as such. Raises StoreError."""
        named = sorted(set(names))
        if not named:
            return ""
        digest = blake2b(key=self._salt, digest_size=8)
        for name in named:
            try:
                value = secret(name).encode("utf-8", "surrogatepass")
            except UsageError:
                value = b""
            digest.update(b"%d %b %d %b " % (len(name), name.encode("utf-8", "surrogatepass"), len(value), value))
        return digest.hexdigest()

    @cached_property
    def _salt(self) -> bytes:
        salt = os.urandom(_SIZE)
        try:
            if self._make and not self._path.exists():
                # Under its name it is whole from the beginning, and the first of several that make one is the one.
                draft = self._path.with_name(f"{FILE}.{token(8)}")
                with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(salt)
                try:
                    os.link(draft, self._path)
                except FileExistsError:
                    pass
                finally:
                    draft.unlink()
            return self._path.read_bytes() or salt
        except FileNotFoundError:
            return salt
        except OSError as error:
            raise write_error(f'the salt of the store "{self._path}" cannot be had', self._path, error) from error
