"""Take the heads off a trained behaviour model, to embed recordings."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('export_embedder', __doc__))
