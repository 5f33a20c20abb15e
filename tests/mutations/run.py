"""Applies each mutation to a copy of the project and shows that its test catches it: `make mutants`."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutations.drawn import Drawn, drawn
from tests.mutations.table import PAGE, ROOT, Mutation, mutations, page

_LEFT_OUT = shutil.ignore_patterns(".*", "build", "__pycache__", "node_modules")
_BROKEN = 4
"""How predue chaos ends when a promise was broken."""
_PATIENCE = 600
"""Seconds for one test, mutated: some changes make a state machine run in circles until its own limits end it."""


def _copied(to: str) -> Path:
    return Path(shutil.copytree(ROOT, Path(to) / "project", ignore=_LEFT_OUT))


def _tested(project: Path, tests: Sequence[str], *more: str) -> tuple[str, str]:
    """How the tests end in a copy: `passed`, `asserted`, or what broke; and what pytest said."""
    noted = project.parent / "verdict"
    environment = {**os.environ, "MUTANT_VERDICT": str(noted), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "tests.mutations.verdict", "-p", "no:cacheprovider", *more, *tests]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and table
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"broke: no end after {_PATIENCE} s", ""
    words = set(noted.read_text(encoding="utf-8").splitlines()) if noted.exists() else set()
    broke = sorted(word for word in words if word.startswith("broke"))
    if broke:
        return broke[0], done.stdout
    if "asserted" in words:
        return "asserted", done.stdout
    return "passed" if done.returncode == 0 and words else "broke: no test ran", done.stdout


def _caught(mutation: Mutation | Drawn) -> tuple[str, float, str]:
    """How the mutation's tests end over the mutated code, and the seconds that they took."""
    begun = time.monotonic()
    with TemporaryDirectory(prefix="mutant-") as folder:
        project = _copied(folder)
        try:
            changed = mutation.mutated(project)
        except ValueError as error:
            return f"broke: {error}", time.monotonic() - begun, ""
        (project / mutation.file).write_text(changed, encoding="utf-8")
        verdict, said = _tested(project, mutation.tests, "-x", "-n", "0")
    return verdict, time.monotonic() - begun, said


_NO_RULES = ("functions/predue/aws/", "functions/predue/imports/", "functions/predue/connectors/", "infrastructure/")
"""What a simulation does not play: adapters, files, forms, and the stack itself."""


def _found_by_chaos(mutation: Mutation, seeds: int) -> str:
    """Whether seeds at the ports find a mutation, without any test that was written for it."""
    with TemporaryDirectory(prefix="mutant-") as folder:
        project = _copied(folder)
        (project / mutation.file).write_text(mutation.mutated(project), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "infrastructure.local.cli",
            "chaos",
            f"--seeds=1-{seeds}",
            "--handlers=0",
        ]
        path = f"{project / 'functions'}{os.pathsep}{project}"
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and command
                [*command, "--first", "--jobs=1"],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "found"
    return {_BROKEN: "found", 0: "not found"}.get(done.returncode, f"broke: {done.stderr[-300:]}")


def chaos(names: Sequence[str], jobs: int, seeds: int) -> int:
    """Tell which mutations of the rules so many seeds of chaos find; a listing, since chance decides."""
    chosen = [one for one in mutations() if not one.file.startswith(_NO_RULES) and (not names or one.name in names)]
    ends: dict[str, str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        tries = {pool.submit(_found_by_chaos, one, seeds): one for one in chosen}
        for number, done in enumerate(as_completed(tries), 1):
            one = tries[done]
            ends[one.name] = done.result()
            print(f"{number:3}/{len(chosen)}  {ends[one.name]:9}  {one.name}", flush=True)
    missed = sorted(name for name, end in ends.items() if end != "found")
    print(f"mutants: {len(chosen) - len(missed)} of {len(chosen)} are found by {seeds} seeds; not: {', '.join(missed)}")
    return 0


def _pass_unmutated(chosen: Sequence[Mutation | Drawn]) -> bool:
    """Whether the tests pass as the code stands; without that a failure proves nothing."""
    tests = sorted({test for one in chosen for test in one.tests})
    print(f"mutants: {len(tests)} tests, unmutated")
    with TemporaryDirectory(prefix="mutant-") as folder:
        workers = "auto" if len(tests) > 4 else "0"
        verdict, said = _tested(_copied(folder), tests, "-n", workers)
    if verdict != "passed":
        print(said[-6000:])
        print(f"mutants: the tests must pass before anything is changed ({verdict})")
    return verdict == "passed"


def run(names: Sequence[str], jobs: int, *, verbose: bool) -> int:
    """Try the mutations of those names, all if there is none; 1 if one survives, 2 for a name that is none."""
    known = {one.name: one for one in mutations()}
    if unknown := sorted(set(names) - set(known)):
        print(f"mutants: no mutation is named {', '.join(unknown)}; make guards lists them")
        return 2
    chosen = [known[name] for name in names] or list(known.values())
    if not _pass_unmutated(chosen):
        return 1
    begun, ends = time.monotonic(), {}
    with ThreadPoolExecutor(jobs) as pool:
        tries = {pool.submit(_caught, one): one for one in chosen}
        for number, done in enumerate(as_completed(tries), 1):
            one = tries[done]
            verdict, seconds, said = done.result()
            ends[one.name] = "caught" if verdict == "asserted" else "SURVIVED" if verdict == "passed" else verdict
            print(f"{number:3}/{len(chosen)}  {ends[one.name]:9} {seconds:6.1f} s  {one.name}", flush=True)
            if verbose or verdict.startswith("broke"):
                print(said[-3000:])
    survived = [one for one in chosen if ends[one.name] != "caught"]
    for one in survived:
        print(f"\n{one.name}: {ends[one.name]}\n  {one.guard} ({one.file})\n  {one.why}\n  not caught by {one.test}")
    caught = len(chosen) - len(survived)
    print(f"\nmutants: {caught} of {len(chosen)} caught in {time.monotonic() - begun:.0f} s")
    return 1 if survived else 0


def run_drawn(number: int, seed: int, only: str, jobs: int) -> int:
    """Try changes that are drawn by chance; 1 if one survives. Whatever ends the tests counts as noticed."""
    chosen = drawn(number, seed, only)
    if not _pass_unmutated(chosen):
        return 1
    survived = []
    with ThreadPoolExecutor(jobs) as pool:
        for count, (one, (verdict, seconds, _)) in enumerate(zip(chosen, pool.map(_caught, chosen), strict=True), 1):
            end = "SURVIVED" if verdict == "passed" else "killed"
            print(f"{count:3}/{len(chosen)}  {end:9} {seconds:6.1f} s  {one.name}", flush=True)
            survived += [one] if verdict == "passed" else []
    print(f"\nmutants: {len(chosen) - len(survived)} of {len(chosen)} killed; seed {seed}")
    return 1 if survived else 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutations to try; all, if none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (default: the cores)")
    parser.add_argument("--page", action="store_true", help="write build/mutations.md and run nothing")
    parser.add_argument("--verbose", action="store_true", help="show what pytest said of each")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N changes drawn by chance, not the table's")
    parser.add_argument("--seed", type=int, default=1, help="what draws them (default: 1)")
    parser.add_argument("--only", default="", metavar="A,B", help="draw from these modules of the rules alone")
    parser.add_argument(
        "--chaos", type=int, metavar="SEEDS", help="tell which rules' mutations these seeds find instead"
    )
    given = parser.parse_args()
    if given.chaos:
        return chaos(given.names, given.jobs, given.chaos)
    if given.page:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
        print(f"mutants: {PAGE.relative_to(ROOT)}")
        return 0
    if given.random:
        return run_drawn(given.random, given.seed, given.only, given.jobs)
    return run(given.names, given.jobs, verbose=given.verbose)


if __name__ == "__main__":
    sys.exit(main())
