"""Speed, memory, accuracy and studies: `python -m benchmarks`, `python -m benchmarks.studies`."""
