"""Predict on new data with a trained model, in the family's own format."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('predict', __doc__))
