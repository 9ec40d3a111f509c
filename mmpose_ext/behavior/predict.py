"""``tools/predict.py`` for tracks of animals.

Every frame gets an embedding or, of a model that tells behaviours, its
classes. A folder has the files of each record; ``prediction.json`` says what
they were made from.
"""
from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from mmpose_ext import __version__
from mmpose_ext.behavior.annotation_files import (
    ANNOTATIONS_CSV,
    ANNOTATIONS_NC,
    EVENTS_CSV,
    decide,
    write_annotations,
)
from mmpose_ext.behavior.embedding_files import (
    EMBEDDING_CSV,
    EMBEDDING_NC,
    read_attributes,
    read_embedding,
    write_embedding,
    write_number_table,
)
from mmpose_ext.behavior.inference import LisbetStreamer, load_model
from mmpose_ext.behavior.recordings import (
    Recordings,
    check_names_of,
    open_recordings,
)
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError, atomic_file, refuse_to_replace
from mmpose_ext.storage.plain_files import sha256_of, without_nan
from mmpose_ext.training import choose_device

Array = np.ndarray

PREDICTION = 'prediction.json'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument(
        'input', type=Path,
        help='folder of records, or one file of tracks; read as the test data '
        'of CONFIG')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR',
        help='folder to write; made if need be. Records that are there '
        'already are left, so that an interrupted run goes on')
    parser.add_argument(
        '--batch-size', type=int, metavar='N',
        help='windows at a time (default: 32; on a GPU 1024)')
    parser.add_argument(
        '--device', default='auto',
        help='auto, cpu, cuda, cuda:1, ... (default: auto)')
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        '--stride', type=int, default=1, metavar='N',
        help='embed each N-th frame and draw a line between: N times as fast, '
        'an approximation (default: 1)')
    how.add_argument(
        '--dense', action='store_true',
        help='use all frames of half-overlapping windows: much faster, an '
        'approximation')
    how.add_argument(
        '--causal', action='store_true',
        help='one pass, for networks that look back only')
    parser.add_argument(
        '--threshold', type=float, default=.5, metavar='P',
        help='from which probability a behaviour holds, where several may '
        '(default: 0.5)')
    parser.add_argument(
        '--embeddings', action='store_true',
        help='embeddings too, of a model that tells behaviours')
    parser.add_argument(
        '--csv', action='store_true',
        help=f"also {EMBEDDING_CSV}, in the original's layout")
    parser.add_argument(
        '--float16', action='store_true',
        help='embeddings in half precision, half the size')
    parser.add_argument(
        '--probe', action='store_true',
        help='tell how much of the annotated behaviours a linear classifier '
        'and the nearest neighbours find in the embeddings')
    parser.add_argument(
        '--tsne', action='store_true',
        help='a map of neighbours beside that of principal axes')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace older results')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Predict, write, draw and summarise."""
    _check_numbers(arguments)
    device = choose_device(arguments.device)
    model, meta = load_model(config, arguments.checkpoint, device)
    recordings = open_recordings(config, arguments.input,
                                 need_labels=arguments.probe)
    check_names_of(recordings, meta, arguments.checkpoint)
    job = PredictionJob.prepare(config, arguments, model, meta, recordings,
                                device)
    todo = job.list_undone()
    refuse_to_replace(arguments.out, [arguments.input, arguments.checkpoint])
    job.out.mkdir(parents=True, exist_ok=True)
    job.write_settings()
    began = time.perf_counter()
    frames = sum(int(recordings.store.lengths[i]) for i in todo)
    with prediction_progress() as progress:
        bar = progress.add_task('frames', total=frames)
        for i in todo:
            job.predict_record(
                i, lambda count: progress.advance(bar, count))
    seconds = time.perf_counter() - began
    count = len(recordings.store.ids)
    lines = [f'records     {count}, {recordings.store.total_frames:,} frames'
             + (f'; {count - len(todo)} of them from before'
                if len(todo) < count else '')]
    if frames:
        lines.append(f'rate        {frames / seconds:,.0f} frames a second, '
                     f'{job.mode}')
    lines += job.draw(arguments.tsne)
    if arguments.probe:
        lines += job.probe()
    print('\n'.join([*lines, f'written     {job.out}', job.next_step()]))
    return 0


@dataclass(frozen=True, eq=False)
class PredictionJob:
    """What is predicted, from what, into where.

    Attributes:
        out: The folder.
        recordings: What is read.
        streamer: What embeds.
        head: What tells behaviours; None of a model that does not.
        classes: Their names.
        mode: ``exact``, ``strided``, ``dense`` or ``causal``.
        settings: What results depend on, as texts and numbers.
        options: As given on the command line.
    """

    out: Path
    recordings: Recordings
    streamer: LisbetStreamer
    head: Any
    classes: tuple[str, ...]
    mode: str
    settings: dict[str, Any]
    options: argparse.Namespace

    @classmethod
    def prepare(cls, config: Config, arguments: argparse.Namespace,
                model: nn.Module, meta: dict[str, Any],
                recordings: Recordings,
                device: torch.device) -> PredictionJob:
        """Join what was opened.

        Raises:
            DataError: If the parts do not fit together.
        """
        shape = recordings.shape
        offset = getattr(model, 'window_offset', shape.offset)
        if offset != shape.offset:
            raise DataError(
                config.filename or 'config', 'window_offset',
                f'model.window_offset, {offset}, in the data set too',
                str(shape.offset))
        batch = arguments.batch_size or (32 if device.type == 'cpu' else 1024)
        mode = ('dense' if arguments.dense else 'causal' if arguments.causal
                else 'strided' if arguments.stride > 1 else 'exact')
        if mode == 'causal' and not getattr(model.backbone, 'causal', False):
            raise DataError(
                config.filename or 'config', '--causal', 'a network that '
                'looks back only', type(model.backbone).__name__)
        if mode in ('dense', 'causal') and (recordings.factors != 1).any():
            raise DataError(
                arguments.input, f'--{mode}', 'records at the frame rate of '
                'the model', f'{recordings.factors.max():g} times as many '
                'frames', 'use --stride')
        head = find_frame_head(model)
        settings: dict[str, Any] = dict(
            window_size=shape.size, window_offset=shape.offset,
            padding=shape.padding, mode=mode, stride=arguments.stride,
            checkpoint_sha256=sha256_of(arguments.checkpoint),
            config=Path(config.filename or 'config').name,
            individuals=list(recordings.store.individuals),
            keypoints=list(recordings.store.keypoints),
            source_software=f'mmpose_ext {__version__}')
        return cls(arguments.out, recordings,
                   LisbetStreamer(model, shape, batch), head,
                   name_classes(head, meta, recordings, arguments.checkpoint)
                   if head is not None else (), mode, settings, arguments)

    @property
    def embeds(self) -> bool:
        """Whether embeddings are kept."""
        return self.head is None or bool(
            self.options.embeddings or self.options.probe)

    def list_undone(self) -> list[int]:
        """Records whose files are not there yet.

        Raises:
            DataError: If there are files by another model or in another mode.
        """
        todo = []
        for i, record in enumerate(self.recordings.store.ids):
            folder = self.out / record
            wanted = [EMBEDDING_NC] if self.embeds else []
            wanted += [ANNOTATIONS_NC] if self.head is not None else []
            if self.options.csv and self.embeds:
                wanted.append(EMBEDDING_CSV)
            if not self.options.overwrite:
                for name in (EMBEDDING_NC, ANNOTATIONS_NC):
                    if (folder / name).is_file():
                        self._check_origin(folder / name)
            if self.options.overwrite or not all(
                    (folder / name).is_file() for name in wanted):
                todo.append(i)
        return todo

    def predict_record(self, index: int, advance: Any) -> None:
        """Write the files of a record.

        Args:
            index (int): Of the record.
            advance (Callable): Told how many frames were done.
        """
        store = self.recordings.store
        folder = self.out / store.ids[index]
        folder.mkdir(parents=True, exist_ok=True)
        fps = self.recordings.fps(index)
        frames = np.arange(store.lengths[index])
        scores: list[Array] = []

        def blocks() -> Iterator[Array]:
            for block in self._stream(index):
                if self.head is not None:
                    scores.append(score(self.head, block))
                advance(len(block))
                yield block

        if self.embeds:
            write_embedding(
                folder / EMBEDDING_NC, blocks(),
                frames + int(store.first_frames[index]), fps,
                dict(self.settings, record=store.ids[index]),
                self.options.float16)
            if self.options.csv:
                values = read_embedding(folder / EMBEDDING_NC).values
                write_number_table(
                    folder / EMBEDDING_CSV,
                    list(map(str, range(values.shape[1]))), values)
        else:
            for _ in blocks():
                pass
        if self.head is not None:
            found = np.concatenate(scores)
            write_annotations(
                folder, self.classes, found,
                decide(found, self.head.kind == 'multilabel',
                       self.options.threshold), fps,
                dict(self.settings, threshold=self.options.threshold))

    def write_settings(self) -> None:
        """Write what results are made from."""
        with atomic_file(self.out / PREDICTION) as temporary:
            temporary.write_text(json.dumps(without_nan(dict(
                self.settings, input=str(self.options.input.resolve()),
                checkpoint=str(self.options.checkpoint.resolve()),
                classes=list(self.classes),
                records=list(self.recordings.store.ids),
                approximation=self.mode in ('strided', 'dense'))),
                indent=2) + '\n')

    def draw(self, tsne: bool) -> list[str]:
        """Draw ethograms and a map; lines that name them."""
        from mmpose_ext.behavior.prediction_pictures import draw_predictions
        names = draw_predictions(
            self.out, self.recordings, self.classes, self.embeds, tsne)
        return [f'pictures    {self.out / name}' for name in names]

    def probe(self) -> list[str]:
        """Probe embeddings; lines of a table."""
        from mmpose_ext.behavior.probe import probe_records, write_probe
        store = self.recordings.store
        figures = probe_records(
            [read_embedding(self.out / record / EMBEDDING_NC).values
             for record in store.ids],
            [store.record(i) for i in range(len(store.ids))],
            [store.record_labels(i) for i in range(len(store.ids))],
            store.classes, self.recordings.shape)
        return write_probe(self.out / 'probe.json', figures)

    def next_step(self) -> str:
        """What to do with what was written."""
        if self.embeds:
            return (f'            next: tools/segment_motifs.py CONFIG '
                    f'{self.out} --out DIR')
        return (f'            in each record {ANNOTATIONS_CSV}, {EVENTS_CSV} '
                f'and {ANNOTATIONS_NC}')

    def _stream(self, index: int) -> Iterator[Array]:
        store, stride = self.recordings.store, self.options.stride
        if self.recordings.factors[index] != 1:
            return self.streamer.embeddings_by(
                self.recordings.cutter(index), int(store.lengths[index]),
                stride)
        return self.streamer.embeddings(store.record(index), self.mode,
                                        stride)

    def _check_origin(self, path: Path) -> None:
        found = read_attributes(path)
        for name in ('checkpoint_sha256', 'mode', 'stride', 'window_size',
                     'window_offset'):
            if str(found.get(name)) != str(self.settings[name]):
                raise DataError(
                    path, name, f'results with {self.settings[name]}, as '
                    'asked for now', str(found.get(name)),
                    'choose another folder, or --overwrite')


def find_frame_head(model: nn.Module) -> Any:
    """The head that tells behaviours; None where there is none."""
    heads = getattr(model, 'heads', None) or {}
    return next((head for head in heads.values()
                 if getattr(head, 'kind', None) in ('multiclass',
                                                    'multilabel')), None)


@torch.inference_mode()
def score(head: Any, embeddings: Array) -> Array:
    """Class probabilities (t, C) of embeddings (t, D)."""
    parameter = next(head.parameters())
    logits = head.logits(torch.from_numpy(embeddings).to(parameter))
    scores = (logits.sigmoid() if head.kind == 'multilabel' else
              logits.softmax(-1))
    return np.asarray(scores.float().cpu().numpy())


def name_classes(head: Any, meta: dict[str, Any], recordings: Recordings,
                 checkpoint: Path) -> tuple[str, ...]:
    """Names of a head's classes: the checkpoint's, else the data's.

    Raises:
        DataError: If neither has as many.
    """
    count = int(head.num_classes)
    for names in (meta.get('classes') or (), recordings.store.classes):
        if len(names) == count:
            return tuple(map(str, names))
    raise DataError(
        checkpoint, 'classes', f'names of the {count} classes of the model',
        f'{len(recordings.store.classes)} in the data, none that fit in the '
        'checkpoint', 'use a checkpoint of a training, or set classes in the '
        'data set')


def _check_numbers(arguments: argparse.Namespace) -> None:
    for name, value, fits, expected in (
            ('--stride', arguments.stride, arguments.stride >= 1,
             'at least 1'),
            ('--batch-size', arguments.batch_size,
             arguments.batch_size is None or arguments.batch_size >= 1,
             'at least 1'),
            ('--threshold', arguments.threshold,
             0 < arguments.threshold < 1, 'between 0 and 1')):
        if not fits:
            raise DataError(arguments.input, name, expected, str(value))
