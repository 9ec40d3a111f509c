"""Reads a config's data as a training does: python read_data.py CONFIG.

The data sets are built and the first batches loaded; arguments after the
config are its ``--cfg-options``. As a command of ours it ends with one line
and exit code 1 where an input is damaged.
"""
from __future__ import annotations

import itertools
import sys

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmpose_ext.storage import DataError
from mmpose_ext.training import build_serial_loader

BATCHES = 2


def main(path: str, *options: str) -> int:
    """Read; 1 for damaged data."""
    config = Config.fromfile(path)
    config.merge_from_dict({
        key: DictAction._parse_iterable(value)
        for key, value in (option.split('=', 1) for option in options)})
    init_default_scope(config.get('default_scope', 'mmpose'))
    try:
        for split in ('train', 'val'):
            loader = build_serial_loader(config, split)
            for _ in itertools.islice(loader, BATCHES):
                pass
    except DataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
