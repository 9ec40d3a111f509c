"""Scoring that two or more families use."""
