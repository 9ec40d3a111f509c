"""Drawing that two or more families use."""
from __future__ import annotations

from mmpose_ext.drawing.curves import draw_training_curves
from mmpose_ext.drawing.grid import contact_sheet
from mmpose_ext.drawing.hook import BatchVisualizationHook

__all__ = ['BatchVisualizationHook', 'contact_sheet', 'draw_training_curves']
