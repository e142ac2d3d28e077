"""Benchmarks: how good the attribution models are, measured."""
