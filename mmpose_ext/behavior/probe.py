"""How much of known behaviours a simple classifier finds in embeddings.

The embeddings stay as they are; a linear classifier and the nearest
neighbours learn the labels of some records and are asked about others. The
same is done with the windows that the embeddings were made from.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmpose_ext.behavior.class_tables import to_numbers
from mmpose_ext.behavior.embedding_map import sample_frames
from mmpose_ext.behavior.extra_packages import require_packages
from mmpose_ext.behavior.task_scores import multiclass_figures
from mmpose_ext.behavior.windows import WindowShape, fold_rows
from mmpose_ext.storage import DataError, write_json

Array = np.ndarray

_FRAMES = 8000  # of all records together
_FOLDS = 5
_NEIGHBOURS = 15
_WIDER = 4  # times as many components for windows, to be fair to them


def probe_records(embeddings: Sequence[Array], tracks: Sequence[Array],
                  labels: Sequence[Array], classes: Sequence[str],
                  shape: WindowShape) -> dict[str, Any]:
    """Probe embeddings and windows.

    Records are parted into five folds; of a single record, stretches are.

    Args:
        embeddings (Sequence[ndarray]): (T, D) of each record.
        tracks (Sequence[ndarray]): (T, N, K, S) of each record.
        labels (Sequence[ndarray]): (T, C) 0 or 1 of each record.
        classes (Sequence[str]): C names.
        shape (WindowShape): Of the windows.

    Returns:
        dict: ``rows``: for each kind of input and classifier macro F1 with
        its interval, accuracy, and what the most frequent answer reaches;
        ``frames``, ``records`` and ``folds``.

    Raises:
        DataError: If fewer than two behaviours occur, or scikit-learn is not
            installed.
    """
    require_packages('sklearn')
    lengths = list(map(len, embeddings))
    rows = sample_frames(lengths, _FRAMES)
    borders = np.cumsum(lengths)
    records = np.searchsorted(borders, rows, 'right')
    frames = rows - np.concatenate([[0], borders])[records]
    truth = np.concatenate(list(map(to_numbers, labels)))[rows]
    known = truth >= 0
    rows, records, frames, truth = (
        part[known] for part in (rows, records, frames, truth))
    if len(np.unique(truth)) < 2:
        raise DataError('annotations', 'behaviours', 'two or more among the '
                        'frames', str(len(np.unique(truth))))
    width = embeddings[0].shape[1]
    inputs = {'embeddings': (np.concatenate(embeddings)[rows], width)}
    windows = flat_windows(tracks, records, frames, shape)
    for count in dict.fromkeys(
            min(count, windows.shape[1]) for count in (width,
                                                       _WIDER * width)):
        inputs[f'windows, {count} components'] = (windows, count)
    found = []
    folds = list(_split(records, frames, shape))
    for name, (values, components) in inputs.items():
        for method in ('linear', 'neighbours'):
            found.append(dict(input=name, method=method, **_probe(
                values, components, truth, records, folds, method, classes)))
    return dict(rows=found, frames=len(rows), records=len(lengths),
                folds=len(folds), classes=list(classes))


def flat_windows(tracks: Sequence[Array], records: Array, frames: Array,
                 shape: WindowShape) -> Array:
    """Windows (n, W * N * K * S) of frames; 0 for what is missing."""
    parts = []
    for record in np.unique(records):
        own = frames[records == record]
        count = len(own)
        steps = np.arange(-shape.token, shape.offset + 1)
        places = fold_rows(
            own[:, None] + steps, np.zeros(count, np.int64),
            np.full(count, len(tracks[record])), shape.padding)
        windows = np.asarray(tracks[record])[np.maximum(places, 0)]
        windows[places < 0] = 0
        parts.append(np.nan_to_num(windows).reshape(count, -1))
    return np.concatenate(parts)


def write_probe(path: Path, figures: dict[str, Any]) -> list[str]:
    """Write figures as JSON.

    Returns:
        list[str]: Lines of a table.
    """
    write_json(path, figures)
    width = max(len(row['input']) for row in figures['rows'])
    lines = [f'probe       macro F1 over {figures["frames"]:,} frames of '
             f'{figures["records"]} records, {figures["folds"]} folds']
    for row in figures['rows']:
        interval = '' if np.isnan(row['macro_f1_low']) else (
            f' ({row["macro_f1_low"]:.3f} to {row["macro_f1_high"]:.3f})')
        lines.append(f'  {row["input"]:<{width}}  {row["method"]:<10}  '
                     f'{row["macro_f1"]:.3f}{interval}')
    trivial = figures['rows'][0]['macro_f1_trivial']
    return [*lines, f'  {"most frequent answer":<{width}}  {"":<10}  '
            f'{trivial:.3f}']


def _split(records: Array, frames: Array,
           shape: WindowShape) -> Iterator[tuple[Array, Array]]:
    """Rows to learn from and rows to ask about, a pair a fold."""
    names = np.unique(records)
    if len(names) > 1:
        part = np.random.default_rng(0).permutation(len(names)) % min(
            _FOLDS, len(names))
        numbers = part[np.searchsorted(names, records)]
        for fold in range(numbers.max() + 1):
            yield (np.flatnonzero(numbers != fold),
                   np.flatnonzero(numbers == fold))
        return
    edges = np.linspace(frames.min(), frames.max() + 1, _FOLDS + 1)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        asked = (frames >= low) & (frames < high)
        # windows of both must not overlap
        near = (frames > low - shape.size) & (frames < high + shape.size)
        yield np.flatnonzero(~near), np.flatnonzero(asked)


def _probe(values: Array, components: int, truth: Array, records: Array,
           folds: Sequence[tuple[Array, Array]], method: str,
           classes: Sequence[str]) -> dict[str, float]:
    """Figures of one input by one classifier."""
    scores = np.zeros((len(truth), len(classes)))
    asked = np.zeros(len(truth), bool)
    for learnt, test in folds:
        if not len(test) or len(np.unique(truth[learnt])) < 2:
            continue
        model = _make_classifier(method, components, values.shape[1],
                                 len(learnt))
        model.fit(values[learnt], truth[learnt])
        scores[np.ix_(test, model.classes_)] = model.predict_proba(
            values[test])
        asked[test] = True
    if not asked.any():
        raise DataError('annotations', 'behaviours', 'two or more outside of '
                        'each fold', 'fewer', 'annotate more records')
    # stretches of one record are what an interval may draw
    groups = records if len(np.unique(records)) > 1 else np.zeros(len(truth))
    figures = multiclass_figures(truth[asked], scores[asked], groups[asked],
                                 classes)
    main: dict[str, float] = figures['main']
    return {key: main[key] for key in (
        'macro_f1', 'macro_f1_low', 'macro_f1_high', 'macro_f1_trivial',
        'acc', 'acc_trivial')}


def _make_classifier(method: str, components: int, width: int,
                     count: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    steps: list[Any] = [StandardScaler()]
    if components < width:
        # of windows: positions before scaling, so that PCA sees what varies
        steps = [PCA(min(components, count - 1), svd_solver='randomized',
                     random_state=0), StandardScaler()]
    steps.append(LogisticRegression(max_iter=500) if method == 'linear' else
                 KNeighborsClassifier(min(_NEIGHBOURS, count)))
    return make_pipeline(*steps)
