"""The small data sets of the tests of runs."""

from tests.runs.conftest import small_data

__all__ = ["small_data"]
