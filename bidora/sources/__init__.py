"""What can be analysed: adapters, checkpoints and base models, looked at without reading a tensor. No torch.

A source is found in four ways: a run, an upload, a path that somebody typed, or a model's name. Which of them a visitor
may use is for the caller to say (`paths_allowed`); a base model that an adapter names is never opened for that alone.
"""

from bidora.sources.finding import (
    base_of_run,
    of_model,
    of_path,
    of_run,
    of_run_base,
    of_upload,
    packaged,
    paths_allowed,
    refuse_without_motion,
    suggested_base,
)
from bidora.sources.source import Source, check_pair, what_is_read

__all__ = [
    "Source",
    "base_of_run",
    "check_pair",
    "of_model",
    "of_path",
    "of_run",
    "of_run_base",
    "of_upload",
    "packaged",
    "paths_allowed",
    "refuse_without_motion",
    "suggested_base",
    "what_is_read",
]
