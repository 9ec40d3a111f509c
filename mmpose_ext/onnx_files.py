"""Exports to ONNX: what the families share of them."""
from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.storage import DataError, atomic_file

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
FREE_BATCHES = (1, 3)  # to compare with where any size will do

# Logged by packages about parts that none of these graphs have.
_NEEDLESS_LINES = {
    'torch.onnx._internal.exporter._registration':
    'torchvision is not installed',
    'onnxscript.optimizer._constant_folding': 'Skipping constant folding'}


class ExportGraph(nn.Module):
    """What a family exports; a subclass computes the outputs in ``forward``.

    Attributes:
        inputs (tuple[str]): Names of the inputs.
        outputs (tuple[str]): Names of the outputs, all of which are batches.
        limits (float | Mapping[str, float]): What the differences from torch
            must stay below, in all or by output.
        traced (bool): Whether torch's older exporter makes the graph, for
            batches of any size. To it, sizes are no numbers; a graph that
            computes with them needs the newer one.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    limits: float | Mapping[str, float] = 1e-4
    traced = True

    @property
    def opsets(self) -> tuple[int, int]:
        """First and last operator set that the exporter knows."""
        return (17, 20) if self.traced else (18, 23)

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Inputs for so many samples, others for every seed."""
        raise NotImplementedError

    def metadata(self) -> dict[str, str]:
        """What a program has to know that uses the file alone."""
        raise NotImplementedError

    def expected(self, *example: Tensor) -> Sequence[Tensor]:
        """What the outputs must be; of the model as it was trained."""
        return self(*example)

    def difference(self, name: str, found: np.ndarray,
                   wanted: np.ndarray) -> float:
        """How far an output is from what it must be."""
        return float(np.abs(found - wanted).max())


def add_export_options(parser: argparse.ArgumentParser, things: str,
                       any_batch: bool) -> None:
    """Add the options of ``tools/export_onnx.py``.

    Args:
        parser (ArgumentParser): Of the command.
        things (str): What a batch is made of, in the plural.
        any_batch (bool): Whether the size of batches is free by default.
    """
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, required=True, help='.onnx file')
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        '--batch', type=int, default=None if any_batch else 1, metavar='N',
        help=f'so many {things} at a time, no more and no less (default: '
        f'{"any number" if any_batch else 1})')
    if any_batch:
        sizes.add_argument(
            '--dynamic-batch', dest='batch', action='store_const', const=None,
            help=f'any number of {things} at a time, which is the default')
    parser.add_argument(
        '--opset', type=int, metavar='N',
        help='ONNX operator set (default: the first that will do, '
        f'{17 if any_batch else 18})')
    parser.add_argument(
        '--check', action=argparse.BooleanOptionalAction, default=True,
        help='compare with torch, and write nothing if it differs')


def run_export(
        config: Config, arguments: argparse.Namespace,
        build: Callable[[Config, argparse.Namespace], ExportGraph]) -> int:
    """Export, compare with torch, and keep the file only if equal.

    Args:
        config (Config): Of the training.
        arguments (Namespace): Of :func:`add_export_options`.
        build (Callable): Makes the graph of both.

    Returns:
        int: Exit code; 1 if packages are missing.

    Raises:
        DataError: If an option cannot be, or the file differs from torch.
    """
    if not packages_are_there():
        return 1
    out: Path = arguments.out
    batch, opset = arguments.batch, arguments.opset
    if out.suffix != '.onnx':
        raise DataError(out, '--out', 'a name ending in .onnx',
                        repr(out.suffix))
    if batch is not None and batch < 1:
        raise DataError('command line', '--batch', 'at least 1', str(batch))
    graph = build(config, arguments)
    least, most = graph.opsets
    if opset is not None and not least <= opset <= most:
        raise DataError('command line', '--opset', f'{least} to {most}',
                        str(opset))
    with atomic_file(out) as temporary:
        try:
            export(graph, temporary, batch, opset)
        except torch.onnx.errors.UnsupportedOperatorError as error:
            raise DataError(
                out, 'operators', f'those of ONNX {opset or least}',
                str(error).split(' to ONNX')[0],
                'try another --opset') from error
        if arguments.check:
            text = require_parity(out, compare(graph, temporary, batch),
                                  graph.limits)
            print(f'largest differences from torch: {text}')
    print(f'written: {out}')
    return 0


def packages_are_there() -> bool:
    """Whether an export can run; if not, says on stderr what is missing."""
    missing = [name for name in PACKAGES if not _is_installed(name)]
    if missing:
        print(f'error: {", ".join(missing)} not installed: '
              'pip install mmpose_ext[export]', file=sys.stderr)
    return not missing


def export(graph: ExportGraph, path: Path, batch: int | None = None,
           opset: int | None = None) -> None:
    """Write a graph with metadata that lets a program use the file alone.

    Args:
        graph (ExportGraph): What to export.
        path (Path): File to write.
        batch (int, optional): Size of the batches. Defaults to None: any, or
            1 where the exporter must know it.
        opset (int, optional): ONNX operator set. Defaults to the first that
            the exporter knows.
    """
    import onnx
    names = (*graph.inputs, *graph.outputs)
    options: dict[str, Any] = dict(
        dynamo=True, external_data=False, verbose=False)
    if graph.traced:
        options = dict(dynamic_axes=None if batch else {
            name: {0: 'B'} for name in names})
        # torch before 2.5 has no such choice
        if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
            options['dynamo'] = False
    # traced with two, so that no size of one is taken for a constant
    example = graph.eval().example(batch or (2 if graph.traced else 1))
    with _without_needless_lines(), torch.no_grad():
        shapes = [value.shape for value in graph(*example)]
        torch.onnx.export(
            graph, example, str(path), input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=opset or graph.opsets[0], **options)
    model = onnx.load(str(path))
    for output, shape in zip(model.graph.output, shapes, strict=True):
        for i, length in enumerate(shape[1:], 1):  # the exporter loses some
            output.type.tensor_type.shape.dim[i].dim_value = length
    onnx.helper.set_model_props(model, graph.metadata())
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def compare(graph: ExportGraph, path: Path, batch: int | None = None,
            seed: int = 0) -> dict[str, float]:
    """Largest difference between onnxruntime and torch for each output.

    Args:
        graph (ExportGraph): What was exported.
        path (Path): The exported file.
        batch (int, optional): As in :func:`export`. Defaults to None.
        seed (int): Of the inputs. Defaults to 0.
    """
    import onnxruntime
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider'])
    largest = dict.fromkeys(graph.outputs, 0.)
    sizes = FREE_BATCHES if graph.traced else (1, )
    for size in (batch, ) if batch else sizes:
        example = graph.example(size, seed)
        with torch.no_grad():
            wanted = graph.expected(*example)
        found = session.run(list(graph.outputs), {
            name: value.numpy() for name, value in zip(
                graph.inputs, example, strict=True)})
        for name, value, want in zip(graph.outputs, found, wanted,
                                     strict=True):
            # not max(): a NaN is no parity
            largest[name] = float(np.maximum(
                largest[name],
                graph.difference(name, value, want.numpy())))
    return largest


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
        expected = ', '.join(f'{name} below {limits[name]:g}'
                             for name in differences)
    else:
        allowed = dict.fromkeys(differences, limits)
        expected = f'differences below {limits:g}'
    # not "any above": a NaN is no parity either
    if not all(value < allowed[name] for name, value in differences.items()):
        raise DataError(out, 'parity with torch', expected, text,
                        'no file was written; try another --opset')
    return text


def channel_normalisation(model: Any) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the channels, in the model's order.

    Args:
        model (nn.Module): An estimator of MMPose's kind.

    Returns:
        tuple[list, list]: Levels of 255; 0 and 1 without normalisation.
    """
    preprocessor = model.data_preprocessor
    if not getattr(preprocessor, '_enable_normalize', False):
        return [0.] * 3, [1.] * 3
    mean, std = (
        [round(float(level), 4) for level in value.flatten()]
        for value in (preprocessor.mean, preprocessor.std))
    return mean, std


@contextlib.contextmanager
def _without_needless_lines() -> Iterator[None]:
    """Keep what the exporters say of themselves off the screen."""
    filters = [
        (logging.getLogger(name),
         lambda record, start=start: not str(record.msg).startswith(start))
        for name, start in _NEEDLESS_LINES.items()]
    for logger, is_needed in filters:
        logger.addFilter(is_needed)
    try:
        with warnings.catch_warnings():
            # that the older exporter is old, and that sizes are fixed: the
            # comparison would tell
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, is_needed in filters:
            logger.removeFilter(is_needed)


def _is_installed(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
