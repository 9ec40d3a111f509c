"""Say how a training goes: figures, verdicts and curves from its log."""
import os
import sys

os.environ['MMPOSE_EXT_WITHOUT_TORCH'] = '1'

from mmpose_ext.monitor import run_monitor

if __name__ == '__main__':
    sys.exit(run_monitor(__doc__))
