"""Make the grids of signed distances of a folder of meshes::

    python -m mmpose_ext.handobject.build_distance_fields MODELS --out FILE

The package does not import this module, so that Python can run it.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmpose_ext.command_options import check_least, check_out
from mmpose_ext.handobject.distance_fields import (
    LEAST_RESOLUTION,
    build_distance_fields,
)
from mmpose_ext.handobject.meshes import mesh_path
from mmpose_ext.handobject.objects import YCB_IDS, ycb_name
from mmpose_ext.storage import DataError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 1 for bad data, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog='python -m mmpose_ext.handobject.build_distance_fields',
        description='Make grids of signed distances from meshes of objects.')
    parser.add_argument('models', type=Path,
                        help='folder with <name>/textured_simple.obj')
    parser.add_argument('--out', type=Path, required=True,
                        help='.npz file to write')
    parser.add_argument('--ids', type=int, nargs='+', choices=YCB_IDS,
                        metavar='ID',
                        help='objects, 1 to 21 (default: all that are there)')
    parser.add_argument('--resolution', type=int, default=64,
                        help='nodes along an axis (default: 64)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace the file')
    arguments = parser.parse_args(argv)
    try:
        check_least(arguments.models, arguments, resolution=LEAST_RESOLUTION)
        check_out(arguments.out, ('.npz', ), overwrite=arguments.overwrite)
        ids = arguments.ids or [
            ycb_id for ycb_id in YCB_IDS
            if mesh_path(arguments.models, ycb_id).is_file()]
        if not ids:
            raise DataError(arguments.models, 'folder', 'a mesh', 'none')
        build_distance_fields(arguments.models, ids, arguments.resolution,
                              arguments.out)
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'written: {arguments.out}, of {", ".join(map(ycb_name, ids))}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
