"""What documents promise equals what the code does; nothing of this machine or of a registry is committed."""

from __future__ import annotations

import logging
import re
import subprocess
from pathlib import Path

import pytest

from hub import files
from hub.app import load_files
from hub.domain.reasons import REASONS
from hub.domain.registers import HUB
from hub.settings import HubSettings
from hub.storage.database import REVISION, Database
from hub.storage.tables import metadata
from hub.telemetry import EVENTS, configure

ROOT = Path(__file__).parents[2]


def test_the_log_events_in_the_docs_are_those_in_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) \|", (ROOT / "docs/logging.md").read_text(), re.MULTILINE)
    documented = {event: frozenset(re.findall(r"`(\w+)`", keys)) for event, keys in rows}
    assert documented == EVENTS


def test_the_hubs_own_signals_hold_codes_at_most() -> None:
    ruleset = load_files(HubSettings(rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas")).unwrap()
    own = [rules.contract for name, rules in ruleset.types.items() if name.startswith(f"nl.{HUB}.")]
    assert own
    for contract in own:  # what the hub says of a case is a code about a person, and has its pseudonym; the rest names nobody
        allowed = {"organisation"} if contract.subject is None else {"organisation", "code"}
        assert {leaf.privacy for leaf in contract.leaves.values()} <= allowed, contract.type


def test_no_rule_uses_a_reason_code_of_the_hub() -> None:
    ruleset = load_files(HubSettings(rules_dir=ROOT / "rules", schemas_dir=ROOT / "schemas")).unwrap()
    used = {required.code for grant in ruleset.grants.values() for required in grant.requires}
    assert not used & REASONS.keys()


def test_every_reason_has_a_sentence() -> None:
    assert all(reason.text.endswith((".", "-")) for reason in REASONS.values())


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    migrated, made = Database.embedded(tmp_path), Database("sqlite://")
    migrated.upgrade()
    made.create()
    assert migrated.revision() == REVISION
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite_%' AND tbl_name != 'alembic_version'"
    with migrated.read() as one, made.read() as two:
        made_so = [{(kind, name, " ".join(sql.split())) for kind, name, sql in both.exec_driver_sql(query)} for both in (one, two)]
        assert made_so[0] == made_so[1]
    assert {table.name for table in metadata.sorted_tables}
    for database in (migrated, made):
        database.close()


@pytest.mark.parametrize("kind", ["rules", "schemas"])
def test_without_a_folder_of_ones_own_the_shipped_files_are_used(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert any(files.default_folder(kind).glob(f"*{files.SUFFIXES[kind]}"))


def test_nothing_of_a_registry_or_a_machine_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    places = re.compile("|".join(["py" + r"pi\.org", "python" + "hosted", r"npm" + r"js\.", "/" + "work/", "/" + "root/"]))
    found = [name for name in listed if name and (ROOT / name).is_file() and places.search((ROOT / name).read_text(errors="replace"))]
    assert not found


def test_what_a_library_says_is_told_by_its_name_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    try:
        logging.getLogger("kafka.consumer").error("record of 999990019 could not be read")
        logging.getLogger("kafka.consumer").info("nothing to hear of")
    finally:
        configure("critical")
    said = capsys.readouterr().err
    assert '"event": "library_warned"' in said
    assert '"library": "kafka"' in said
    assert "999990019" not in said
    assert said.count("\n") == 1
