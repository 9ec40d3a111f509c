"""Bytes on disk turned into checked records, and written back whole."""
from .anipose import SpacePoints, read_space_points
from .atomic import (
    atomic_file,
    atomic_folder,
    refuse_other_content,
    refuse_to_replace,
)
from .behavior_events import (
    BehaviorEvent,
    FrameLabels,
    events_of_labels,
    label_frames,
    read_event_csv,
    write_event_csv,
)
from .boris import read_boris_csv
from .calibrations import CameraCalibration, read_calibrations
from .checks import check_array, check_file, check_images, check_keys
from .chunked_video import ChunkedVideo, find_camera_folders
from .coco import read_coco_keypoints, read_coco_labels, read_coco_names
from .com3d import ComTrack, read_com3d, write_com3d
from .cvat import read_cvat_images
from .dlc import read_dlc_names, read_dlc_project, read_dlc_tracks
from .errors import DataError, close_matches
from .keypoint_csv import read_keypoint_csv
from .label3d import Label3D, read_label3d, write_label3d
from .label_studio import read_label_studio
from .labels import (
    LabelledImage,
    LabelledInstance,
    LabelSet,
    labels_of_tracks,
)
from .movement_annotations import (
    read_movement_annotations,
    write_movement_annotations,
)
from .movement_netcdf import (
    read_movement_netcdf,
    write_movement_netcdf,
    write_pose_tracks,
)
from .npz import NpzArchive, write_npz
from .plain_files import read_json, write_json
from .pose_tracks import (
    PoseTracks,
    fill_gaps,
    join_individuals,
    tracks_of_points,
)
from .records import PointTracks
from .skeleton_files import (
    SkeletonFile,
    read_skeleton_file,
    write_skeleton_file,
)
from .sleap import read_sleap_analysis, read_sleap_edges, read_slp
from .video import VideoReader, VideoWriter

__all__ = [
    'BehaviorEvent', 'CameraCalibration', 'ChunkedVideo', 'ComTrack',
    'DataError', 'FrameLabels', 'Label3D', 'LabelSet', 'LabelledImage',
    'LabelledInstance', 'NpzArchive', 'PointTracks', 'PoseTracks',
    'SkeletonFile', 'SpacePoints', 'VideoReader', 'VideoWriter', 'atomic_file',
    'atomic_folder', 'check_array', 'check_file', 'check_images', 'check_keys',
    'close_matches', 'events_of_labels', 'fill_gaps', 'find_camera_folders',
    'join_individuals', 'label_frames', 'labels_of_tracks', 'read_boris_csv',
    'read_calibrations', 'read_coco_keypoints', 'read_coco_labels',
    'read_coco_names', 'read_com3d', 'read_cvat_images', 'read_dlc_names',
    'read_dlc_project', 'read_dlc_tracks', 'read_event_csv', 'read_json',
    'read_keypoint_csv', 'read_label3d', 'read_label_studio',
    'read_movement_annotations', 'read_movement_netcdf', 'read_skeleton_file',
    'read_sleap_analysis', 'read_sleap_edges', 'read_slp', 'read_space_points',
    'refuse_other_content', 'refuse_to_replace', 'tracks_of_points',
    'write_com3d', 'write_event_csv', 'write_json', 'write_label3d',
    'write_movement_annotations', 'write_movement_netcdf', 'write_npz',
    'write_pose_tracks', 'write_skeleton_file'
]
