"""Synthesise, train, test and draw, to see that all works."""
import argparse
import subprocess
import sys
from pathlib import Path

from mmpose_ext.families import family_module, family_names


def main() -> int:
    """Run the demo of one family, or of all in turn."""
    demos = {
        name: module for name in family_names()
        if (module := family_module(name, 'demo')) is not None
    }
    parser = argparse.ArgumentParser(prog='tools/demo.py', description=__doc__)
    parser.add_argument('--family', choices=[*sorted(demos), 'all'],
                        default='all')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'),
                        help='folder to write (default: work_dirs/demo)')
    arguments = parser.parse_args()
    chosen = demos if arguments.family == 'all' else [arguments.family]
    for name in chosen:
        try:
            demos[name].run(arguments.out / name)
        except subprocess.CalledProcessError as error:
            print(f'error: the demo of {name} stopped: {error}',
                  file=sys.stderr)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
