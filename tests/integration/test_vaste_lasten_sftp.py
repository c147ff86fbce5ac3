"""The conformance suite on a partner whose files are fetched over SFTP."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connectors.kit.rig import Fault, World
from connectors.kit.testing import conformance
from connectors.vaste_lasten.rig import RIG, PartnerRig, write_partners
from tests.counterparts.corporation import PASSWORD, USER, Corporation, corporation


@dataclass(kw_only=True)
class ServerRig(PartnerRig):
    """The file lies on the partner's server, which can be away and silent too."""

    faults: frozenset[Fault] = RIG.faults | {Fault.TIMEOUT}

    @contextlib.contextmanager
    def open(self, folder: Path) -> Iterator[World]:
        """Start the server."""
        (folder / "in").mkdir()
        with super().open(folder) as world, corporation(folder, folder) as server:
            _describe(folder, server, "partners.yaml", timeout_seconds=10)
            _describe(folder, server, "impatient.yaml", timeout_seconds=0.2)

            def spoil(fault: Fault, variant: int = 0) -> None:
                if fault is Fault.UNREACHABLE:
                    server.close()
                elif fault is Fault.TIMEOUT:
                    server.silent = True
                elif world.spoil is not None:
                    world.spoil(fault, variant)

            def mend() -> None:
                server.close()
                server.silent = False
                server.open()
                world.mend()

            impatient = world.settings.model_copy(update={"partners": folder / "impatient.yaml"})
            yield replace(world, spoil=spoil, mend=mend, impatient=impatient)


def _describe(folder: Path, server: Corporation, name: str, **more: Any) -> None:
    sftp = {"host": "127.0.0.1", "port": server.port, "user": USER, "password": PASSWORD, "host_key": server.host_key, "folder": "uit"}
    write_partners(folder, name, sftp=sftp | more)


SERVED = ServerRig(
    **{name: getattr(RIG, name) for name in ("connector", "settings", "header", "rows", "signals", "public")},
    secret_values=[PASSWORD],
    name="uit/oktober.csv",
    leaves=["*/*/*.ontvangst.csv"],
)

TestSuite = conformance(SERVED)
