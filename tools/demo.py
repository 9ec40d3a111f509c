"""Synthesise, train, test and draw, to see that all works."""
import argparse
import os
import subprocess
import sys
from pathlib import Path

from mmpose_ext.demonstration import find_demos, run_side_by_side


def main() -> int:
    """Run the demo of one family, or of all, as many at a time as cores."""
    demos = find_demos()
    parser = argparse.ArgumentParser(prog='tools/demo.py', description=__doc__)
    parser.add_argument('--family', choices=[*sorted(demos), 'all'],
                        default='all')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'),
                        help='folder to write (default: work_dirs/demo)')
    arguments = parser.parse_args()
    name, out = arguments.family, arguments.out
    if name == 'all':
        # the longest first, so that none is left over at the end
        order = sorted(demos, key=lambda name: -demos[name].MINUTES)
        failed = run_side_by_side(
            {name: [sys.executable, __file__, '--family', name,
                    '--out', str(out)] for name in order},
            out, min(len(order), os.cpu_count() or 1))
        if failed:
            print(f'error: the demos of {", ".join(failed)} stopped',
                  file=sys.stderr)
        return int(bool(failed))
    print(f'The demo of {name} takes about {demos[name].MINUTES} minutes.')
    try:
        demos[name].run(out / name)
    except subprocess.CalledProcessError as error:
        print(f'error: the demo of {name} stopped: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
