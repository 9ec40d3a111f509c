"""Say whether a trained model answers alike whatever it sees."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('collapse_report', __doc__))
