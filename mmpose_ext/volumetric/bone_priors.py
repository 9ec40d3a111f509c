"""The lengths of bones, measured on the labels that a config trains on.

``python -m mmpose_ext.volumetric.bone_priors CONFIG --out priors.npy`` shows
them and writes a file for ``DannceBoneLengthLoss``; ``--out priors.mat``
makes one for MATLAB. The loss can also measure them itself, at the start of
each run, by ``priors='labels'``.
"""
from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmpose_ext.command_options import check_out
from mmpose_ext.commands import run_command
from mmpose_ext.storage import DataError
from mmpose_ext.training import build_serial_loader, text_table
from mmpose_ext.volumetric.length_priors import (
    LengthPriors,
    measure_bones,
    write_priors,
)
from mmpose_ext.volumetric.loss_hook import training_labels


def measure_config(config: Config) -> LengthPriors:
    """Measure the bones of the training labels of a config.

    Args:
        config (Config): Of a training.

    Raises:
        DataError: If its training data cannot be read, or no bone was
            labelled twice.
    """
    # the cache would read all frames first
    loader: Any = build_serial_loader(config, 'train', ['cache'])
    plan, labels, file = training_labels(loader.dataset, config.filename)
    priors = measure_bones(labels, plan, file)
    if not priors.known.any():
        raise DataError(file, 'labels', 'a bone that was labelled twice',
                        f'none in {len(labels)} labelled poses')
    return priors


def priors_table(priors: LengthPriors) -> str:
    """Lay out the lengths of measured bones as text.

    Args:
        priors (LengthPriors): With names and counts.
    """
    assert priors.bones is not None and priors.counts is not None
    return text_table(('bone', 'mean mm', 'std mm', 'labels'), (
        (bone, f'{mean:.2f}', f'{std:.2f}', str(count))
        for bone, mean, std, count in zip(
            priors.bones, priors.mean, priors.std, priors.counts,
            strict=True)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('--out', type=Path, required=True,
                        help='.npy or .mat to write')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the file')


def run(config: Config, arguments: argparse.Namespace) -> None:
    """Measure, write and show."""
    out: Path = arguments.out
    check_out(out, ('.npy', '.mat'), overwrite=arguments.overwrite)
    # MMEngine's log would mix with the table
    with contextlib.redirect_stdout(sys.stderr):
        priors = measure_config(config)
    write_priors(out, priors)
    print(priors_table(priors))
    _advise(priors, out)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 1 for bad data, 2 for wrong usage.
    """
    return run_command(
        'bone_priors', 'Measure the lengths of bones on the labels that a '
        'config trains on.', argv,
        'python -m mmpose_ext.volumetric.bone_priors')


def _advise(priors: LengthPriors, out: Path) -> None:
    """Say what was written, and how a config uses it."""
    assert priors.bones is not None
    unknown = [bone for bone, known in zip(
        priors.bones, priors.known, strict=True) if not known]
    mask = f', mask={unknown}' if unknown else ''
    print(f"written: {out}\nin a config: dict(type='mmpose_ext."
          f"DannceBoneLengthLoss', priors='{out}'{mask})")


if __name__ == '__main__':
    sys.exit(main())
