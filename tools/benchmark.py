"""Measure parameters, FLOPs, rates and memory of a config."""
import sys

from mmpose_ext.benchmark_all import run_benchmark

if __name__ == '__main__':
    sys.exit(run_benchmark(__doc__))
