"""Drawing that two or more families use.

The hook is found by its registry, so that who only draws does not wait for
MMPose.
"""
from __future__ import annotations

from mmpose_ext.drawing.curves import Best, draw_training_curves
from mmpose_ext.drawing.grid import contact_sheet, write_picture

__all__ = ['Best', 'contact_sheet', 'draw_training_curves', 'write_picture']
