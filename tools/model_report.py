"""Say what a model is made of, what trains, and what no loss reaches."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('model_report', __doc__))
