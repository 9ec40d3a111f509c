"""Plain values, JSON files, and the sums by which files are known."""
from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from .atomic import atomic_file
from .checks import StrPath, check_file
from .errors import DataError

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


def read_json(path: StrPath, hint: str = '') -> Any:
    """Read a JSON file.

    Args:
        path (str | Path): The file, in UTF-8, UTF-16 or UTF-32.
        hint (str): Added to the error. Defaults to ''.

    Raises:
        DataError: If it is missing, empty or no JSON.
    """
    path = check_file(path, hint=hint)
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(path, 'file', 'JSON', str(error), hint) from error


def write_json(path: StrPath, value: Any, indent: int | None = 2) -> None:
    """Write JSON, whole or not at all; what is not finite becomes null.

    Args:
        path (str | Path): The file; its folder exists.
        value (Any): Of texts, numbers, lists and dicts.
        indent (int, optional): Spaces a level; None writes one line. Defaults
            to 2.

    Raises:
        DataError: If the folder is missing.
    """
    text = json.dumps(without_nan(value), indent=indent, allow_nan=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text + '\n')


def sha256_of(path: StrPath) -> str:
    """SHA-256 of a file, read piece by piece, in hex digits."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
