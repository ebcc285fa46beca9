"""Communities with vehicles and appliances: they run as planned, and nobody else learns of them."""

import numpy as np
import pytest

from runtime.devices import Appliance, ElectricVehicle
from tests.machines.communities import Community
from tests.machines.network import Network

CAR = ElectricVehicle(name="zoe", arrival_slot=1, departure_slot=9, energy_kwh=6.0, charge_limit_kw=3.0)
WASHER = Appliance(name="washer", energy_kwh=(1.0, 0.5), earliest_start_slot=2, latest_start_slot=10)


def with_flexible_loads(community: Community) -> Community:
    for place, config in enumerate(community.member_configs):
        loads = {"vehicles": [CAR] if place != 1 else [], "appliances": [WASHER] if place != 2 else []}
        sessions = [session.model_copy(update=loads) for session in config.sessions]
        community.member_configs[place] = config.model_copy(update={"sessions": sessions})
    return community


@pytest.mark.parametrize("mechanism", ["mid-market-rate", "coordinated", "grid-only"])
def test_they_run_as_planned_on_top_of_what_meters_read(mechanism):
    community = with_flexible_loads(Community(5, members=4, slots=12, mechanism=mechanism))
    network = Network()
    record, members = community.run(network)
    for config in community.member_configs:
        own = members[config.name].sessions[0]
        flexible = np.zeros(12)
        for name, drawn in own.flexible_kwh.items():
            assert sum(drawn) == pytest.approx(6.0 if name == "zoe" else 1.5)
            flexible += drawn
        metered = community.metered_kwh[config.name][0].get("load", [0.0] * 12)
        np.testing.assert_allclose(own.load_kwh, metered + flexible, atol=1e-12)
        supply = np.add(own.net_kwh, own.battery_discharge_kwh) + own.pv_kwh
        np.testing.assert_allclose(supply, np.add(own.load_kwh, own.battery_charge_kwh), atol=1e-9)
    delivered = {(d.member, d.slot): float(d.net_kwh) for d in record.sessions[0].deliveries}
    for name, member in members.items():
        for slot, net in enumerate(member.sessions[0].net_kwh):
            assert delivered[name, slot] == pytest.approx(net, abs=1e-9)
    said = "\n".join(repr(envelope) for envelope in network.sent)
    for word in ("zoe", "washer", "vehicle", "appliance", "flexible"):
        assert word not in said or mechanism == "coordinated"


def test_the_same_community_twice_is_the_same_to_the_digit():
    one, other = (
        with_flexible_loads(Community(7, members=3, slots=12)).run()[0].model_dump_json() for _ in range(2)
    )
    assert one == other
