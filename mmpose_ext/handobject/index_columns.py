"""Columns of an index: what is known of each frame of a data set.

An index is one ``.npz`` whose members are stored, so that opening 465,000
frames maps them and reads next to nothing. N frames, Q sequences, P the most
objects of a sequence, C cameras; metres and pixels (centres at integers).

Columns of frames, in the official order (subject, sequence, camera, frame):

=================  ===========  ============================================
``id``             i8 (N,)      running index of the split, before any filter
``sequence_row``   i4 (N,)      row of the columns of sequences
``camera``         u1 (N,)      row of ``serials``; u2 with over 256
``frame``          i4 (N,)      number of the frame in its video
``hand_valid``     ? (N,)       whether the hand is labelled
``joints_cam``     f4 (N,21,3)  camera frame, m; -1 without a hand
``joints_px``      f4 (N,21,2)  photograph; -1 without a hand
``bbox_hand``      f4 (N,4)     x, y, width, height in px; 0 without a hand
``bbox_union``     f4 (N,4)     hand and grasped object; else ``bbox_hand``
``K``              f4 (N,4)     fx, fy, cx, cy in px
``pose_m``         f4 (N,51)    MANO: rotation, 45 PCA, translation in m
``pose_y``         f4 (N,P,3,4) [R|t] object to camera, m; 0 where unknown
``object_valid``   ? (N,P)      whether ``pose_y`` is known
``contact``        u1 (N,21)    optional: 1 where the joint touches
``contact_valid``  ? (N,)       optional, with ``contact``
``joint_distance`` f4 (N,21)    optional: m to the grasped object, or nan
``file_name``      U (N,)       optional: picture below the data root
``picture_size``   i4 (N,2)     optional: width, height where they differ
=================  ===========  ============================================

Columns of sequences:

===================  ==========  ===========================================
``sequence_subject`` u1 (Q,)     row of ``subjects``
``sequence_name``    U (Q,)      '20200709-subject-01/20200709_141754'
``sequence_number``  i4 (Q,)     place among the sequences of its subject
``side``             u1 (Q,)     0 right, 1 left
``ycb_ids``          u1 (Q,P)    1..21, 0 for none
``grasped``          i4 (Q,)     column of ``ycb_ids``, -1 for none
``betas``            f4 (Q,10)   MANO shape
===================  ==========  ===========================================

Tables: ``serials`` U (C,), ``subjects`` U (S,), ``source`` U () ('dexycb',
'interhand2.6m'), ``setup`` U (), ``split`` U (), ``every`` i8 (),
``image_size`` i8 (2,) width and height, ``fingerprint`` U () (of
``index_files.sequence_fingerprint``), ``image_pattern`` U () and ``version``
i8 ().
"""
from __future__ import annotations

from collections.abc import Mapping

VERSION = 1
DEXYCB, INTERHAND = 'dexycb', 'interhand2.6m'
DEXYCB_PATTERN = '{sequence}/{serial}/color_{frame:06d}.jpg'
LABEL_PATTERN = '{sequence}/{serial}/labels_{frame:06d}.npz'
FILE_PATTERN = '{file_name}'
MAX_OBJECT = 21
# by what the box is about
BOX_COLUMNS = dict(hand='bbox_hand', hand_object='bbox_union')
# Farthest of a principal point from the middle, as a share of the side
MAX_OFF_CENTRE = .2
CONVERT_HINT = 'make it anew with tools/convert_dataset.py'

# Name to type, or its kind, and shape; letters are lengths that agree.
ColumnSpec = Mapping[str, tuple[str, tuple[int | str, ...]]]
ROW_COLUMNS: ColumnSpec = {
    'id': ('i8', ('N', )),
    'sequence_row': ('i4', ('N', )),
    'camera': ('u', ('N', )),
    'frame': ('i4', ('N', )),
    'hand_valid': ('?', ('N', )),
    'joints_cam': ('f4', ('N', 21, 3)),
    'joints_px': ('f4', ('N', 21, 2)),
    'bbox_hand': ('f4', ('N', 4)),
    'bbox_union': ('f4', ('N', 4)),
    'K': ('f4', ('N', 4)),
    'pose_m': ('f4', ('N', 51)),
    'pose_y': ('f4', ('N', 'P', 3, 4)),
    'object_valid': ('?', ('N', 'P')),
}
OPTIONAL_COLUMNS: ColumnSpec = {
    'contact': ('u1', ('N', 21)),
    'contact_valid': ('?', ('N', )),
    'joint_distance': ('f4', ('N', 21)),
    'file_name': ('U', ('N', )),
    'picture_size': ('i4', ('N', 2)),
}
SEQUENCE_COLUMNS: ColumnSpec = {
    'sequence_subject': ('u1', ('Q', )),
    'sequence_name': ('U', ('Q', )),
    'sequence_number': ('i4', ('Q', )),
    'side': ('u1', ('Q', )),
    'ycb_ids': ('u1', ('Q', 'P')),
    'grasped': ('i4', ('Q', )),
    'betas': ('f4', ('Q', 10)),
}
TABLES: ColumnSpec = {
    'serials': ('U', ('C', )),
    'subjects': ('U', ('S', )),
    'source': ('U', ()),
    'setup': ('U', ()),
    'split': ('U', ()),
    'every': ('i8', ()),
    'image_size': ('i8', (2, )),
    'fingerprint': ('U', ()),
    'image_pattern': ('U', ()),
    'version': ('i8', ()),
}
REQUIRED: ColumnSpec = {**ROW_COLUMNS, **SEQUENCE_COLUMNS, **TABLES}
