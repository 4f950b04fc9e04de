"""
Builds what is released, an sdist and a wheel of it, into C{dist}, and tries both. They
are whole, a package index can show them, and what the wheel installs passes the tests
of the sdist, where no source of this checkout is in reach.

    python .ci/dist.py                  runs all tests
    python .ci/dist.py TEST...          runs these, with nothing installed that the
                                        package itself does not need

It takes the extra C{dist}.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
DIST = TOP / "dist"
MADE = ("PKG-INFO", "setup.cfg", "asynqueue.egg-info/")
"""
How the names begin of what an sdist has besides sources.
"""


def run(*command: object, cwd: Path = TOP) -> None:
    """
    Runs a command, and shows it.

    @raise SystemExit: if it fails.
    """
    words = [str(word) for word in command]
    print("\n$", *words, flush=True)
    # What is tried is found where it is installed, and nowhere else.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environ["VIRTUAL_ENV"] = str(Path(words[0]).parent.parent)
    done = subprocess.run(words, cwd=cwd, env=environ, check=False)
    if done.returncode:
        raise SystemExit(f".ci/dist.py: that failed, status {done.returncode}")


def tracked() -> set[str]:
    """
    @return: The names of all files that are to be released: those that git knows.
    """
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    return {name for name in names if name}


def compare(what: Path, found: set[str], wanted: set[str]) -> None:
    """
    Compares what something has with what it is to have.

    @raise SystemExit: if that differs.
    """
    wrong = [f"lacks {name}" for name in sorted(wanted - found)]
    wrong += [f"has {name}, which git does not know" for name in sorted(found - wanted)]
    if wrong:
        raise SystemExit("\n".join(f".ci/dist.py: {what.name} {it}" for it in wrong))
    print(f"{what.name}: {len(found)} files, as they should be")


def build() -> tuple[Path, Path]:
    """
    Builds the sdist from this checkout, and the wheel from the sdist.

    @return: Both.
    """
    for left in (DIST, TOP / "asynqueue.egg-info"):
        # Of one that was built before, files would be taken that are long gone.
        shutil.rmtree(left, ignore_errors=True)
    run(sys.executable, "-m", "build", TOP)
    shutil.rmtree(TOP / "asynqueue.egg-info")
    (sdist,) = DIST.glob("*.tar.gz")
    (wheel,) = DIST.glob("*.whl")
    return sdist, wheel


def look(sdist: Path, wheel: Path) -> None:
    """
    Looks whether they have all that they should have, and no more.
    """
    wanted = tracked()
    with tarfile.open(sdist) as tar:
        found = {m.name.partition("/")[2] for m in tar.getmembers() if m.isfile()}
    compare(sdist, {name for name in found if not name.startswith(MADE)}, wanted)
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    compare(wheel, found, {name for name in wanted if name.startswith("asynqueue/")})
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)


def attempt(sdist: Path, wheel: Path, scratch: Path, tests: list[str]) -> None:
    """
    Installs both, one after the other, and runs what they install.

    @param tests: Names of tests, of all if there are none.
    """
    run(sys.executable, "-m", "venv", scratch / "venv")
    python = scratch / "venv" / "bin" / "python"
    install = (python, "-m", "pip", "install", "--quiet")
    with tarfile.open(sdist) as tar:
        tar.extractall(scratch, filter="data")
    sources = scratch / sdist.name.removesuffix(".tar.gz")
    # The tests are run there, and would find it before what is installed.
    shutil.rmtree(sources / "asynqueue")
    shutil.rmtree(sources / "asynqueue.egg-info")
    run(*install, wheel if tests else f"{wheel}[test]")
    run(python, "-m", "twisted.trial", *(tests or ["tests"]), cwd=sources)
    run(*install, "--force-reinstall", "--no-deps", sdist)
    run(python.with_name("asynqueue"), "--version", cwd=scratch)
    run(python.with_name("asynqueue"), "map", "builtins:len", "four", cwd=scratch)


def main(tests: list[str]) -> None:
    """
    Does all of it.

    @param tests: As L{attempt} takes them.
    """
    sdist, wheel = build()
    look(sdist, wheel)
    with tempfile.TemporaryDirectory() as scratch:
        attempt(sdist, wheel, Path(scratch), tests)
    print(f"\n.ci/dist.py: all passed for {sdist.name} and {wheel.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
