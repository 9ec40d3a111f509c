"""Recordings as a config reads them: for prediction and for pictures."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmpose_ext.behavior.datasets import find_factors
from mmpose_ext.behavior.ground import WindowGround
from mmpose_ext.behavior.records import RecordOptions, load_tracks
from mmpose_ext.behavior.track_store import TrackStore
from mmpose_ext.behavior.windows import WindowShape
from mmpose_ext.storage import DataError

Array = np.ndarray

# of the config's own data: which of its records, and where they are
_OF_ITS_DATA = ('data_filter', )


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

    Annotations are read where the config or `need_labels` asks for them; not
    needed, records may lack them.

    Args:
        config (Config): Of a training.
        path (Path): Folder of records, or one file of tracks.
        need_labels (bool): Whether there must be annotations. Defaults to
            False.

    Raises:
        DataError: If the records are damaged, or do not fit the config.
    """
    try:
        return _open(dataset_settings(config), path, need_labels)
    except DataError:
        raise
    except ValueError as error:  # of a setting that is out of range
        raise DataError(config.filename or 'config',
                        'test_dataloader.dataset', 'settings in range',
                        str(error)) from error


def _open(settings: dict[str, Any], path: Path,
          need_labels: bool) -> Recordings:
    values = {name: settings[name] for name in RecordOptions.names()
              if name in settings and name not in _OF_ITS_DATA}
    wanted = values.pop('annotation_format', None)
    store = None
    if need_labels or wanted:
        options = RecordOptions(**values,
                                annotation_format=wanted or 'auto')
        try:
            store = load_tracks(path, options)
        except DataError:
            if need_labels:
                raise
    if store is None:
        store = load_tracks(path, RecordOptions(**values))
    if need_labels and store.labels is None:
        raise DataError(path, 'annotations', 'annotated records', 'none')
    shape = WindowShape(
        settings.get('window_size', 200), settings.get('window_offset', 0),
        settings.get('padding', 'edge'))
    return Recordings(store, shape, find_factors(
        store, settings.get('fps_scaling', 1.), settings.get('model_fps')))


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
    known = meta.get('keypoint_id2name')
    if known:
        names = [str(known[key]) for key in sorted(known, key=int)]
        if names != list(store.keypoints):
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
