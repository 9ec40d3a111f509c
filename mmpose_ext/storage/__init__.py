"""Bytes on disk turned into checked records, and written back whole."""
from .atomic import atomic_file, atomic_folder, refuse_to_replace
from .checks import check_array, check_file, check_images, check_keys
from .coco import read_coco_keypoints, read_coco_labels, read_coco_names
from .cvat import read_cvat_images
from .dlc import read_dlc_names, read_dlc_project, read_dlc_tracks
from .errors import DataError
from .keypoint_csv import read_keypoint_csv
from .label_studio import read_label_studio
from .labels import (
    LabelledImage,
    LabelledInstance,
    LabelSet,
    labels_of_tracks,
)
from .npz import NpzArchive, write_npz
from .records import PointTracks
from .sleap import read_sleap_analysis, read_slp
from .video import VideoReader, VideoWriter

__all__ = [
    'DataError', 'LabelSet', 'LabelledImage', 'LabelledInstance',
    'NpzArchive', 'PointTracks', 'VideoReader', 'VideoWriter', 'atomic_file',
    'atomic_folder', 'check_array', 'check_file', 'check_images',
    'check_keys', 'labels_of_tracks', 'read_coco_keypoints',
    'read_coco_labels', 'read_coco_names', 'read_cvat_images',
    'read_dlc_names', 'read_dlc_project', 'read_dlc_tracks',
    'read_keypoint_csv', 'read_label_studio', 'read_sleap_analysis',
    'read_slp', 'refuse_to_replace', 'write_npz'
]
