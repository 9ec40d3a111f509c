"""Segment recordings into motifs, from their embeddings."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('segment_motifs', __doc__))
