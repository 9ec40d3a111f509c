"""The log that MMEngine writes of a training, read also while it grows."""
from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from .checks import StrPath, check_file
from .errors import DataError
from .run_config import read_dumped_config, read_text_log

Record = dict[str, Any]

EMA = '_ema'  # ending of the name of a smoothed figure
_KEPT = .9  # of the smoothed loss, from one record to the next
# what a record holds beside figures of the model
_PLACES = ('step', 'epoch', 'iter', 'x')
_NOT_FIGURES = {*_PLACES, 'time', 'data_time', 'memory'}
_LEFT_OUT = 20  # lines named one by one


class RunLog:
    """Records of a training, those of resumed runs joined.

    The runs of a work directory are taken in the order of their names, which
    are their times. Where the count of steps goes back, as after a resume,
    what had been logged beyond is replaced. Lines that are no records are
    left out: without a word at the end of a file, where one may be half
    written, with a warning elsewhere.

    Args:
        path (str | Path): Work directory, one run in it, or one file of JSON
            lines. A run is read from ``vis_data/scalars.json``, else from
            ``vis_data/<run>.json``, else from TensorBoard's events.

    Attributes:
        train (list[dict]): Training records by rising ``iter``: numbers by
            their name. Each has its place ``x``, in epochs where epochs are
            counted, else in iterations, and ``loss_ema`` from its loss on:
            the loss smoothed, ``.9 * before + .1 * loss``, without the values
            that are not finite.
        val (list[dict]): Validation records by rising ``step``, their ``x``.
        epoch_length (int | None): Iterations of an epoch, as far as the log
            tells; None where epochs are not counted.
        warnings (list[str]): Lines that were left out.

    Raises:
        DataError: If there is no log or no record in it.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self.train: list[Record] = []
        self.val: list[Record] = []
        self.epoch_length: int | None = None
        self.warnings: list[str] = []
        self._read: dict[Path, tuple[int, int]] = {}  # bytes and lines
        self.update()
        if not self.train and not self.val:
            raise DataError(self.files[-1], 'file', 'records of a run', 'none')

    @property
    def files(self) -> list[Path]:
        """Files that the records come from, the newest last.

        Raises:
            DataError: If there is none.
        """
        if not self.path.is_dir():
            return [check_file(self.path)]
        runs = [self.path]
        if not (self.path / 'vis_data').is_dir():
            runs = sorted(folder.parent
                          for folder in self.path.glob('*/vis_data'))
        files = [file for run in runs for file in _files_of(run)]
        if not files:
            raise DataError(self.path, 'folder', '*/vis_data/scalars.json',
                            'none', 'give the work directory of a training')
        return files

    @property
    def changed(self) -> float:
        """When the newest file was written last, in seconds since 1970."""
        return max(file.stat().st_mtime for file in self.files)

    def update(self) -> bool:
        """Read what has been appended since.

        Returns:
            bool: Whether there are new records.
        """
        new = [record for file in self.files for record in self._append(file)]
        for record in new:
            self._place(record)
        if new:
            self.epoch_length = self._count_epoch()
            _derive(self.train, self.epoch_length or 1)
            for record in self.val:
                record['x'] = record['step']
        return bool(new)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The newest run's config, as dumped; empty where there is none."""
        folder = self.files[-1].parent
        dumped = [folder / 'config.py', *sorted(
            self.path.glob('*.py'), key=lambda file: file.stat().st_mtime,
            reverse=True)] if self.path.is_dir() else [folder / 'config.py']
        return next((config for file in dumped
                     if (config := read_dumped_config(file))), {})

    @property
    def processes(self) -> int:
        """How many train together, 1 where the text log does not tell."""
        return self._text_log().get('processes', 1)

    def _text_log(self) -> dict[str, int]:
        run = self.files[-1].parent.parent
        return read_text_log(run / f'{run.name}.log')

    def _append(self, file: Path) -> list[Record]:
        """New records of a file."""
        if 'tfevents' in file.name:
            return self._append_events(file)
        start, number = self._read.get(file, (0, 0))
        if file.stat().st_size < start:  # written anew
            start = number = 0
        with check_file(file).open('rb') as stream:
            stream.seek(start)
            lines = stream.read().splitlines(keepends=True)
        records = []
        for line in lines:
            record = _parse(line)
            if record is None and not line.endswith(b'\n'):
                break  # half written: read again next time
            start, number = start + len(line), number + 1
            if record is not None:
                records.append(record)
            elif line.strip():
                self._warn(f'{file}: line {number} is no record: '
                           f'{line[:40].decode(errors="replace")!r}')
        self._read[file] = start, number
        return records

    def _append_events(self, file: Path) -> list[Record]:
        """Records of a file of events, all read anew when it has grown."""
        size = file.stat().st_size
        if self._read.get(file, (0, 0))[0] == size:
            return []
        self._read[file] = size, 0
        return list(_read_events(file))

    def _warn(self, text: str) -> None:
        if len(self.warnings) < _LEFT_OUT:
            self.warnings.append(text)

    def _place(self, record: Record) -> None:
        """Put a record after those that lie before it, in place of others."""
        if 'iter' in record:
            _drop_from(self.train, 'iter', record['iter'])
            place = record['epoch' if 'epoch' in record else 'iter']
            _drop_from(self.val, 'step', place)
            self.train.append(record)
        elif 'step' in record:
            _drop_from(self.val, 'step', record['step'])
            self.val.append(record)

    def _count_epoch(self) -> int | None:
        """Iterations of an epoch: as the text log says, else as it fits."""
        counted = [item for item in self.train if 'epoch' in item]
        if not counted:
            return None
        # Not every iteration is logged; this is the shortest epoch that puts
        # none into a later epoch than its own.
        shortest = max(math.ceil(item['iter'] / item['epoch'])
                       for item in counted)
        told = self._text_log().get('epoch_length', 0)
        return told if told >= shortest else shortest


def figures_of(val: Iterable[Record]) -> list[str]:
    """Names of the validation figures, in the order of their coming."""
    return list(dict.fromkeys(name for record in val for name in record
                              if name not in _NOT_FIGURES))


def _files_of(run: Path) -> list[Path]:
    """The file of a run that tells most; none where nothing was logged."""
    folder = run / 'vis_data'
    for pattern in ('scalars.json', f'{run.name}.json', '2*.json',
                    'events.out.tfevents.*'):
        files = [file for file in sorted(folder.glob(pattern))
                 if file.stat().st_size]
        if files:
            return files
    return []


def _parse(line: bytes) -> Record | None:
    """Numbers of a record by name; None for what is no record."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    record = {name: value for name, value in values.items()
              if isinstance(value, (int, float))}
    places = [record[name] for name in _PLACES if name in record]
    if not all(math.isfinite(place) and place >= 0 for place in places):
        return None
    return None if record.get('epoch', 1) < 1 else record


def _drop_from(records: list[Record], key: str, limit: float) -> None:
    """Drop the last records if they lie at or beyond a limit."""
    while records and records[-1][key] >= limit:
        records.pop()


def _derive(train: Iterable[Record], epoch_length: int) -> None:
    """Give each training record its place and its smoothed loss."""
    smooth = math.nan
    for record in train:
        record['x'] = record['iter'] / epoch_length
        loss = record.get('loss', math.nan)
        if math.isfinite(loss):
            smooth = (loss if math.isnan(smooth) else
                      _KEPT * smooth + (1 - _KEPT) * loss)
        if not math.isnan(smooth):
            record[f'loss{EMA}'] = smooth


def _read_events(file: Path) -> Iterator[Record]:
    """Records of TensorBoard's events, which come one figure at a time."""
    from tensorboard.backend.event_processing.event_file_loader import (
        LegacyEventFileLoader,
    )
    record: Record = {}
    for event in LegacyEventFileLoader(str(file)).Load():
        for value in event.summary.value:
            if value.WhichOneof('value') != 'simple_value':
                continue
            # MMEngine writes a record's figures in a row, `iter` the last.
            if record and (event.step != record['step'] or 'iter' in record
                           or value.tag in record):
                yield record
                record = {}
            record['step'] = event.step
            record[value.tag] = value.simple_value
    if record:
        yield record
