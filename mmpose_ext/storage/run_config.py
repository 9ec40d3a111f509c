"""What MMEngine writes beside a training's log: its config and its text log.

Both are read without MMEngine, in milliseconds, and nothing in them is run:
the text of a config consists of literals alone.
"""
from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_GPUS = re.compile(rb'GPU number: (\d+)')
_PLACE = re.compile(rb'Epoch\(train\)\s*\[\d+\]\[\s*\d+/(\d+)\]')
_HEAD, _TAIL = 8192, 65536  # bytes
_NUMBERS = {'inf': float('inf'), 'nan': float('nan')}
# a set or a dict may be written with what has no hash
_UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, RecursionError,
               MemoryError)


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
        return {
            target.id: _evaluate(node.value, lambda unknown: None)
            for node in tree.body if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name)
        }
    except _UNREADABLE:
        return {}


def parse_config_text(text: str) -> dict[str, Any]:
    """Values in the text that MMEngine makes of a config.

    Args:
        text (str): Assignments of literals, ``dict(...)`` and containers of
            such to names.

    Raises:
        ValueError: If there is anything else.
    """

    def refuse(node: ast.AST) -> NoReturn:
        raise ValueError(f'line {getattr(node, "lineno", 0)}: '
                         f'{ast.unparse(node)[:80]}')

    values = {}
    try:
        for node in ast.parse(text).body:
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1
                    and isinstance(node.targets[0], ast.Name)):
                refuse(node)
            values[node.targets[0].id] = _evaluate(node.value, refuse)
    except _UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return values


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


def _evaluate(node: ast.expr, unknown: Callable[[ast.expr], Any]) -> Any:
    """Value of what a config's text consists of; else what `unknown` says."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in _NUMBERS:
        return _NUMBERS[node.id]
    if isinstance(node, ast.List):
        return [_evaluate(item, unknown) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_evaluate(item, unknown) for item in node.elts)
    if isinstance(node, ast.Set):
        return {_evaluate(item, unknown) for item in node.elts}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_evaluate(key, unknown): _evaluate(value, unknown)
                for key, value in zip(node.keys, node.values, strict=True)
                if key is not None}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        called = (node.func.id, *map(type, node.args))
        if called == ('dict', ast.Dict) and not node.keywords:
            return _evaluate(node.args[0], unknown)
        if called == ('dict', ) and all(word.arg for word in node.keywords):
            return {str(word.arg): _evaluate(word.value, unknown)
                    for word in node.keywords}
        if called == ('set', ) and not node.keywords:
            return set()
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _evaluate(node.operand, unknown)
        if isinstance(number, int | float):
            return -number
    return unknown(node)
