"""Recordings as a config reads them: for prediction and for pictures."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmpose_ext.behavior.datasets import find_factors
from mmpose_ext.behavior.ground import WindowGround
from mmpose_ext.behavior.record_files import find_records
from mmpose_ext.behavior.records import RecordOptions, load_tracks
from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.behavior.windows import WindowShape
from mmpose_ext.storage import DataError
from mmpose_ext.training import keypoint_names

Array = np.ndarray

# which of the config's own records it takes, and what is read only if there
_OTHERS = ('data_filter', 'annotation_format')


@dataclass(frozen=True, eq=False)
class Recordings:
    """Records and how their windows lie.

    Attributes:
        store: The tracks.
        shape: Of a window.
        factors: (R,) frames of each record for one of a window.
    """

    store: TrackStore
    shape: WindowShape
    factors: Array

    def fps(self, index: int) -> float | None:
        """Frames a second of a record; None if unknown."""
        fps = float(self.store.fps[index])
        return fps if np.isfinite(fps) else None

    def cutter(self, index: int) -> Callable[[Array], tuple[Array, Array]]:
        """What cuts the windows of a record's frames, resampled."""
        ground = WindowGround(self.store.subset([index]), self.shape, False,
                              self.factors[index:index + 1])

        def cut(frames: Array) -> tuple[Array, Array]:
            anchors = ground.locate(frames)
            return ground.cut(anchors), ground.valid(anchors)

        return cut


def open_recordings(config: Config, path: Path,
                    need_labels: bool = False) -> Recordings:
    """Read records as the test data of a config are read.

    Annotations are read where the config or `need_labels` asks for them. Not
    needed, records may lack them: if one does, none are read. A file of
    annotations that is there must be whole and fit its record.

    Args:
        config (Config): Of a training.
        path (Path): Folder of records, or one file of tracks.
        need_labels (bool): Whether there must be annotations. Defaults to
            False.

    Raises:
        DataError: If the records are damaged, or do not fit the config.
    """
    with _explained(config):
        options = record_options(config)
        wanted = dataset_settings(config).get('annotation_format')
        if need_labels or wanted:
            annotated = replace(options, annotation_format=wanted or 'auto')
            if need_labels or _all_have_annotations(path, annotated):
                options = annotated
        store = load_tracks(path, options)
    if need_labels and store.labels is None:
        raise DataError(path, 'annotations', 'annotated records', 'none')
    return join_recordings(config, store)


def join_recordings(config: Config, store: TrackStore) -> Recordings:
    """Records with the windows that a config cuts of them.

    Raises:
        DataError: If a setting is out of range, or the records' frame rates
            do not fit it.
    """
    settings = dataset_settings(config)
    with _explained(config):
        shape = WindowShape(
            settings.get('window_size', 200),
            settings.get('window_offset', 0),
            settings.get('padding', 'edge'))
        return Recordings(store, shape, find_factors(
            store, settings.get('fps_scaling', 1.),
            settings.get('model_fps')))


def record_options(config: Config) -> RecordOptions:
    """How a config's test data are read, but for their annotations.

    Raises:
        DataError: If the config has no test data, or a setting is out of
            range.
    """
    settings = dataset_settings(config)
    with _explained(config):
        return RecordOptions(**{
            name: settings[name] for name in RecordOptions.names()
            if name in settings and name not in _OTHERS})


@contextmanager
def _explained(config: Config) -> Iterator[None]:
    """Turn what a setting out of range raises into one error."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise DataError(config.filename or 'config',
                        'test_dataloader.dataset', 'settings in range',
                        str(error)) from error


def _all_have_annotations(path: Path, options: RecordOptions) -> bool:
    """Whether each record has files of annotations, damaged or not."""
    return all(files.annotations for files in find_records(
        path, options.data_format, options.annotation_format,
        need_annotations=False))


def dataset_settings(config: Config) -> dict[str, Any]:
    """Settings of a config's test data set.

    Raises:
        DataError: If it has none.
    """
    for part in ('test', 'val', 'train'):
        loader = config.get(f'{part}_dataloader')
        if loader and loader.get('dataset'):
            settings: dict[str, Any] = loader.dataset.to_dict()
            while 'data_root' not in settings and 'dataset' in settings:
                settings = settings['dataset']
            return settings
    raise DataError(config.filename or 'config', 'test_dataloader',
                    'a data set', 'none')


def check_names_of(recordings: Recordings, meta: dict[str, Any],
                   checkpoint: Path) -> None:
    """Check that tracks have the points that a model was trained on.

    Args:
        recordings (Recordings): What it is to read.
        meta (dict): Of what it was trained on; {} is not checked.
        checkpoint (Path): For the error.

    Raises:
        DataError: If keypoints or axes differ, or their order. Individuals
            may have other names.
    """
    store = recordings.store
    names = keypoint_names(meta)
    if names and names != store.keypoints:
        raise DataError(
            store.source, 'keypoints', f'{", ".join(names)}, as '
            f'{checkpoint} was trained on', ', '.join(store.keypoints),
            'select and rename bring them into this order')
    for name, found in (('axes', store.axes),
                        ('individuals', store.individuals)):
        wanted = meta.get(name)
        if wanted and (list(wanted) != list(found) if name == 'axes' else
                       len(wanted) != len(found)):
            raise DataError(
                store.source, name, f'{", ".join(map(str, wanted))}, as '
                f'{checkpoint} was trained on', ', '.join(found),
                'select brings them into this order')
