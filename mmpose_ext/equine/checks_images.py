"""Checks of the pictures that an annotation file names.

Every picture is decoded as MMPose's loader does it, by OpenCV to 8-bit BGR
with the EXIF orientation applied, so what is reported is what training would
meet.
"""
from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image
from rich.console import Console
from rich.progress import track

from mmpose_ext.equine.checks_annotations import is_file_name, is_size
from mmpose_ext.equine.findings import Finding, Place
from mmpose_ext.equine.near_duplicates import difference_hash

Array = np.ndarray

LEAST_RANGE = 3  # grey levels that a picture must span
LEAST_DEEP_RANGE = 64  # of 256, that a picture of more bits must still span
TURNS = {
    2: 'mirrored', 3: 'turned by 180 degrees', 4: 'mirrored and turned',
    5: 'mirrored and turned', 6: 'turned by 90 degrees',
    7: 'mirrored and turned', 8: 'turned by 270 degrees'
}


@dataclass(frozen=True)
class OpenedImage:
    """What a picture is like once loaded.

    Attributes:
        fault: Why it cannot be used, '' if it can; then the rest is void.
        size: Width and height as the loader gives them, px.
        orientation: EXIF's, 1 for upright.
        mode: The colours as Pillow calls them: ``RGB``, ``L``, ``CMYK``.
        is_deep: Whether a channel has more than 8 bits.
        span: Brightest less darkest value, of 255.
        hash: Difference hash, uint64.
    """

    fault: str = ''
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    mode: str = ''
    is_deep: bool = False
    span: int = 0
    hash: np.uint64 = np.uint64(0)


def image_paths(images: Sequence[Any], folder: Path) -> list[Path | None]:
    """Files of the entries of a COCO file; None for one without a name."""
    names = (image.get('file_name') if isinstance(image, Mapping) else None
             for image in images)
    return [folder / name if is_file_name(name) else None for name in names]


def find_image_folder(path: Path, images: Sequence[Any]) -> Path:
    """The folder that the first pictures of an annotation file lie in.

    Args:
        path (Path): The file, such as ``horse/annotations/horse_val.json``;
            ``horse/val``, its own folder and ``images`` are tried.
        images (Sequence): Its list of images.

    Returns:
        Path: The first folder of these with one of the pictures; without
        any, the one of the documented layout if that exists.
    """
    home = path.parent
    top = home.parent if home.name == 'annotations' else home
    split = top / path.stem.split('_')[-1]
    folders = [split, home, top, home / 'images', top / 'images']
    for folder in folders:
        if any(file is not None and file.is_file()
               for file in image_paths(images[:5], folder)):
            return folder
    return split if split.is_dir() else home


def open_images(paths: Sequence[Path | None],
                title: str) -> list[OpenedImage | None]:
    """Load every picture; takes some milliseconds each.

    Args:
        paths (Sequence[Path]): The files; None gives None.
        title (str): Of the progress that is shown.
    """
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        found = pool.map(
            lambda path: None if path is None else open_image(path), paths)
        return list(track(found, title, len(paths), transient=True,
                          console=Console(stderr=True)))


def open_image(path: Path) -> OpenedImage:
    """Load one picture and say what is wrong with it."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            return OpenedImage('no such file')
        if isinstance(error, IsADirectoryError):
            return OpenedImage('a folder')
        return OpenedImage(getattr(error, 'strerror', None) or str(error))
    if not content:
        return OpenedImage('an empty file')
    mode, orientation, is_deep = _read_header(content)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8),
                             cv2.IMREAD_COLOR)
    except cv2.error as error:
        return OpenedImage(f'a picture that OpenCV refuses: {error.err}')
    if image is None or _ends_early(content):
        return OpenedImage('a damaged or truncated picture' if mode
                           else 'no picture')
    return OpenedImage(
        size=(image.shape[1], image.shape[0]), orientation=orientation,
        mode=mode, is_deep=is_deep, span=int(image.max()) - int(image.min()),
        hash=difference_hash(image))


def _read_header(content: bytes) -> tuple[str, int, bool]:
    """Colours, EXIF orientation and whether there are more than 8 bits."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            image = Image.open(io.BytesIO(content))
            # Without the block, Pillow would decode a PNG in search of it.
            exif = image.format != 'PNG' or b'eXIf' in content
            orientation = image.getexif().get(
                ExifTags.Base.Orientation, 1) if exif else 1
    except Exception:  # Pillow raises anything on damaged headers
        return '', 1, False
    is_deep = image.mode.startswith(('I', 'F')) or (
        image.format == 'PNG' and content[24] > 8)
    if image.format == 'TIFF':
        bits = image.tag_v2.get(258, 8)  # type: ignore[attr-defined]
        is_deep |= max(bits if isinstance(bits, tuple) else (bits, )) > 8
    return image.mode, orientation if orientation in TURNS else 1, is_deep


def _ends_early(content: bytes) -> bool:
    """Whether a JPEG lacks its end; OpenCV 4 fills up with grey."""
    return content[:2] == b'\xff\xd8' and (
        content.rfind(b'\xff\xd9') < content.rfind(b'\xff\xda'))


def inspect_images(path: Path, images: Sequence[Any], folder: Path,
                   opened: Sequence[OpenedImage | None]) -> list[Finding]:
    """Compare pictures with what the annotation file says of them.

    Args:
        path (Path): The annotation file, for the messages.
        images (Sequence): Its list of images.
        folder (Path): Where they should lie.
        opened (Sequence): The same pictures as :func:`open_images` has them.
    """
    known = [(i, item) for i, item in enumerate(opened) if item is not None]
    sound = [(i, item) for i, item in known if not item.fault]

    def places(found: Iterable[tuple[int, str]]) -> tuple[Place, ...]:
        return tuple(
            Place(f'image {images[i].get("id")} ({images[i]["file_name"]})',
                  text, i) for i, text in found)

    lost = places((i, item.fault) for i, item in known if item.fault)
    all_lost = len(lost) == len(known) and all(
        place.found == 'no such file' for place in lost)
    candidates = [
        Finding(path, 'image file', f'a picture in {folder}', lost,
                'give the folder by --images' if all_lost else ''),
        *_compare_sizes(path, images, sound, places),
        Finding(path, 'file_name', 'a path below the folder of images',
                places((i, images[i]['file_name']) for i, _ in known
                       if _is_elsewhere(images[i]['file_name'])),
                'the data set cannot be moved', is_warning=True),
        Finding(path, 'colours', 'RGB or grey',
                places((i, 'CMYK') for i, item in sound
                       if item.mode == 'CMYK'),
                'the loader turns them into RGB without their colour '
                'profile: save as RGB', is_warning=True),
        Finding(path, 'depth', '8 bits a channel',
                places((i, f'more; {item.span + 1} of 256 levels are left')
                       for i, item in sound
                       if item.is_deep and item.span < LEAST_DEEP_RANGE),
                'the loader keeps the upper 8 bits, which are all but '
                'black here: stretch and save with 8 bits'),
        Finding(path, 'depth', '8 bits a channel',
                places((i, 'more') for i, item in sound
                       if item.is_deep and item.span >= LEAST_DEEP_RANGE),
                'the loader keeps the upper 8 bits', is_warning=True),
        Finding(path, 'image file', 'a picture with something on it',
                places((i, 'one brightness') for i, item in sound
                       if not item.is_deep and item.span < LEAST_RANGE),
                is_warning=True),
    ]
    return [item for item in candidates if item.places]


def describe_images(opened: Sequence[OpenedImage | None]) -> list[str]:
    """Lines on colours and orientations that need no action."""
    sound = [item for item in opened if item is not None and not item.fault]
    lines = [f'{len(sound)} pictures read']
    grey = sum(item.mode in ('1', 'L', 'LA') for item in sound)
    if grey:
        lines.append(f'{grey} grey: the loader repeats the channel')
    clear = sum(item.mode in ('RGBA', 'LA', 'PA') for item in sound)
    if clear:
        lines.append(f'{clear} with transparency, which the loader drops')
    turned = sum(item.orientation != 1 for item in sound)
    if turned:
        lines.append(f'{turned} turned by the loader after their EXIF tag')
    return lines


def _compare_sizes(path: Path, images: Sequence[Any],
                   sound: Sequence[tuple[int, OpenedImage]],
                   places: Any) -> list[Finding]:
    sizes, turned, unclear = [], [], []
    for i, item in sound:
        stated = (images[i].get('width'), images[i].get('height'))
        text = f'{stated[0]}x{stated[1]}'
        if stated == item.size:
            # The size tells the loader's orientation from the stored one
            # only if they differ.
            if item.orientation in (2, 3, 4) or (
                    item.orientation != 1 and item.size[0] == item.size[1]):
                unclear.append((i, TURNS[item.orientation]))
        elif stated == item.size[::-1] and item.orientation >= 5:
            turned.append((i, f'{text}, but the loader gives the picture '
                           f'{TURNS[item.orientation]}'))
        elif all(map(is_size, stated)):
            sizes.append((i, f'{text}, but the file has '
                          f'{item.size[0]}x{item.size[1]}'))
    return [
        Finding(path, 'width and height', 'the size of the file',
                places(sizes), 'the points belong to another size'),
        Finding(path, 'EXIF orientation', 'the size of the picture upright',
                places(turned), 'labels of the stored pixels do not fit: '
                'turn the labels, or the pixels and remove the tag'),
        Finding(path, 'EXIF orientation', 'none', places(unclear),
                'the loader applies it: make sure that the labels do too',
                is_warning=True),
    ]


def _is_elsewhere(name: str) -> bool:
    return Path(name).is_absolute() or '..' in Path(name).parts
