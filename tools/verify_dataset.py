"""Check a data set: exit 0 clean, 1 problems (one a line), 2 usage."""
import sys

from mmpose_ext.commands import run_verify

if __name__ == '__main__':
    sys.exit(run_verify(__doc__))
