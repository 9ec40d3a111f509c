"""``tools/visualize.py`` for behaviours and motifs."""
from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmpose_ext.behavior.annotation_files import (
    DEFAULT_FPS,
    TABLE_PREFIX,
    read_label_table,
)
from mmpose_ext.behavior.bouts import find_bouts
from mmpose_ext.behavior.class_tables import to_numbers
from mmpose_ext.behavior.embedding_files import (
    EMBEDDING_NC,
    find_embeddings,
)
from mmpose_ext.behavior.ethogram import draw_ethogram
from mmpose_ext.behavior.motif_files import METRICS_CSV, read_settings
from mmpose_ext.behavior.motif_options import add_folder_options, new_folder
from mmpose_ext.behavior.motif_pictures import (
    draw_bout_statistics,
    draw_overlap,
    draw_transitions,
)
from mmpose_ext.behavior.prediction_pictures import (
    ETHOGRAM,
    MAP,
    PREDICTION,
    compare_blocks,
    draw_map,
)
from mmpose_ext.behavior.recordings import Recordings, open_recordings
from mmpose_ext.behavior.track_strips import (
    TrackStyle,
    choose_bouts,
    cut_bout,
    draw_motif_sheet,
)
from mmpose_ext.command_options import check_least
from mmpose_ext.progress import prediction_progress
from mmpose_ext.storage import DataError

Array = np.ndarray

_LEAST_S = .2  # of a bout that is drawn as an example


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        'results', type=Path,
        help='folder that predict, segment_motifs or select_prototypes wrote: '
        f'RECORD/{TABLE_PREFIX}*.csv')
    parser.add_argument(
        'recordings', type=Path,
        help='the folder of records, or file of tracks, behind them')
    add_folder_options(parser)
    parser.add_argument(
        '--table', metavar='NAME',
        help=f'which {TABLE_PREFIX}NAME.csv, hmm8 say (default: the only '
        'one; of motifs that of the least BIC)')
    parser.add_argument(
        '--examples', type=int, default=6, metavar='N',
        help='bouts to draw of each class (default: 6)')
    parser.add_argument(
        '--embeddings', type=Path, metavar='DIR',
        help='folder that predict wrote, for a map coloured by class '
        '(default: where motifs are from)')
    parser.add_argument(
        '--tsne', action='store_true',
        help='a map of neighbours beside that of principal axes')
    parser.add_argument(
        '--video', type=Path, metavar='FILE',
        help='video of a record, on which to write what is done')
    parser.add_argument(
        '--record', metavar='ID',
        help='whose video it is (default: the only record)')


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Draw and summarise."""
    check_least(arguments.results, arguments, examples=1)
    recordings = open_recordings(config, arguments.recordings)
    results = read_results(arguments.results, arguments.table, recordings)
    record = _record_of_video(arguments, results)
    files = _find_embeddings(arguments, results)
    with new_folder(arguments, [arguments.results, arguments.recordings,
                                arguments.video]) as folder:
        _draw_records(folder, recordings, results)
        draw_classes(folder, recordings, results, arguments.examples)
        if files:
            draw_map(folder / MAP, files, recordings, results.classes,
                     results.labels, results.name, arguments.tsne)
        if record is not None:
            from mmpose_ext.behavior.labelled_video import write_labelled
            index = recordings.store.ids.index(record)
            write_labelled(
                folder / 'labelled.mp4', arguments.video, results.classes,
                results.labels[record], recordings.store.unscaled(index),
                int(recordings.store.first_frames[index]))
    print(f'table       {TABLE_PREFIX}{results.name}.csv of '
          f'{len(results.labels)} records, {len(results.classes)} classes\n'
          f'written     {arguments.out}: RECORD/{ETHOGRAM}, motifs.png, '
          'bouts.png, transitions.png'
          + (', overlap.png' if recordings.store.labels is not None else '')
          + (f', {MAP}' if files else '')
          + (', labelled.mp4' if record is not None else ''))
    return 0


@dataclass(frozen=True, eq=False)
class Results:
    """Classes of frames, as some command found them.

    Attributes:
        name: Of the table.
        classes: C names.
        labels: Record to (T, C) uint8.
    """

    name: str
    classes: tuple[str, ...]
    labels: dict[str, Array]

    def numbers(self) -> Array:
        """Class of each frame of all records, -1 for none."""
        return np.concatenate([to_numbers(one)
                               for one in self.labels.values()])

    @property
    def lengths(self) -> list[int]:
        """Frames of each record."""
        return list(map(len, self.labels.values()))


def read_results(root: Path, table: str | None,
                 recordings: Recordings) -> Results:
    """Read one table of each record.

    Args:
        root (Path): The folder.
        table (str, optional): Its name. None: the only one, or that of the
            least BIC.
        recordings (Recordings): Records of the same ids.

    Raises:
        DataError: If there is none, it is not told which, or records and
            tables do not fit together.
    """
    names = sorted({path.stem.removeprefix(TABLE_PREFIX)
                    for path in root.rglob(f'{TABLE_PREFIX}*.csv')})
    if table is None:
        table = _choose_table(root, names)
    if table not in names:
        raise DataError(root, '--table', f'one of {", ".join(names) or "-"}',
                        table)
    store = recordings.store
    labels: dict[str, Array] = {}
    classes: tuple[str, ...] = ()
    for index, record in enumerate(store.ids):
        path = root / record / f'{TABLE_PREFIX}{table}.csv'
        if not path.is_file():
            continue
        found, labels[record] = read_label_table(path)
        if classes and found != classes:
            raise DataError(path, 'columns', ', '.join(classes),
                            ', '.join(found))
        classes = found
        if len(labels[record]) != store.lengths[index]:
            raise DataError(path, 'rows', f'{store.lengths[index]}, the '
                            f'frames of {record}', str(len(labels[record])))
    if not labels:
        raise DataError(
            root, 'records', f'some of {", ".join(store.ids[:3])} ...',
            f'none with {TABLE_PREFIX}{table}.csv',
            'name the same recordings as for predict')
    return Results(table, classes, labels)


def draw_classes(folder: Path, recordings: Recordings, results: Results,
                 examples: int) -> None:
    """Draw what concerns all records: examples, bouts, what follows what.

    Args:
        folder (Path): It exists.
        recordings (Recordings): The tracks.
        results (Results): The classes.
        examples (int): Bouts of each class to draw.
    """
    store = recordings.store
    indices = [store.ids.index(record) for record in results.labels]
    fps = recordings.fps(indices[0]) or DEFAULT_FPS
    joined = np.concatenate(list(results.labels.values()))
    bouts = find_bouts(joined, results.lengths)
    starts = np.concatenate([[0], np.cumsum(results.lengths)])
    chosen: dict[int, list[tuple[Array, str]]] = {}
    for number in range(len(results.classes)):
        chosen[number] = []
        for place in choose_bouts(bouts, number, examples,
                                  max(2, round(_LEAST_S * fps))):
            record = int(bouts.records[place])
            start, stop = (int(one[place] - starts[record])
                           for one in (bouts.starts, bouts.stops))
            tracks = cut_bout(store.unscaled(indices[record], slice(
                start, stop)), 0, stop - start, fps)
            chosen[number].append((tracks, f'{start / fps:.1f} s, '
                                   f'{(stop - start) / fps:.1f} s long'))
    draw_motif_sheet(
        folder / 'motifs.png', results.classes, chosen,
        TrackStyle(store.individuals, store.keypoints), examples,
        title=f'{results.name}: examples')
    numbers = results.numbers()
    draw_bout_statistics(folder / 'bouts.png', numbers, results.lengths,
                         results.classes, fps, results.name)
    draw_transitions(folder / 'transitions.png', numbers, results.lengths,
                     results.classes, f'{results.name}: what follows what')
    if store.labels is not None:
        truth = np.concatenate([to_numbers(store.record_labels(i))
                                for i in indices])
        draw_overlap(folder / 'overlap.png', numbers, truth, results.classes,
                     store.classes)


def _draw_records(folder: Path, recordings: Recordings,
                  results: Results) -> None:
    store = recordings.store
    with prediction_progress() as progress:
        bar = progress.add_task('ethograms', total=len(results.labels))
        for record, labels in results.labels.items():
            index = store.ids.index(record)
            (folder / record).mkdir(parents=True, exist_ok=True)
            draw_ethogram(
                folder / record / ETHOGRAM,
                compare_blocks(recordings, index, results.classes, labels,
                               results.name),
                recordings.fps(index), record)
            progress.advance(bar)


def _choose_table(root: Path, names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    metrics = root / METRICS_CSV
    if metrics.is_file():
        with metrics.open(newline='') as stream:
            rows = list(csv.DictReader(stream))
        try:
            best = min(rows, key=lambda row: float(row['bic']))
            return f'hmm{int(float(best["n"]))}'
        except (ValueError, KeyError) as error:
            raise DataError(metrics, 'columns', 'n and bic, numbers',
                            str(error)) from error
    raise DataError(root, '--table', f'one of {", ".join(names)}' if names
                    else f'RECORD/{TABLE_PREFIX}*.csv', 'none',
                    '' if names else 'predict, segment_motifs or '
                    'select_prototypes write them')


def _find_embeddings(arguments: argparse.Namespace,
                     results: Results) -> dict[str, Path]:
    """Files of embeddings of the records; none where there is no folder."""
    folder: Path | None = arguments.embeddings
    if folder is None:
        if (arguments.results / PREDICTION).is_file():
            folder = arguments.results
        else:
            told = read_settings(arguments.results).get('embeddings')
            folder = Path(told) if told else None
        if folder is None or not list(folder.rglob(EMBEDDING_NC)):
            return {}
    files = find_embeddings(folder)
    missing = [record for record in results.labels if record not in files]
    if missing:
        raise DataError(folder, 'records', 'embeddings of each record',
                        f'none of {missing[0]}')
    return {record: files[record] for record in results.labels}


def _record_of_video(arguments: argparse.Namespace,
                     results: Results) -> str | None:
    """The record that a video is of; None without a video."""
    if arguments.video is None:
        return None
    records = list(results.labels)
    record = arguments.record or (records[0] if len(records) == 1 else None)
    if record not in records:
        raise DataError(arguments.results, '--record',
                        f'one of {", ".join(records[:8])}', str(record))
    return record
