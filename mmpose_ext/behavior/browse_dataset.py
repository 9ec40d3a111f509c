"""Pictures of the windows that the network sees, with their questions."""
from __future__ import annotations

from argparse import ArgumentParser, Namespace
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from mmpose_ext.drawing import write_picture
from mmpose_ext.registry import MODELS, VISUALIZERS
from mmpose_ext.storage import DataError
from mmpose_ext.training import build_serial_loader


def add_arguments(parser: ArgumentParser) -> None:
    """Options of ``tools/browse_dataset.py`` for this family."""
    parser.add_argument('--out-dir', type=Path, required=True,
                        help='folder for the pictures')
    parser.add_argument('--phase', choices=('train', 'val', 'test'),
                        default='train', help='default: train')
    parser.add_argument('--number', type=int, default=2,
                        help='sheets of nine windows for each task '
                        '(default: 2)')


def run(config: Config, arguments: Namespace) -> None:
    """Draw the first windows that training would see, augmented."""
    out: Path = arguments.out_dir
    if out.exists() and not out.is_dir():
        raise DataError(out, 'folder', 'a folder or nothing', 'a file')
    if arguments.number < 1:
        raise DataError('command line', '--number', '1 or more',
                        str(arguments.number))
    loader = build_serial_loader(config, arguments.phase)
    preprocessor = MODELS.build(config.model.data_preprocessor)
    settings = dict(config.visualizer)
    settings.update(vis_backends=None, name='browser')
    visualizer = VISUALIZERS.build(settings)
    dataset: Any = loader.dataset
    visualizer.set_dataset_meta(dataset.metainfo)
    out.mkdir(parents=True, exist_ok=True)
    batches = islice(loader, arguments.number)
    for number, batch in enumerate(track(
            batches, 'Drawing windows', arguments.number,
            console=Console(stderr=True), transient=True)):
        windows, samples = preprocessor.prepare(batch)
        for sample in samples:
            first = sample.metainfo['first']
            sheet = visualizer.draw_picture(
                windows[first:first + sample.metainfo['windows']].numpy(),
                sample, True, False, 0.)
            path = out / (f'{arguments.phase}_{sample.metainfo["task"]}_'
                          f'{number:02d}.png')
            write_picture(path, sheet)
            print(path)
