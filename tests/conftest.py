"""Settings of all tests."""

from hypothesis import settings

pytest_plugins = ["battery", "pytester"]

# The same examples on every machine, and no time limit each: a busy machine fails nothing.
settings.register_profile("tributary", derandomize=True, deadline=None, max_examples=150)
settings.load_profile("tributary")
