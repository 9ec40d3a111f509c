"""Pictures of what was predicted: ethograms, and a map of embeddings."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmpose_ext.behavior.annotation_files import (
    ANNOTATIONS_CSV,
    DEFAULT_FPS,
    read_label_table,
)
from mmpose_ext.behavior.class_tables import to_numbers
from mmpose_ext.behavior.embedding_files import EMBEDDING_NC, read_embedding
from mmpose_ext.behavior.embedding_map import (
    draw_embedding_map,
    sample_frames,
)
from mmpose_ext.behavior.ethogram import EthogramBlock, draw_ethogram
from mmpose_ext.behavior.recordings import Recordings

Array = np.ndarray

PREDICTION = 'prediction.json'  # what a folder of predictions was made from
ETHOGRAM, MAP = 'ethogram.png', 'embedding_map.png'
_MOST_RECORDS = 12  # told apart by colour
_MOST_ETHOGRAMS = 50


def draw_predictions(out: Path, recordings: Recordings,
                     classes: Sequence[str], embeds: bool,
                     tsne: bool = False) -> list[str]:
    """Draw what a folder of predictions holds.

    Args:
        out (Path): The folder.
        recordings (Recordings): What was predicted, with the truth where it
            is known.
        classes (Sequence[str]): Predicted; none without a head for them.
        embeds (bool): Whether there are embeddings.
        tsne (bool): Whether the map shows t-SNE too. Defaults to False.

    Returns:
        list[str]: Files that were written; of those in each record one.
    """
    written = []
    store = recordings.store
    predicted: dict[str, Array] = {}
    if classes:
        for i, record in enumerate(store.ids):
            predicted[record] = read_label_table(
                out / record / ANNOTATIONS_CSV)[1]
            if i < _MOST_ETHOGRAMS:
                draw_ethogram(
                    out / record / ETHOGRAM,
                    compare_blocks(recordings, i, classes, predicted[record],
                                   'predicted'),
                    recordings.fps(i), record)
        written.append(f'RECORD/{ETHOGRAM}')
    if embeds:
        draw_map(out / MAP, {record: out / record / EMBEDDING_NC
                             for record in store.ids}, recordings, classes,
                 predicted, 'predicted', tsne)
        written.append(MAP)
    return written


def compare_blocks(recordings: Recordings, index: int,
                   classes: Sequence[str], labels: Array,
                   name: str) -> list[EthogramBlock]:
    """Truth above what was found, in the same lanes where classes agree.

    Args:
        recordings (Recordings): With the truth where it is known.
        index (int): Of the record.
        classes (Sequence[str]): What was found: names.
        labels (ndarray): (T, C) 0 or 1.
        name (str): What to call it.
    """
    store = recordings.store
    if store.labels is None:
        return [EthogramBlock(classes, {name: labels})]
    truth = store.record_labels(index)
    if set(store.classes) & set(classes):
        joined = list(dict.fromkeys([*store.classes, *classes]))
        return [EthogramBlock(joined, {
            'truth': spread_classes(truth, store.classes, joined),
            name: spread_classes(labels, classes, joined)})]
    return [EthogramBlock(store.classes, {'truth': truth}),
            EthogramBlock(classes, {name: labels})]


def spread_classes(labels: Array, classes: Sequence[str],
                   wanted: Sequence[str]) -> Array:
    """Labels (T, C) in the columns of other classes, 0 where unknown."""
    spread = np.zeros((len(labels), len(wanted)), np.uint8)
    for column, name in enumerate(classes):
        spread[:, list(wanted).index(name)] = labels[:, column]
    return spread


def draw_map(path: Path, files: Mapping[str, Path], recordings: Recordings,
             classes: Sequence[str], labels: Mapping[str, Array], name: str,
             tsne: bool = False) -> None:
    """Draw embeddings coloured by what is known of their frames.

    Args:
        path (Path): Picture to write.
        files (Mapping[str, Path]): Record to its file of embeddings.
        recordings (Recordings): Records, with the truth where it is known.
        classes (Sequence[str]): What was found: names; none for nothing.
        labels (Mapping[str, ndarray]): Record to (T, C) 0 or 1.
        name (str): What to call that.
        tsne (bool): Whether to show t-SNE too. Defaults to False.
    """
    store = recordings.store
    places = [store.ids.index(record) for record in files]
    lengths = [int(store.lengths[i]) for i in places]
    rows = np.split(*_parts(sample_frames(lengths), lengths))
    values = np.concatenate([
        read_embedding(file).values[some]
        for file, some in zip(files.values(), rows, strict=True)])
    groups: dict[str, tuple[Sequence[str], Array]] = {}
    if store.labels is not None:
        groups['truth'] = (store.classes, np.concatenate([
            to_numbers(store.record_labels(i)[some])
            for i, some in zip(places, rows, strict=True)]))
    if labels:
        groups[name] = (classes, np.concatenate([
            to_numbers(labels[record][some])
            for record, some in zip(files, rows, strict=True)]))
    if 1 < len(files) <= _MOST_RECORDS:
        groups['record'] = (list(files), np.repeat(
            np.arange(len(rows)), list(map(len, rows))))
    moments = np.concatenate([
        some / (recordings.fps(i) or DEFAULT_FPS)
        for i, some in zip(places, rows, strict=True)])
    draw_embedding_map(path, values, groups, moments, tsne)


def _parts(rows: Array, lengths: Sequence[int]) -> tuple[Array, Array]:
    """Frames within their records, and where the records part."""
    borders = np.cumsum(lengths)
    starts = np.concatenate([[0], borders[:-1]])
    records = np.searchsorted(borders, rows, 'right')
    return rows - starts[records], np.searchsorted(rows, borders[:-1])
