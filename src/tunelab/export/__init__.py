"""From a finished run to a folder that other programs load, with proof that it says the same."""

from tunelab.export.exporting import Exported, Format, export_run

__all__ = ["Exported", "Format", "export_run"]
