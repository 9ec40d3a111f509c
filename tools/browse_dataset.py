"""Draw what the network sees and is asked for."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('browse_dataset', __doc__))
