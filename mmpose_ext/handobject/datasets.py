"""Photographs of hands and objects, by an index that stays on the disk."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import Compose
from mmengine.logging import MMLogger
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch.utils.data import Dataset

from mmpose_ext.handobject.box_files import read_boxes
from mmpose_ext.handobject.crop_cache import (
    PictureCache,
    Reach,
    check_whole,
)
from mmpose_ext.handobject.hand import METAINFO
from mmpose_ext.handobject.index_files import (
    BOX_COLUMNS,
    MAX_OBJECT,
    HandObjectIndex,
    read_index,
)
from mmpose_ext.handobject.picture_checks import check_pictures
from mmpose_ext.handobject.row_selection import (
    RowSelection,
    count_left_out,
    select_rows,
)
from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training import (
    Draw,
    draw_seeds,
    seeded_generators,
    telling_of_picture,
)

Array = np.ndarray

GROUND_TRUTH = 'ground truth'


@DATASETS.register_module()
class HandObjectDataset(Dataset[Any]):
    """One sample a frame: a hand, the objects, their camera.

    The index (see :mod:`~mmpose_ext.handobject.index_files`) is mapped; no
    record of any frame is kept in memory. With ``mmpose_ext.DrawSampler``,
    random transforms depend on the draw alone.

    Args:
        ann_file (str): The index, ``index/s0_train.npz``.
        data_root (str): Joined before ``ann_file``; the pictures lie below
            it. Defaults to ''.
        pipeline (Sequence): Transforms. Defaults to ().
        test_mode (bool): Whether to draw the same at each visit. Defaults to
            False.
        subset (str): ``all`` hands; ``right`` ones alone; or ``close``:
            right ones with a joint within ``close_mm`` of the object held.
            Figures of one subset do not compare with those of another.
            Defaults to ``all``.
        close_mm (float): For ``close``. Defaults to 5.
        mirror_left (bool): Whether left hands are shown mirrored, as right
            ones; what is predicted of them is mirrored back. Defaults to
            True.
        bbox_mode (str): Box about the ``hand`` or about hand and held
            object, ``hand_object``. Defaults to ``hand``.
        box_file (str, optional): Boxes of a detector, see
            :func:`~mmpose_ext.handobject.box_files.read_boxes`. Defaults to
            None: the labelled boxes.
        every (int): Take frames whose number it divides. Defaults to 1.
        limit (int, optional): At most so many samples, evenly spread over
            all. Defaults to None.
        subjects (Sequence[int | str], optional): Names of subjects, or their
            numbers from 0. Defaults to None, all.
        valid_hands_only (bool): Whether frames without a hand are left out.
            Defaults to True.
        cache (dict, optional): Arguments of
            :class:`~mmpose_ext.handobject.crop_cache.PictureCache`:
            ``megabytes``, ``reach`` (fields of ``Reach``; by default what the
            pipeline does). For training alone. Defaults to None, each
            photograph is read each time.
        metainfo (dict, optional): Overrides of the hand's. Defaults to None.
        lazy_init (bool): Whether to put off reading. Defaults to False.
        max_refetch (int): Draws in place of one that a transform gave up.
            Defaults to 1000.

    Raises:
        DataError: If index or boxes are damaged or of other data, pictures
            are missing or of another size, or nothing is left.
    """

    METAINFO = METAINFO

    def __init__(self,
                 ann_file: str,
                 data_root: str = '',
                 pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
                 test_mode: bool = False,
                 subset: str = 'all',
                 close_mm: float = 5.,
                 mirror_left: bool = True,
                 bbox_mode: str = 'hand',
                 box_file: str | None = None,
                 every: int = 1,
                 limit: int | None = None,
                 subjects: Sequence[int | str] | None = None,
                 valid_hands_only: bool = True,
                 cache: dict[str, Any] | None = None,
                 metainfo: dict[str, Any] | None = None,
                 lazy_init: bool = False,
                 max_refetch: int = 1000) -> None:
        if bbox_mode not in BOX_COLUMNS:
            raise ValueError(f'bbox_mode: expected one of '
                             f'{tuple(BOX_COLUMNS)}, found {bbox_mode!r}')
        if cache is not None and test_mode:
            raise ValueError('cache: for training alone')
        self.selection = RowSelection(
            subset, close_mm, every, limit,
            None if subjects is None else tuple(subjects), valid_hands_only)
        self._metainfo = parse_pose_metainfo(
            {**self.METAINFO, **(metainfo or {})})
        self.data_root = Path(data_root)
        self.ann_file = str(self.data_root / ann_file)
        self.test_mode, self.mirror_left = test_mode, mirror_left
        self.bbox_mode, self.box_file = bbox_mode, box_file
        self.max_refetch = max_refetch
        self.pipeline = Compose(list(pipeline))
        self.cache: PictureCache | None = None
        self._cache_settings = cache
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """Metainfo of the hand, as MMPose parses it."""
        return self._metainfo

    @property
    def box_source(self) -> str:
        """Where boxes come from: ``ground truth`` or a file."""
        return self.box_file or GROUND_TRUTH

    @cached_property
    def _columns(self) -> dict[str, Array]:
        """The index's columns as plain arrays, which are read sooner."""
        return {name: column.view(np.ndarray)
                for name, column in self.index.columns.items()}

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the columns."""
        return {name: value for name, value in self.__dict__.items()
                if name != '_columns'}

    def full_init(self) -> None:
        """Open and check everything, once."""
        if self._fully_initialized:
            return
        if not Path(self.ann_file).is_file():
            raise DataError(
                self.ann_file, 'file', 'an index', 'nothing', 'make it with '
                'tools/convert_dataset.py')
        self.index: HandObjectIndex = read_index(self.ann_file)
        self.index.check_root(self.data_root)
        self.rows, text = select_rows(self.index, self.selection)
        check_pictures(self.index, self.rows, self.data_root)
        self._boxes: Array | None = None
        if self.box_file is not None:
            self._boxes, self._scores = read_boxes(
                self.box_file, self.index['id'][self.rows])
        self._metainfo.update(self._protocol())
        self._fully_initialized = True
        if self._cache_settings is not None:
            self.cache = self._make_cache(**self._cache_settings)
            text += f'; {self.cache}'
        MMLogger.get_current_instance().info(
            f'{self.ann_file}: setup {self.index.setup}, '
            f'{self.index.split}, subset {self.selection.subset}, boxes: '
            f'{self.box_source} ({self.bbox_mode}): {text}')

    def _protocol(self) -> dict[str, Any]:
        """What metrics and pictures have to know about the data."""
        models = self.data_root / 'models'
        return dict(
            index_file=self.ann_file, setup=self.index.setup,
            split=self.index.split, subset=self.selection.subset,
            mirror_left=self.mirror_left, bbox_mode=self.bbox_mode,
            box_source=self.box_source,
            left_out=count_left_out(self.index, self.rows),
            models_dir=str(models) if models.is_dir() else None)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """All that is known of a sample, before any transform.

        Args:
            idx (int): Number of the sample.

        Returns:
            dict: ``img_path``, ``img_size`` (width, height), ``bbox`` (1, 4)
            corners, and the labels, in the photograph's frame.
        """
        self.full_init()
        index, row = self.index, int(self.rows[idx])
        columns = self._columns
        sequence = int(columns['sequence_row'][row])
        side = int(columns['side'][sequence])
        size = index.size_of(row)
        valid = bool(columns['hand_valid'][row])
        pixels = np.array(columns['joints_px'][row])
        inside = np.all((pixels >= 0) & (pixels < size), axis=-1)
        box, score = self._box(int(idx), row, size)
        number = int(columns['id'][row])
        return dict(
            id=number, img_id=number,
            img_path=str(self.data_root / index.file_of(row)), img_size=size,
            bbox=box[None], bbox_score=np.array([score], np.float32),
            keypoints=pixels[None],
            keypoints_visible=(inside & valid)[None].astype(np.float32),
            joints_cam=np.array(columns['joints_cam'][row])[None],
            hand_valid=np.array([valid]),
            camera_matrix=index.camera_matrix(row),
            mirrored=side == 1 and self.mirror_left, side=side,
            **_objects_of(columns, row, sequence),
            **_contact_of(columns, row),
            subject=index.subject_of(row), sequence=index.sequence_of(row),
            serial=index.serial_of(row), frame=int(columns['frame'][row]),
            mano_pose=np.array(columns['pose_m'][row])[None],
            betas=np.array(columns['betas'][sequence])[None],
            box_source=self.box_source)

    def prepare_data(self, idx: int) -> Any:
        """Send a sample through the pipeline, from the cache if there is."""
        info = self.get_data_info(idx)
        if self.cache is not None:
            info = self.cache.load(int(idx), info)
        if 'img' not in info:
            check_whole(info['img_path'])
        with telling_of_picture(info['img_path']):
            return self.pipeline(info)

    def __len__(self) -> int:
        self.full_init()
        return len(self.rows)

    def __getitem__(self, idx: int) -> Any:
        if not (self.test_mode or isinstance(idx, Draw)):
            # an index of a stock sampler: as random as MMPose's data sets
            return self._fetch(idx)
        with seeded_generators(int(draw_seeds([idx])[0])):
            return self._fetch(idx)

    def _fetch(self, idx: int) -> Any:
        if self.test_mode:
            data = self.prepare_data(idx)
            if data is None:
                raise RuntimeError(f'the pipeline gave up sample {idx}, '
                                   'which a test cannot leave out')
            return data
        for _ in range(self.max_refetch + 1):
            data = self.prepare_data(idx)
            if data is not None:
                return data
            idx = int(np.random.randint(len(self)))
        raise RuntimeError(f'the pipeline gave up {self.max_refetch + 1} '
                           'samples in a row')

    def _box(self, idx: int, row: int,
             size: tuple[int, int]) -> tuple[Array, float]:
        """Corners (4,) px and score of a sample's box."""
        if self._boxes is not None:
            box, score = self._boxes[idx], float(self._scores[idx])
        else:
            box, score = self._columns[BOX_COLUMNS[self.bbox_mode]][row], 1.
        x, y, width, height = box.tolist()
        if width <= 0 or height <= 0:  # without a hand: the whole picture
            x, y, width, height = -.5, -.5, *size
        return np.array([x, y, x + width, y + height], np.float32), score

    def _make_cache(self, megabytes: float = 1024,
                    reach: dict[str, float] | None = None) -> PictureCache:
        boxes = np.concatenate([
            self._box(number, row, self.index.size_of(row))[0][None]
            for number, row in enumerate(self.rows.tolist())])
        boxes[:, 2:] -= boxes[:, :2]
        sizes = (self.index['picture_size'][self.rows]
                 if 'picture_size' in self.index else
                 np.array([self.index.image_size]))
        return PictureCache(
            boxes, sizes,
            Reach.of_pipeline(self.pipeline.transforms) if reach is None
            else Reach(**reach), megabytes)


def _objects_of(columns: dict[str, Array], row: int,
                sequence: int) -> dict[str, Any]:
    """Poses of a frame's objects by their class."""
    ids = columns['ycb_ids'][sequence]
    poses = np.zeros((1, MAX_OBJECT, 3, 4), np.float32)
    known = np.zeros((1, MAX_OBJECT), bool)
    places = np.flatnonzero(columns['object_valid'][row] & (ids > 0))
    classes = ids[places].astype(int) - 1
    poses[0, classes] = columns['pose_y'][row][places]
    known[0, classes] = True
    held = int(columns['grasped'][sequence])
    return dict(
        pose_y=poses, object_valid=known, object_rotations=poses[..., :3],
        object_translations=poses[..., 3],
        grasped_class=int(ids[held]) - 1 if held >= 0 else -1)


def _contact_of(columns: dict[str, Array], row: int) -> dict[str, Any]:
    """Contact of a frame, and whether it is known."""
    if 'contact' not in columns:
        return dict(contact=np.zeros((1, 21), np.float32),
                    contact_valid=np.zeros(1, np.float32))
    return dict(
        contact=np.array(columns['contact'][row], np.float32)[None],
        contact_valid=np.array([columns['contact_valid'][row]], np.float32))
