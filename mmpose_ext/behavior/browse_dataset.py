"""Pictures of the windows that the network sees, with their questions."""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from itertools import islice
from typing import Any

from mmengine.config import Config

from mmpose_ext.browsing import (
    add_browse_arguments,
    check_browse_arguments,
    track_drawing,
    write_shown,
)
from mmpose_ext.registry import MODELS, VISUALIZERS
from mmpose_ext.training import build_serial_loader


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/browse_dataset.py`` for this family."""
    add_browse_arguments(parser, 2, 'sheets of nine windows for each task')


def run(config: Config, arguments: Namespace) -> None:
    """Draw the first windows that training would see, augmented."""
    out = check_browse_arguments(config, arguments)
    loader = build_serial_loader(config, arguments.split)
    preprocessor = MODELS.build(config.model.data_preprocessor)
    settings = dict(config.visualizer)
    settings.update(vis_backends=None, name='browser')
    visualizer = VISUALIZERS.build(settings)
    dataset: Any = loader.dataset
    visualizer.set_dataset_meta(dataset.metainfo)
    batches = islice(loader, arguments.number)
    for number, batch in enumerate(
            track_drawing(batches, arguments.number)):
        windows, samples = preprocessor.prepare(batch)
        for sample in samples:
            first = sample.metainfo['first']
            sheet = visualizer.draw_picture(
                windows[first:first + sample.metainfo['windows']].numpy(),
                sample, True, False, 0.)
            task = sample.metainfo['task']
            write_shown(
                out / f'{arguments.split}_{task}_{number:02d}.png', sheet)
