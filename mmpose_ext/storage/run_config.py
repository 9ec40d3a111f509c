"""What MMEngine writes beside a training's log: its config and its text log.

Both are read without MMEngine, in milliseconds: the config's dump consists of
literals alone.
"""
from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

_GPUS = re.compile(rb'GPU number: (\d+)')
_PLACE = re.compile(rb'Epoch\(train\)\s*\[\d+\]\[\s*\d+/(\d+)\]')
_HEAD, _TAIL = 8192, 65536  # bytes


def read_dumped_config(path: Path) -> dict[str, Any]:
    """Read the config that MMEngine has dumped.

    Args:
        path (Path): ``vis_data/config.py`` of a run, or any Python file of
            assignments.

    Returns:
        dict[str, Any]: The top-level names. What is no literal, ``dict(...)``
        or container of such is None; a file that cannot be read gives
        nothing.
    """
    try:
        tree = ast.parse(path.read_text('utf-8'))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return {}
    return {
        target.id: _literal(node.value)
        for node in tree.body if isinstance(node, ast.Assign)
        for target in node.targets if isinstance(target, ast.Name)
    }


def look_up(config: Any, *keys: str) -> Any:
    """Value at nested keys; None as soon as one is missing."""
    for key in keys:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def read_text_log(path: Path) -> dict[str, int]:
    """Read what only the text log of a run tells.

    Args:
        path (Path): ``<timestamp>/<timestamp>.log``.

    Returns:
        dict[str, int]: ``processes`` that train together and ``epoch_length``
        in iterations, each only where the log tells it.
    """
    found: dict[str, int] = {}
    try:
        with path.open('rb') as stream:
            gpus = _GPUS.search(stream.read(_HEAD))
            stream.seek(max(0, path.stat().st_size - _TAIL))
            places = _PLACE.findall(stream.read())
    except OSError:
        return found
    if gpus:
        found['processes'] = max(1, int(gpus[1]))
    if places:
        found['epoch_length'] = max(1, int(places[-1]))
    return found


def _literal(node: ast.expr) -> Any:
    """Value of a literal, of ``dict(...)`` and of containers of them."""
    if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'dict':
        return {word.arg: _literal(word.value) for word in node.keywords
                if word.arg is not None}
    if isinstance(node, ast.Dict):
        return {_literal(key): _literal(value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return None
