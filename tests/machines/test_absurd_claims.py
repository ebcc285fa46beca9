"""A member that claims as much as a message can hold: nobody fails by it, nobody pays for it but itself."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runtime.configuration import Timing
from runtime.protocol.body_base import MAX_SLOT_ENERGY_KWH
from runtime.protocol.envelope import Envelope
from runtime.results.ledger import check_ledger
from tests.machines.communities import DOMAIN, Community
from tests.machines.network import Network
from tests.machines.two_communities import TwoCommunities, at_the_grid_eur

CLAIMING = "m1"
TIMING = Timing(join_deadline_s=100, round_deadline_s=100, delivery_deadline_s=100)
MECHANISMS = [
    "admm",
    "block-tariff",
    "mid-market-rate",
    "supply-demand-ratio",
    "bill-sharing",
    "double-auction",
    "pay-as-bid",
    "bilateral",
    "hybrid",
    "coordinated",
]

Change = Callable[[dict[str, Any], random.Random], dict[str, Any]]

_PAIRS = (("grid_import_kwh", "grid_export_kwh"), ("purchase_kwh", "sale_kwh"))


def _claim(taken_share: float) -> Change:
    """All energies as great as can be, in either direction."""

    def change(fields: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        for taken, given in _PAIRS:
            if taken not in fields:
                continue
            if not isinstance(fields[taken], list):
                takes = rng.random() < taken_share
                most = str(int(MAX_SLOT_ENERGY_KWH))
                fields |= {taken: most if takes else "0", given: "0" if takes else most}
                continue
            takes_in = [rng.random() < taken_share for _ in fields[taken]]
            fields[taken] = [MAX_SLOT_ENERGY_KWH if takes else 0.0 for takes in takes_in]
            fields[given] = [0.0 if takes else MAX_SLOT_ENERGY_KWH for takes in takes_in]
        for name in ("price_eur_per_kwh", "limit_price_eur_per_kwh"):
            if fields.get(name):
                fields[name] = [rng.choice([-1e3, 0.0, 1e3]) for _ in fields[name]]
        if "residual_load_kwh" in fields:
            signs = [rng.choice([-1, 1]) for _ in fields["residual_load_kwh"]]
            fields["residual_load_kwh"] = [sign * MAX_SLOT_ENERGY_KWH for sign in signs]
        if "residual_kwh" in fields:
            fields["residual_kwh"] = rng.choice([0.0, MAX_SLOT_ENERGY_KWH])
        fields["trades"] = [change(trade, rng) for trade in fields["trades"]] if "trades" in fields else None
        return {name: value for name, value in fields.items() if name != "trades" or value is not None}

    return change


CLAIMS = {"it takes": _claim(1.0), "it gives": _claim(0.0), "now this, now that": _claim(0.5)}


@dataclass
class ClaimingNetwork(Network):
    """Changes what one member says, some of it or all."""

    change: Change = CLAIMS["it takes"]
    share: float = 1.0
    claims: Counter[str] = field(default_factory=Counter)

    def _deliver(self, envelope: Envelope) -> None:
        if envelope.sender == f"{CLAIMING}@{DOMAIN}" and self.rng.random() < self.share:
            fields = json.loads(envelope.body)
            before = json.dumps(fields)
            changed = json.dumps(self.change(fields, self.rng))
            if changed != before:
                self.claims[json.loads(changed)["type"]] += 1
                envelope = replace(envelope, body=changed)
        super()._deliver(envelope)


def made(mechanism: str, seed: int) -> Community:
    few_rounds: dict[str, Any] = {}
    if mechanism in ("bilateral", "hybrid"):
        few_rounds = {"parameters": {"max_rounds": 6}}
    if mechanism == "hybrid":
        return TwoCommunities(seed, members=5, slots=3, timing=TIMING, **few_rounds)
    return Community(seed, members=4, slots=3, timing=TIMING, mechanism=mechanism, **few_rounds)


def expected_claims(mechanism: str) -> set[str]:
    if mechanism in ("bilateral", "hybrid"):
        return {"position", "trade-proposal", "delivery"}
    return {"position", "delivery"} | ({"declaration"} if mechanism == "coordinated" else set())


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_greatest_claims_harm_nobody_else(mechanism: str, claim: str) -> None:
    for seed, share in ((5, 1.0), (6, 0.3)):
        network = ClaimingNetwork(random.Random(seed), change=CLAIMS[claim], share=share)
        record, _ = made(mechanism, seed).run(network)
        assert [node.failed for node in network.nodes.values()] == [None] * len(network.nodes)
        if share == 1.0:
            assert {*network.claims} >= expected_claims(mechanism)
        check_ledger(record)
        (session,) = record.sessions
        assert len(session.deliveries) == len(record.members) * 3
        for bill in session.bills:
            if bill.member != CLAIMING and mechanism != "bill-sharing":
                assert bill.exact_eur <= at_the_grid_eur(session, bill.member), bill.member
