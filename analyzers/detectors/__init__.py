"""One folder a detector: code, `candidates.sql`, `cases.md`. Adding one edits nothing else."""
