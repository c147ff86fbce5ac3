"""Every connector of this repository passes the conformance suite."""

from __future__ import annotations

from connectors.brp.rig import API as BRP_API
from connectors.brp.rig import RIG as BRP
from connectors.kit.testing import conformance

TestBrp = conformance(BRP)
TestBrpApi = conformance(BRP_API)
