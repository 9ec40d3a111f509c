"""What the exports to ONNX share: packages, the file, parity with torch."""
from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmpose_ext.storage import DataError

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')


def packages_are_there() -> bool:
    """Whether an export can run; if not, says on stderr what is missing."""
    missing = [name for name in PACKAGES if not _is_installed(name)]
    if missing:
        print(f'error: {", ".join(missing)} not installed: '
              'pip install mmpose_ext[export]', file=sys.stderr)
    return not missing


def add_export_options(parser: argparse.ArgumentParser, batch: str) -> None:
    """Add the options of an export of batches of a fixed size.

    Args:
        parser (ArgumentParser): Of ``tools/export_onnx.py``.
        batch (str): What a batch is made of, in the plural.
    """
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, required=True, help='.onnx file')
    parser.add_argument('--batch', type=int, default=1,
                        help=f'{batch} at a time (default: 1)')
    parser.add_argument(
        '--opset', type=int, default=18, help='18 or more (default: 18)')
    parser.add_argument(
        '--check', action=argparse.BooleanOptionalAction, default=True,
        help='compare with torch, and write nothing if it differs')


def check_export_options(arguments: argparse.Namespace) -> None:
    """Check what :func:`add_export_options` has read.

    Raises:
        DataError: If an option cannot be.
    """
    check_name(arguments.out)
    for name, least in (('batch', 1), ('opset', 18)):
        if getattr(arguments, name) < least:
            raise DataError('command line', f'--{name}', f'at least {least}',
                            str(getattr(arguments, name)))


def check_name(out: Path) -> None:
    """Check that a file to write is called .onnx.

    Raises:
        DataError: If it is not.
    """
    if out.suffix != '.onnx':
        raise DataError(out, '--out', 'a name ending in .onnx',
                        repr(out.suffix))


def save_checked(model: Any, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a graph with metadata that lets a program use the file alone.

    Args:
        model (onnx.ModelProto): What the exporter made.
        path (Path): File to write.
        metadata (Mapping[str, str]): Words for the program.
    """
    import onnx
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def open_session(path: Path) -> Any:
    """The file in onnxruntime, on the CPU."""
    import onnxruntime
    return onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider'])


def require_parity(out: Path, differences: Mapping[str, float],
                   limits: float | Mapping[str, float]) -> str:
    """Check that the file gives what torch gives.

    Args:
        out (Path): The file that is to be, for the error.
        differences (Mapping[str, float]): Largest ones by output.
        limits (float | Mapping[str, float]): What they must stay below.

    Returns:
        str: The differences in words.

    Raises:
        DataError: If one is too large.
    """
    text = ', '.join(
        f'{name} {value:.1e}' for name, value in differences.items())
    if isinstance(limits, Mapping):
        allowed = limits
        expected = ', '.join(
            f'{name} below {limit:g}' for name, limit in limits.items())
    else:
        allowed = dict.fromkeys(differences, limits)
        expected = f'differences below {limits:g}'
    # not "any above": a NaN is no parity either
    if not all(value < allowed[name] for name, value in differences.items()):
        raise DataError(out, 'parity with torch', expected, text,
                        'no file was written; try another --opset')
    return text


def _is_installed(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
