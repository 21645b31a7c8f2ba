"""Check a file against its recorded SHA-256: `python checksum.py FILE RECORD`, where RECORD is as sha256sum writes it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def main(file: str, record: str) -> int:
    """Return 0 if the file has the recorded hash, else 1."""
    recorded, name = Path(record).read_text(encoding="utf-8").split(maxsplit=1)
    actual = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    if actual != recorded:
        print(f'"{file}" is not the file that was recorded in "{record}"', file=sys.stderr)
        print(f"  recorded {recorded} ({name.strip()})\n  found    {actual}", file=sys.stderr)
        return 1
    print(f"{file}: {actual}, as recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
