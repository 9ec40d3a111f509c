"""Pictures to look at, one after the other, and where the horses are.

A source is a picture, a folder, a video or a COCO keypoint file. Boxes come
from the COCO file, from a file of boxes, from a detector or, by default, are
the whole picture.
"""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

from mmpose_ext.equine.box_files import BoxFile
from mmpose_ext.equine.checks_annotations import read_annotations
from mmpose_ext.equine.checks_images import find_image_folder
from mmpose_ext.equine.datasets import HorsePoseDataset
from mmpose_ext.storage import DataError, VideoReader, check_file
from mmpose_ext.storage.pictures import decode_picture

Array = np.ndarray
# BGR picture (H, W, 3) -> boxes (N, 4) x1, y1, x2, y2 px, and scores (N,)
Detector = Callable[[Array], tuple[Array, Array]]

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.m4v', '.mkv', '.webm', '.mpg',
                  '.mpeg')


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture by name, its pixels still on the disk.

    Attributes:
        name: Path relative to the source, without ``..``; the file's name of
            one picture or of a video; of a picture that lies elsewhere, its
            path in one word.
        image_id: As in the COCO file, else counted from 1.
        path: Where it lies.
        frame: Index in a video, else 0.
        boxes: (N, 4) x1, y1, x2, y2 px; None: not known yet.
        box_scores: (N,); None: as `boxes`.
        truth: (N, K, 2) annotated points, px, NaN where absent; None if
            there are no annotations.
        truth_seen: (N, K) whether a point is visible, not occluded.
    """

    name: str
    image_id: int
    path: Path
    frame: int = 0
    boxes: Array | None = None
    box_scores: Array | None = None
    truth: Array | None = None
    truth_seen: Array | None = None


@dataclass(eq=False)
class PictureSource:
    """Iterates over pictures and their pixels, with boxes filled in.

    Attributes:
        pictures: In order.
        video: What the pictures are frames of, if they are.
        detector: Finds horses where a picture has no boxes yet; None takes
            the whole picture.
        skip_unreadable: Whether an unreadable picture is left out and
            listed in `skipped` in place of raising an error.
        skipped: The pictures left out so far.
    """

    pictures: Sequence[Picture]
    video: VideoReader | None = None
    detector: Detector | None = None
    skip_unreadable: bool = False
    skipped: list[Path] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[tuple[Picture, Array]]:
        for picture in self.pictures:
            try:
                image = self.read(picture)
            except DataError:
                if not self.skip_unreadable:
                    raise
                self.skipped.append(picture.path)
                continue
            yield locate_horses(picture, image, self.detector), image

    def read(self, picture: Picture) -> Array:
        """Pixels of a picture, (H, W, 3) BGR uint8.

        Raises:
            DataError: If it cannot be read.
        """
        if self.video is not None:
            return self.video.read(picture.frame)
        return read_image(picture.path)


def locate_horses(picture: Picture, image: Array,
                  detector: Detector | None = None) -> Picture:
    """Fill in the boxes of a picture that has none yet.

    Args:
        picture (Picture): The picture.
        image (ndarray): Its pixels.
        detector (Detector, optional): Finds the horses. Defaults to None:
            the whole picture is taken for one.
    """
    if picture.boxes is not None:
        return picture
    if detector is not None:
        boxes, scores = detector(image)
    else:
        height, width = image.shape[:2]
        boxes = np.array([[0, 0, width, height]], np.float32)
        scores = np.ones(1, np.float32)
    return replace(picture, boxes=boxes, box_scores=scores)


def open_source(path: Path,
                config: Config | None = None,
                image_root: Path | None = None,
                box_file: Path | None = None,
                detector: Detector | None = None,
                skip_unreadable: bool = False) -> PictureSource:
    """Open a picture, a folder, a video or a COCO keypoint file.

    Args:
        path (Path): The input. A folder is searched with its subfolders.
        config (Config, optional): Tells the folder of the pictures if one of
            its data sets reads the COCO file. Defaults to None.
        image_root (Path, optional): That folder. Defaults to None: what
            `config` tells, else what
            :func:`~mmpose_ext.equine.checks_images.find_image_folder` finds.
        box_file (Path, optional): See
            :class:`mmpose_ext.equine.box_files.BoxFile`. Defaults to None.
        detector (Detector, optional): Used in place of other boxes.
            Defaults to None.
        skip_unreadable (bool): See :class:`PictureSource`. Defaults to
            False.

    Raises:
        DataError: If there is nothing to read, or the boxes are of other
            pictures.
    """
    video = None
    suffix = path.suffix.lower()
    if path.is_dir():
        pictures = _list_folder(path)
    elif suffix in VIDEO_SUFFIXES:
        video = VideoReader(path)
        pictures = [Picture(path.name, i + 1, path, i)
                    for i in range(len(video))]
    elif suffix == '.json':
        pictures = _read_coco(path, image_root or _root_of(config, path))
    else:
        check_file(path, [*IMAGE_SUFFIXES, *VIDEO_SUFFIXES, '.json'])
        pictures = [Picture(path.name, 1, path)]
    if box_file is not None:
        pictures = _add_boxes(pictures, BoxFile(box_file))
    elif detector is not None:
        pictures = [replace(picture, boxes=None) for picture in pictures]
    return PictureSource(pictures, video, detector, skip_unreadable)


def read_image(path: Path) -> Array:
    """Read a picture as MMPose does: BGR, turned as its EXIF tag says.

    Returns:
        ndarray: (H, W, 3) uint8.

    Raises:
        DataError: If it cannot be read.
    """
    data = np.fromfile(check_file(path), np.uint8)
    image = decode_picture(data, cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(path, 'file', 'a picture',
                        'another format or damaged data')
    return image


def _list_folder(folder: Path) -> list[Picture]:
    files = sorted(file for file in folder.rglob('*')
                   if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(folder, 'folder',
                        f'pictures ({", ".join(IMAGE_SUFFIXES)})', 'none')
    return [Picture(file.relative_to(folder).as_posix(), i + 1, file)
            for i, file in enumerate(files)]


def _read_coco(path: Path, root: Path) -> list[Picture]:
    """Pictures with a usable annotation, as training and tests read them."""
    with contextlib.redirect_stdout(sys.stderr):
        dataset = HorsePoseDataset(
            ann_file=str(path), data_prefix=dict(img=str(root)),
            test_mode=True)
    instances: dict[int, list[dict[str, Any]]] = {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        instances.setdefault(info['img_id'], []).append(info)
    pictures = []
    names = _names({image_id: Path(infos[0]['img_path'])
                    for image_id, infos in instances.items()}, root)
    for image_id, infos in instances.items():
        points = np.concatenate([info['keypoints'] for info in infos])
        visible = np.concatenate([info['keypoints_visible']
                                  for info in infos])
        pictures.append(Picture(
            names[image_id], image_id, Path(infos[0]['img_path']),
            boxes=np.concatenate([info['bbox'] for info in infos]),
            box_scores=np.ones(len(infos), np.float32),
            truth=np.where(visible[..., None] > 0, points, np.nan),
            truth_seen=np.array([info['raw_ann_info']['keypoints'][2::3]
                                 for info in infos]) == 2))
    return pictures


def _names(files: Mapping[int, Path], root: Path) -> dict[int, str]:
    """Names by image number that stay in any folder they are joined to.

    A path below `root` is relative to it. Of any other the folders become
    part of the name, with the image's number where that name is taken, also
    to a file system that does not tell capitals.
    """
    names = {}
    for image_id, file in files.items():
        path, top = file.absolute(), root.absolute()
        if path.is_relative_to(top):
            relative = path.relative_to(top)
            if '..' not in relative.parts:
                names[image_id] = relative.as_posix()
    taken = {name.lower() for name in names.values()}
    for image_id, file in files.items():
        if image_id in names:
            continue
        flat = PurePosixPath('_'.join(
            part for part in file.parts if part not in (file.anchor, '..')))
        while flat.name.lower() in taken:
            flat = flat.with_stem(f'{flat.stem}-{image_id}')
        names[image_id] = flat.name
        taken.add(flat.name.lower())
    return names


def _root_of(config: Config | None, path: Path) -> Path:
    """Folder of the pictures of a COCO file."""
    for name in ('test', 'val', 'train'):
        dataset = (config or {}).get(f'{name}_dataloader', {}).get('dataset')
        if dataset and 'ann_file' in dataset:
            root = Path(dataset.get('data_root', ''))
            if (root / dataset.ann_file).resolve() == path.resolve():
                return root / dataset.get('data_prefix', {}).get('img', '')
    return find_image_folder(path, read_annotations(path)['images'])


def _add_boxes(pictures: list[Picture], file: BoxFile) -> list[Picture]:
    found = [file.boxes_of(picture.name, picture.path, picture.image_id,
                           picture.frame) for picture in pictures]
    if not any(len(boxes) for boxes, _ in found):
        raise DataError(file.path, 'boxes', 'some for the input',
                        f'none for {pictures[0].name} or any other',
                        'pictures are named relative to the input')
    # the annotated points belong to the annotated boxes
    return [replace(picture, boxes=boxes, box_scores=scores, truth=None)
            for picture, (boxes, scores) in zip(pictures, found, strict=True)]
