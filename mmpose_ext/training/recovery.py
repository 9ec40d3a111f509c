"""Finding the checkpoint to go on from after anything may have happened."""
from __future__ import annotations

import re
from pathlib import Path

from mmpose_ext.compat.checkpoints import damage
from mmpose_ext.storage.atomic import atomic_file
from mmpose_ext.storage.errors import DataError

POINTER = 'last_checkpoint'


def find_whole_checkpoint(
        work_dir: str | Path, folder: str | Path,
        template: str) -> tuple[str | None, list[str]]:
    """Find what to resume from and make ``last_checkpoint`` point to it.

    Args:
        work_dir (str | Path): Folder of the pointer file.
        folder (str | Path): Folder of the checkpoints. A pointer to elsewhere
            is followed only if the file is not here: the run was moved.
        template (str): Name of the files with '{}' for the step.

    Returns:
        tuple: The path, None if the run never saved any, and what was passed
        over, a phrase each.

    Raises:
        DataError: If there are checkpoints, all damaged.
    """
    pointer, folder = Path(work_dir) / POINTER, Path(folder)
    candidates = checkpoints_by_step(folder, template)[::-1]
    if not candidates and not pointer.exists():
        return None, []
    damaged = []
    text = _read(pointer)
    pointed = _pointed_file(text, folder)
    if pointed is None:
        damaged.append(f'{POINTER}: missing or naming no file')
    else:
        candidates = [
            pointed, *(path for path in candidates if path != pointed)
        ]
    for path in candidates:
        reason = damage(path)
        if not reason:
            if text != str(path):
                with atomic_file(pointer) as temporary:
                    temporary.write_text(str(path))
            return str(path), damaged
        damaged.append(f'{path.name}: {reason}')
    raise DataError(
        folder, 'checkpoints', 'a whole one to resume from',
        '; '.join(damaged),
        f'remove these and {POINTER} to begin from zero')


def checkpoints_by_step(folder: Path, template: str) -> list[Path]:
    """Checkpoints of a folder named by a template, oldest first."""
    before, after = template.split('{}')
    pattern = re.compile(f'{re.escape(before)}([0-9]+){re.escape(after)}')
    steps = {
        path: int(match[1])
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := pattern.fullmatch(path.name))
    }
    return sorted(steps, key=lambda path: steps[path])


def remove_temporaries(folder: Path) -> None:
    """Remove what killed processes left of checkpoints being written."""
    if not folder.is_dir():
        return
    pattern = re.compile(r'\..+\.[0-9a-f]{8}\.pth')
    for path in folder.iterdir():
        if pattern.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _read(pointer: Path) -> str:
    try:
        return pointer.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ''


def _pointed_file(text: str, folder: Path) -> Path | None:
    """The file that a pointer names, sought in `folder` first."""
    name = Path(text).name
    if not name:
        return None
    try:
        is_elsewhere = Path(text).is_file() and not (folder / name).is_file()
    except (OSError, ValueError):  # no possible name of a file
        return None
    return Path(text) if is_elsewhere else folder / name
