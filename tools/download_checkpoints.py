"""Fetch the published weights that configs start from, and check them."""
import sys

from mmpose_ext.download_checkpoints import run_download

if __name__ == '__main__':
    sys.exit(run_download(__doc__))
