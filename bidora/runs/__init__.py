"""Run: one folder per run. The folder is the only thing that passes between processes.

    runs/<UTC time>-<4 hex>/
      config.json  meta.json  status.json  metrics.jsonl  dynamics.parquet/  checkpoints/  adapter/
      predictions.parquet  result.json  log.txt

Every file is written whole and renamed into place, or appended line by line; readers tolerate a half-written last line,
unknown or missing keys and dead processes. Nothing here imports torch, nor pandas until a table is asked for.
"""

from bidora.runs.files import finite, read_json, write_json, write_text
from bidora.runs.folder import RunFolder
from bidora.runs.ids import RUN_ID, runs_root
from bidora.runs.listing import find_run, list_runs
from bidora.runs.run import Run
from bidora.runs.workers import (
    ACTIVE,
    HEARTBEAT_SECONDS,
    STATES,
    process_start,
    same_process,
    worker_alive,
    worker_identity,
)

__all__ = [
    "ACTIVE",
    "HEARTBEAT_SECONDS",
    "RUN_ID",
    "STATES",
    "Run",
    "RunFolder",
    "find_run",
    "finite",
    "list_runs",
    "process_start",
    "read_json",
    "runs_root",
    "same_process",
    "worker_alive",
    "worker_identity",
    "write_json",
    "write_text",
]
