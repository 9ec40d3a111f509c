"""Plain values, JSON without NaN, and the sums by which files are known."""
from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from .checks import StrPath

_CHUNK = 1 << 20


def plain(value: Any) -> Any:
    """The value of texts, numbers, lists and dicts alone.

    JSON and YAML can hold that, and a checkpoint that loads safely. Arrays
    become lists; what is none of these becomes its text.
    """
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if hasattr(value, 'tolist'):
        return plain(value.tolist())
    known = value is None or isinstance(value, (bool, int, float, str))
    return value if known else str(value)


def without_nan(value: Any) -> Any:
    """The value with None for each number that is not finite.

    JSON has no word for these. Tuples become lists.
    """
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def sha256_of(path: StrPath) -> str:
    """SHA-256 of a file, read piece by piece, in hex digits."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
