"""``tools/predict.py`` for tracks of animals.

Every frame gets an embedding or, of a model that tells behaviours, its
classes. A folder has the files of each record; ``prediction.json`` says what
they were made from.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

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
from mmpose_ext.behavior.inference import load_model
from mmpose_ext.behavior.prediction_pictures import (
    PREDICTION,
    draw_predictions,
)
from mmpose_ext.behavior.record_predictor import (
    EXACT,
    STRIDED,
    RecordPredictor,
    TrainedModel,
)
from mmpose_ext.behavior.recordings import (
    Recordings,
    check_names_of,
    open_recordings,
)
from mmpose_ext.command_options import (
    add_device_option,
    check_least,
    check_out,
)
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError, refuse_to_replace, write_json
from mmpose_ext.storage.plain_files import sha256_of
from mmpose_ext.training import choose_device

Array = np.ndarray

# settings that results on the disk must share to be left there
_ORIGIN = ('checkpoint_sha256', 'mode', 'stride', 'window_size',
           'window_offset', 'padding')


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
    add_device_option(parser)
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
    _check_options(arguments)
    device = choose_device(arguments.device)
    trained = TrainedModel(
        *load_model(config, arguments.checkpoint, device), config,
        arguments.checkpoint)
    recordings = open_recordings(config, arguments.input,
                                 need_labels=arguments.probe)
    check_names_of(recordings, trained.meta, arguments.checkpoint)
    job = PredictionJob.prepare(trained, recordings, arguments)
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
        predictor: What predicts, of which records.
        settings: What results depend on, as texts and numbers.
        options: As given on the command line.
    """

    out: Path
    predictor: RecordPredictor
    settings: dict[str, Any]
    options: argparse.Namespace

    @classmethod
    def prepare(cls, trained: TrainedModel, recordings: Recordings,
                arguments: argparse.Namespace) -> PredictionJob:
        """Join what was opened.

        Raises:
            DataError: If the parts do not fit together.
        """
        mode = ('dense' if arguments.dense else 'causal' if arguments.causal
                else STRIDED if arguments.stride > 1 else EXACT)
        predictor = RecordPredictor.prepare(
            trained, recordings, mode, arguments.stride, arguments.batch_size)
        shape, store = recordings.shape, recordings.store
        settings: dict[str, Any] = dict(
            window_size=shape.size, window_offset=shape.offset,
            padding=shape.padding, mode=mode, stride=arguments.stride,
            checkpoint_sha256=sha256_of(arguments.checkpoint),
            config=Path(trained.config_name).name,
            individuals=list(store.individuals),
            keypoints=list(store.keypoints),
            source_software=f'mmpose_ext {__version__}')
        return cls(arguments.out, predictor, settings, arguments)

    @property
    def recordings(self) -> Recordings:
        """What is read."""
        return self.predictor.recordings

    @property
    def head(self) -> Any:
        """What tells behaviours; None of a model that does not."""
        return self.predictor.head

    @property
    def mode(self) -> str:
        """``exact``, ``strided``, ``dense`` or ``causal``."""
        return self.predictor.mode

    @property
    def embeds(self) -> bool:
        """Whether embeddings are kept."""
        return self.head is None or bool(
            self.options.embeddings or self.options.probe)

    def list_undone(self) -> list[int]:
        """Records whose files are not there yet.

        Raises:
            DataError: If there are files by another model, in another mode or
                by another threshold.
        """
        todo = []
        for i, record in enumerate(self.recordings.store.ids):
            folder = self.out / record
            wanted = [EMBEDDING_NC] if self.embeds else []
            wanted += [ANNOTATIONS_NC] if self.head is not None else []
            if self.options.csv and self.embeds:
                wanted.append(EMBEDDING_CSV)
            if not self.options.overwrite:
                self._check_origin(folder / EMBEDDING_NC, {})
                self._check_origin(folder / ANNOTATIONS_NC, dict(
                    threshold=self.options.threshold)
                    if self.predictor.multilabel else {})
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
            for block in self.predictor.embed(index):
                if self.head is not None:
                    scores.append(self.predictor.score(block))
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
                folder, self.predictor.classes, found,
                decide(found, self.predictor.multilabel,
                       self.options.threshold), fps,
                dict(self.settings, threshold=self.options.threshold))

    def write_settings(self) -> None:
        """Write what results are made from."""
        write_json(self.out / PREDICTION, dict(
            self.settings, input=str(self.options.input.resolve()),
            checkpoint=str(self.options.checkpoint.resolve()),
            classes=list(self.predictor.classes),
            records=list(self.recordings.store.ids),
            approximation=self.mode in ('strided', 'dense')))

    def draw(self, tsne: bool) -> list[str]:
        """Draw ethograms and a map; lines that name them."""
        names = draw_predictions(
            self.out, self.recordings, self.predictor.classes, self.embeds,
            tsne)
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

    def _check_origin(self, path: Path, more: dict[str, Any]) -> None:
        """Check that a file, if it is there, would come out the same."""
        if not path.is_file():
            return
        found = read_attributes(path)
        for name, wanted in {**{name: self.settings[name]
                                for name in _ORIGIN}, **more}.items():
            if str(found.get(name)) != str(wanted):
                raise DataError(
                    path, name, f'results with {wanted}, as asked for now',
                    str(found.get(name)),
                    'choose another folder, or --overwrite')


def _check_options(arguments: argparse.Namespace) -> None:
    if arguments.out.exists():
        check_out(arguments.out)
    check_least(arguments.input, arguments, stride=1, batch_size=1)
    if not 0 < arguments.threshold < 1:
        raise DataError(arguments.input, '--threshold', 'between 0 and 1',
                        str(arguments.threshold))
