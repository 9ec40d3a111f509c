"""How a data set of tracks is read: the settings."""
from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mmpose_ext.behavior.coordinates import (
    Renaming,
    Selection,
    parse_renaming,
    parse_selection,
)
from mmpose_ext.behavior.record_files import ANNOTATION_FORMATS, DATA_FORMATS
from mmpose_ext.behavior.scaling import MODES, parse_size

MISSING = ('interpolate', 'keep', 'zero')
VOTES = ('any', 'majority')
FRAME_GAPS = ('fill', 'ignore', 'refuse')
PER = ('record', 'dataset')


@dataclass(frozen=True)
class RecordOptions:
    """How records are read; keys of the data sets in configs.

    Attributes:
        data_format: ``auto``, ``movement`` (netCDF), ``dlc`` or ``sleap``.
            Defaults to ``auto``: what the name of each file says.
        annotation_format: ``auto``, ``movement``, ``csv-events``, ``boris``;
            None reads no annotations. Defaults to None.
        data_filter: Texts, as a comma list or a list; a record is kept when
            its id contains any of them. Defaults to '' (all).
        select: Individuals, axes and keypoints to keep, in that order: see
            :func:`~mmpose_ext.behavior.coordinates.parse_selection`.
        rename: Their new names: see
            :func:`~mmpose_ext.behavior.coordinates.parse_renaming`.
        scale: ``isotropic`` keeps the ratio of the sides, ``per_axis`` does
            not. Defaults to ``isotropic``.
        scale_size: Size of the arena in the unit of the tracks, as 'WxH',
            'WxHxD' or numbers. Defaults to None: the size of the picture
            where the file states it, else the extent of the tracks.
            ``extent`` takes that in any case.
        scale_per: ``record`` scales each record by its own extent,
            ``dataset`` all by their common one. Defaults to ``record``.
        missing: ``interpolate`` closes gaps of up to `max_gap` frames;
            ``keep`` closes none; ``zero`` puts 0 for missing coordinates
            before scaling, whatever their confidence, as the original does.
            Defaults to ``interpolate``.
        max_gap: Frames. Defaults to None: 0.2 s, or 5 frames where the frame
            rate is unknown.
        confidence_threshold: Points of lower confidence are missing. Defaults
            to 0.
        fps: Frames per second of all records, whatever the files say.
            Defaults to None.
        frame_gaps: What to do about frames that a file leaves out: ``fill``
            puts frames there whose points are missing; ``ignore`` takes the
            rows as they come, as the original does; ``refuse`` makes it an
            error. Defaults to ``fill``.
        classes: The classes, in order. Defaults to None: all that occur,
            sorted, with 'other' last.
        annotators: A class is present when ``any`` annotator saw it, or more
            than half of them (``majority``). Defaults to ``any``.
        min_individuals: Fewer are an error. Defaults to 2.

    Raises:
        ValueError: If a setting is none of these.
    """

    data_format: str = 'auto'
    annotation_format: str | None = None
    data_filter: str | Sequence[str] = ''
    select: str | Mapping[str, Any] | Selection = ''
    rename: str | Mapping[str, Any] | Renaming = ''
    scale: str = 'isotropic'
    scale_size: str | float | Sequence[float] | None = None
    scale_per: str = 'record'
    missing: str = 'interpolate'
    max_gap: int | None = None
    confidence_threshold: float = 0.
    fps: float | None = None
    frame_gaps: str = 'fill'
    classes: Sequence[str] | None = None
    annotators: str = 'any'
    min_individuals: int = 2

    def __post_init__(self) -> None:
        self._check_choices()
        if self.max_gap is not None and self.max_gap < 0:
            raise ValueError('max_gap: expected 0 or more frames, found '
                             f'{self.max_gap}')
        if not 0 <= self.confidence_threshold <= 1:
            raise ValueError('confidence_threshold: expected 0 to 1, found '
                             f'{self.confidence_threshold}')
        if self.fps is not None and not 0 < self.fps < float('inf'):
            raise ValueError(f'fps: expected a number above 0, found '
                             f'{self.fps}')
        if self.min_individuals < 1:
            raise ValueError('min_individuals: expected 1 or more, found '
                             f'{self.min_individuals}')
        # What configs write, lists and dicts, as something hashable.
        set_field = functools.partial(object.__setattr__, self)
        filters = (self.data_filter.split(',')
                   if isinstance(self.data_filter, str) else self.data_filter)
        set_field('data_filter', tuple(
            text for part in filters if (text := part.strip())))
        set_field('select', parse_selection(self.select))
        set_field('rename', parse_renaming(self.rename))
        set_field('scale_size', parse_size(self.scale_size))
        if self.classes is not None:
            if isinstance(self.classes, str) or not self.classes:
                raise ValueError('classes: expected a list of names, found '
                                 f'{self.classes!r}')
            if len(set(self.classes)) < len(self.classes):
                raise ValueError('classes: expected each once, found '
                                 f'{list(self.classes)}')
            set_field('classes', tuple(self.classes))

    def _check_choices(self) -> None:
        for name, choices in dict(
                data_format=DATA_FORMATS, scale=MODES, scale_per=PER,
                missing=MISSING, frame_gaps=FRAME_GAPS, annotators=VOTES,
                annotation_format=(None, *ANNOTATION_FORMATS)).items():
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f'{name}: expected one of {choices}, found '
                                 f'{value!r}')

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The settings, as configs name them."""
        return tuple(item.name for item in fields(cls))
