"""Draw what a trained model finds in pictures and videos."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('visualize', __doc__))
