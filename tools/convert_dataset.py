"""Turn recordings of other programs into the data set of a family."""
import sys

from mmpose_ext.commands import run_convert

if __name__ == '__main__':
    sys.exit(run_convert(__doc__))
