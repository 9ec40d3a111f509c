"""One record of a data set: tracks, and what the animals did if known."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from .behavior_events import FrameLabels
from .errors import DataError
from .pose_tracks import PoseTracks


@dataclass(frozen=True, eq=False)
class LabelledTracks:
    """A record, checked when made.

    Args:
        id (str): Its name and its place in a folder, parts divided by ``/``.
        tracks (PoseTracks): T rows.
        labels (FrameLabels | None): Of the same T rows.

    Raises:
        DataError: If the labels have another length, or the id would lead
            out of a folder.
    """

    id: str
    tracks: PoseTracks
    labels: FrameLabels | None = None

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.id).parts
        if not parts or any(
                part.strip(' .') == '' or set(part) & set('\\\0/:')
                for part in parts):
            raise DataError(self.tracks.source, 'record',
                            'a name that can be a folder', repr(self.id)[:80])
        if self.labels is not None and len(self.labels) != len(self.tracks):
            raise DataError(self.labels.source, f'record {self.id!r}, labels',
                            f'{len(self.tracks)} frames, as the tracks have',
                            f'{len(self.labels)}')
