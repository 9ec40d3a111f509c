"""``tools/predict.py`` for horses."""
from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from torch import nn

from mmpose_ext.equine.inference import (
    Poses,
    add_input_arguments,
    estimate_poses,
    load_model,
    open_input,
    paths_read,
)
from mmpose_ext.equine.prediction_files import check_output, open_predictions
from mmpose_ext.equine.sources import PictureSource
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import refuse_to_replace
from mmpose_ext.training import choose_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_input_arguments(parser)
    parser.add_argument(
        '--out', type=Path, required=True,
        help=".json (COCO's results format) or .csv (a line a point)")


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Predict and write."""
    check_output(arguments.out)
    device = choose_device(arguments.device)
    source = open_input(config, arguments, device)
    refuse_to_replace(arguments.out, paths_read(arguments, source))
    model = load_model(config, arguments.checkpoint, device)
    stream = PoseStream(model, source, arguments.batch_size)
    with open_predictions(arguments.out) as write:
        for poses in stream:
            write(poses)
    print(f'{stream.report()}\nwritten         {arguments.out}')
    return 0


class PoseStream:
    """Poses of a source, with progress on the standard error.

    Args:
        model (nn.Module): As ``load_model`` gives it.
        source (PictureSource): What to look at.
        batch_size (int): Horses at a time.
    """

    def __init__(self, model: nn.Module, source: PictureSource,
                 batch_size: int) -> None:
        self.model, self.source = model, source
        self.batch_size = batch_size
        self.horses = 0
        self.seconds = 0.

    def __iter__(self) -> Iterator[Poses]:
        began = time.perf_counter()
        with prediction_progress() as progress:
            for poses in progress.track(
                    estimate_poses(self.model, self.source, self.batch_size),
                    total=len(self.source), description='pictures'):
                self.horses += len(poses.keypoints)
                yield poses
        self.seconds = time.perf_counter() - began

    def report(self) -> str:
        """Lines that say what was done, and what was left out."""
        skipped = self.source.skipped
        done = len(self.source) - len(skipped)
        text = (f'pictures        {done}, {done / self.seconds:,.1f} a second'
                f'\nhorses          {self.horses}')
        if skipped:
            text += (f'\nunreadable      {len(skipped)}, the first '
                     f'{skipped[0]}')
        return text
