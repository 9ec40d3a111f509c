"""Export a trained model to ONNX and check that it says the same."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('export_onnx', __doc__))
