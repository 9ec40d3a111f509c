"""Geometry on arrays and tensors; knows no file, config or model."""
