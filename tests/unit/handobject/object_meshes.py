"""Meshes of ideal solids in the folders of DexYCB."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from mmpose_ext.handobject.meshes import MESH_FILE
from mmpose_ext.handobject.objects import ycb_name

CENTRE = np.array([.01, -.02, .03])  # of all, in the frame of the object
BOX_SIDES = np.array([.06, .16, .21])
BALL_RADIUS = .05
BOWL_RADIUS, BOWL_HEIGHT = .08, .05
BRICK_SIDES = np.array([.05, .08, .051])


def solids() -> dict[int, trimesh.Trimesh]:
    """A box, a ball, a disc that stands for the bowl, and a brick."""
    found = {
        2: trimesh.creation.box(BOX_SIDES),
        5: trimesh.creation.icosphere(3, BALL_RADIUS),
        13: trimesh.creation.cylinder(BOWL_RADIUS, BOWL_HEIGHT),
        21: trimesh.creation.box(BRICK_SIDES),
    }
    for mesh in found.values():
        mesh.apply_translation(CENTRE)
    return found


def write_mesh(folder: Path, ycb_id: int, mesh: trimesh.Trimesh) -> Path:
    """Write a mesh to where an object's lies."""
    path = folder / ycb_name(ycb_id) / MESH_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh.export(path, include_texture=False)
    return path


def write_solids(folder: Path) -> Path:
    """Write all solids; returns the folder."""
    for ycb_id, mesh in solids().items():
        write_mesh(folder, ycb_id, mesh)
    return folder
