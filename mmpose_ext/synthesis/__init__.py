"""Synthetic worlds with exact truth, one file a family."""
