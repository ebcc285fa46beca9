"""Random small communities, and their machines on a network in memory."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from agents.prosumer import ProsumerMachine
from coordinator.session import MarketMachine
from runtime.configuration import (
    ClockConfig,
    CoordinatorConfig,
    CoordinatorSession,
    MemberConfig,
    MemberSession,
    Timing,
)
from runtime.devices import Battery
from runtime.grid_terms import GridTerms
from runtime.horizon import Horizon
from runtime.protocol.bodies import AnyBody, MeteringEnded, Reading, ReadingRequest, SenmlRecord
from runtime.protocol.envelope import Envelope, Performative
from runtime.protocol.machine import Finish, Machine
from runtime.records import CoordinatorRecord, MemberRecord
from runtime.rundir import COORDINATOR, meter_account
from tests.machines.network import Network

DOMAIN = "village.test"
TIMING = Timing(join_deadline_s=60, round_deadline_s=30, delivery_deadline_s=30)


class PlayedMeter(Machine):
    """Reads out given energies."""

    def __init__(self, member: str, energies_kwh: list[dict[str, list[float]]]) -> None:
        super().__init__(f"{meter_account(member)}@{DOMAIN}")
        self._energies_kwh = energies_kwh

    def on_start(self) -> None:
        pass

    def on_message(self, envelope: Envelope, body: AnyBody) -> None:
        if isinstance(body, MeteringEnded):
            self.do(Finish())
        elif isinstance(body, ReadingRequest):
            records = [
                SenmlRecord(n=role, v=self._energies_kwh[body.session][role][body.slot])
                for role in body.roles
            ]
            start_s = body.slot_start.timestamp()
            reading = Reading(session=body.session, slot=body.slot, bt=start_s, e=records)
            self.reply(envelope, Performative.INFORM, reading)


def random_battery(rng: random.Random) -> Battery:
    soc_min, soc_max = rng.uniform(0, 0.3), rng.uniform(0.6, 1)
    return Battery(
        capacity_kwh=rng.uniform(1, 30),
        soc_min=soc_min,
        soc_max=soc_max,
        soc_start=rng.uniform(soc_min, soc_max),
        soc_end_min=rng.choice([None, soc_min]),
        self_discharge_per_slot=rng.choice([0.0, 1e-4]),
        charge_efficiency=rng.choice([1.0, 0.95]),
        discharge_efficiency=rng.choice([1.0, 0.95]),
        charge_limit_kw=rng.choice([None, 3.0]),
        discharge_limit_kw=rng.choice([None, 3.0]),
    )


class Community:
    """A random community: configuration, metered truth, and its machines."""

    def __init__(
        self,
        seed: int,
        members: int = 4,
        slots: int = 6,
        sessions: int = 1,
        mechanism: str = "mid-market-rate",
        parameters: dict[str, Any] | None = None,
        high_feed_in: bool = False,
        deviation: float = 0.1,
        timing: Timing = TIMING,
        grid: GridTerms | None = None,
    ) -> None:
        rng = random.Random(seed)
        self.horizons = [
            Horizon(
                start=f"2025-0{number + 1}-15T00:00:00+00:00",
                zone="Europe/Paris",
                slot_minutes=30,
                slots=slots,
            )
            for number in range(sessions)
        ]
        names = [f"m{number}" for number in range(members)]
        self.coordinator_config = CoordinatorConfig(
            community="village",
            setting="community" if mechanism != "grid-only" else "pv-battery-optimised",
            mechanism=mechanism,
            parameters=parameters or {},
            members=names,
            timing=timing,
            clock=ClockConfig(),
            seed=seed,
            sessions=[
                CoordinatorSession(
                    horizon=horizon,
                    import_price_eur_per_kwh=[
                        Decimal(rng.randint(100, 300)).scaleb(-3) for _ in range(slots)
                    ],
                    export_price_eur_per_kwh=[
                        Decimal(rng.randint(0, 400 if high_feed_in else 99)).scaleb(-3) for _ in range(slots)
                    ],
                    grid=grid or GridTerms(),
                )
                for horizon in self.horizons
            ],
        )
        self.member_configs: list[MemberConfig] = []
        self.metered_kwh: dict[str, list[dict[str, list[float]]]] = {}
        for name in names:
            roles = rng.choice([["load"], ["pv"], ["load", "pv"]])
            forecasts = [
                {role: [rng.uniform(0, 3) for _ in range(slots)] for role in roles} for _ in self.horizons
            ]
            self.metered_kwh[name] = [
                {
                    role: [round(max(0.0, energy * rng.gauss(1, deviation)), 9) for energy in energies]
                    for role, energies in forecast.items()
                }
                for forecast in forecasts
            ]
            self.member_configs.append(
                MemberConfig(
                    name=name,
                    kind="house",
                    strategy=rng.choice(["idle", "rule", "optimised"]),
                    trades=True,
                    battery=random_battery(rng) if rng.random() < 0.6 else None,
                    pv=None,
                    seed=seed,
                    timing=timing,
                    clock=ClockConfig(),
                    sessions=[
                        MemberSession(
                            horizon=horizon,
                            load_kwh=forecast.get("load"),
                            pv_production_kwh=forecast.get("pv"),
                        )
                        for horizon, forecast in zip(self.horizons, forecasts, strict=True)
                    ],
                    roles=roles,
                )
            )

    def put_on(self, network: Network, begun_path: Path | None = None) -> None:
        record = Path("coordinator.json")
        jid = f"{COORDINATOR}@{DOMAIN}"
        network.add(MarketMachine(self.coordinator_config, jid, record, begun_path))
        for config in self.member_configs:
            network.add(ProsumerMachine(config, f"{config.name}@{DOMAIN}", Path(f"{config.name}.json")))
            network.add(PlayedMeter(config.name, self.metered_kwh[config.name]))

    def run(self, network: Network | None = None) -> tuple[CoordinatorRecord, dict[str, MemberRecord]]:
        """Run to the end; the coordinator's record, and the members'."""
        network = network or Network()
        self.put_on(network)
        network.run()
        coordinator = network.saved[Path("coordinator.json")]
        assert isinstance(coordinator, CoordinatorRecord)
        members = {}
        for config in self.member_configs:
            record = network.saved.get(Path(f"{config.name}.json"))
            if record is not None:
                assert isinstance(record, MemberRecord)
                members[config.name] = record
        return coordinator, members
