"""Bytes on disk turned into checked records, and written back whole."""
from .atomic import atomic_file, atomic_folder
from .checks import check_array, check_file, check_images, check_keys
from .coco import read_coco_keypoints
from .dlc import read_dlc_project, read_dlc_tracks
from .errors import DataError
from .npz import NpzArchive, write_npz
from .records import PointTracks
from .sleap import read_sleap_analysis, read_slp
from .video import VideoReader, VideoWriter

__all__ = [
    'DataError', 'NpzArchive', 'PointTracks', 'VideoReader', 'VideoWriter',
    'atomic_file', 'atomic_folder', 'check_array', 'check_file',
    'check_images', 'check_keys', 'read_coco_keypoints', 'read_dlc_project',
    'read_dlc_tracks', 'read_sleap_analysis', 'read_slp', 'write_npz'
]
