"""Kafka's Java archives, fetched once per version and kept for all later runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from filelock import FileLock

from tests.services.tools import cache, need, program
from tests.services.waiting import ServiceError

POM: Final = Path(__file__).with_name("pom.xml")
FETCH_WITHIN: Final = 600
JAVA: Final = ("default-jre-headless", "maven")


def version() -> str:
    """Return the version of Kafka that the POM names."""
    found = re.search(r"<kafka.version>(.+?)</kafka.version>", POM.read_text())
    assert found
    return found[1]


def java() -> str:
    """Return the program that runs Kafka."""
    return need("Java", lambda: program("java"), *JAVA)


def jars() -> Path:
    """Return the folder of the archives. It gets its name when it is complete, so a fetch that broke off is never used."""
    kept = cache() / f"kafka-{version()}"
    if kept.exists():
        return kept
    maven = need("Maven, which fetches Kafka,", lambda: program("mvn"), *JAVA)
    with FileLock(cache() / "fetch.lock"):
        for left in cache().glob("fetch-*/"):
            shutil.rmtree(left)
        if not kept.exists():
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache()) as folder:
                _fetch(maven, Path(folder) / "jars")
                (Path(folder) / "jars").rename(kept)
    return kept


def _fetch(maven: str, folder: Path) -> None:
    command = [
        maven,
        "-q",
        "-B",
        "-ntp",
        "-f",
        str(POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={folder}",
        "-DincludeScope=runtime",
    ]
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceError(f"Kafka was not fetched within {FETCH_WITHIN} seconds; to see why, run: {' '.join(command)}") from None
    if ran.returncode:
        raise ServiceError(f"Kafka could not be fetched; to see why, run: {' '.join(command)}\n{ran.stdout[-2000:]}")
