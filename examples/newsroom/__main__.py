"""`python -m newsroom`: makes some articles, and some with a mistake on purpose."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from newsroom.agent import Office
from newsroom.desk import commission, staffed
from newsroom.mistakes import MISTAKES
from newsroom.post import Job


def main() -> int:
    """Run the newsroom; 1 if an article could not be made."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: the agents are sent home first
    mistakes = {"none": [], "all": list(MISTAKES)}.get(wanted.faults, [wanted.faults])
    failed = 0
    with tempfile.TemporaryDirectory(prefix="newsroom-", ignore_cleanup_errors=True) as folder:
        office = Office(Path(wanted.office or folder))
        office.folder.mkdir(parents=True, exist_ok=True)
        with staffed(office, wanted.endpoint) as desk:
            for number, mistake in enumerate(_in_between([""] * wanted.runs, mistakes), start=1):
                job = commission(wanted.edition, number, wanted.seed, mistake)
                trouble = desk.make(job)
                failed += bool(trouble)
                print(_as_json(job, trouble) if wanted.json else _as_text(job, trouble), flush=True)
    return 1 if failed else 0


def _in_between(usual: list[str], mistakes: list[str]) -> list[str]:
    """What goes wrong goes wrong in the middle: what is usual shows before and after."""
    half = len(usual) // 2
    return [*usual[:half], *mistakes, *usual[half:]]


def _as_text(job: Job, trouble: str) -> str:
    return f"{job.article:<24} {job.topic:<22} {job.mistake or '-':<24} {trouble or 'published'}"


def _as_json(job: Job, trouble: str) -> str:
    finds = MISTAKES[job.mistake].finds if job.mistake else ()
    return json.dumps({"run": job.article, "mistake": job.mistake, "trouble": trouble, "finds": finds})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="newsroom", description=(sys.modules["newsroom"].__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same articles (default: 1)")
    parser.add_argument("--runs", type=int, default=3, help="articles without a mistake (default: 3)")
    parser.add_argument("--faults", metavar="none|all|NAME", choices=["none", "all", *MISTAKES], default="none",
                        help="then one article with this mistake, or one with each (see --list)")  # fmt: skip
    parser.add_argument("--endpoint", default="", help="OTLP/HTTP receiver (default: DRIFTLINE_ENDPOINT, or port 4318)")
    parser.add_argument(
        "--edition", default=time.strftime("%y%m%d%H%M%S"), help="part of the names of articles and runs"
    )
    parser.add_argument("--office", metavar="DIR", help="keep notebook, queue and world in this folder")
    parser.add_argument("--list", action="version", version="\n".join(MISTAKES), help="the names of all mistakes")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with what must be found of it")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
