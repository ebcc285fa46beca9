"""Bodies: what is right comes back as it was; what is not is refused with the field's name."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.devices import Battery
from runtime.errors import ProtocolError
from runtime.horizon import Horizon
from runtime.protocol.bargain_bodies import AgreedTrade, BargainCall, BargainReport, TradeProposal
from runtime.protocol.bodies import (
    Acknowledged,
    AdjustmentLine,
    Admission,
    Agreement,
    AnyBody,
    BillLine,
    DeclarationRequest,
    DeliveryCorrection,
    DeliveryRequest,
    DeviceDeclaration,
    Join,
    MeterAttach,
    MeterAttached,
    MeterDetach,
    MeteredDelivery,
    MeteringEnded,
    Position,
    PriceSignal,
    PriceStep,
    Reading,
    ReadingCorrection,
    ReadingRequest,
    Reason,
    SenmlRecord,
    SessionClosed,
    Setpoint,
    SetpointCancel,
    SetpointOutcome,
    SetpointsEnded,
    SetpointSubscribe,
    body_schema,
    parse_body,
)
from runtime.protocol.community_bodies import (
    CommunityStatement,
    ContractAcross,
    ExchangeClosed,
    ExchangeEnded,
    MeteredExchange,
    RelayedTrades,
)
from runtime.protocol.meter_bodies import records_of

HORIZON = Horizon(start="2024-06-18T00:00:00+02:00", zone="Europe/Paris", slot_minutes=15, slots=2)  # type: ignore[arg-type]
PRICES: dict[str, Any] = {
    "import_price_eur_per_kwh": [0.1, 1 / 3],
    "export_price_eur_per_kwh": [-0.05, 0.0],
}
INSTANTS: dict[str, Any] = {
    "slot_start": "2024-06-18T01:15:00Z",
    "slot_end": "2024-06-18T01:30:00Z",
}
NET: dict[str, Any] = {"grid_import_kwh": [0.1 + 0.2, 0.0], "grid_export_kwh": [0.0, 1e-9]}

BODIES: list[AnyBody] = [
    Join(member="école"),
    Admission(
        community="Rue de l'Océan",
        mechanism="mid-market-rate",
        sessions=[HORIZON],
    ),
    Reason(reason='a "reason" with <signs> & ünicode\n'),
    PriceSignal(
        session=0,
        round=3,
        proximal_weight_eur_per_kwh2=0.7,
        step_limit_kwh=0.5,
        steps=[
            PriceStep(threshold_kwh=[-1.5, 0.0], above_eur_per_kwh=[0.1, 0.0], below_eur_per_kwh=[0, 0.1])
        ],
        demand_charge_eur_per_kw=0.5,
        wants_limits=True,
        **PRICES,
    ),
    Position(session=1, round=2, limit_price_eur_per_kwh=[0.2, 0.1], **NET),
    Agreement(session=0, round=4, position_round=3, local_price_eur_per_kwh=[0.2, None], **PRICES, **NET),
    DeclarationRequest(session=0, round=1),
    DeviceDeclaration(
        session=0, round=1, residual_load_kwh=[0.3, -0.1], battery=Battery(capacity_kwh=5.0), **NET
    ),
    BargainCall(
        session=0,
        round=1,
        members=["school", "house"],
        max_rounds=40,
        tolerance_kwh=0.01,
        penalty_eur_per_kwh2=[0.1, 0.3],
        suspended_slots=[1],
        local_fee_eur_per_kwh=0.02,
        demand_charge_eur_per_kw=0.5,
        **PRICES,
    ),
    TradeProposal(
        session=0,
        round=2,
        purchase_kwh=[0.1 + 0.2, 0.0],
        sale_kwh=[0.0, 1e-9],
        price_eur_per_kwh=[0.2, -0.1],
        residual_kwh=0.5,
        green=True,
    ),
    BargainReport(
        session=0,
        round=1,
        rounds=17,
        trades=[
            AgreedTrade(
                partner="house", slots=[1], purchase_kwh=[0.0], sale_kwh=[0.3], price_eur_per_kwh=[0.2]
            )
        ],
        **NET,
    ),
    Acknowledged(),
    DeliveryRequest(session=0, slot=95, **INSTANTS),
    MeteredDelivery(
        session=0,
        slot=1,
        grid_import_kwh=Decimal("0.100000001"),
        grid_export_kwh=Decimal(0),
        quality="metered",
    ),
    BillLine(
        session=0,
        slot=1,
        local_purchase_kwh=Decimal("0.1"),
        local_sale_kwh=Decimal(0),
        grid_import_kwh=Decimal("1.000000001"),
        grid_export_kwh=Decimal(0),
        local_price_eur_per_kwh=None,
        import_price_eur_per_kwh=Decimal("0.123456789"),
        export_price_eur_per_kwh=Decimal("-0.01"),
        amount_eur=Decimal("0.135802568123456789123456789"),
        quality="estimated",
    ),
    CommunityStatement(
        session=0,
        step=2,
        members=["a", "c"],
        demand_kwh=[1.5, 0.0],
        supply_kwh=[0.0, 0.123456789],
        price_eur_per_kwh=[0.1, -0.2],
        withdrawn=["c"],
    ),
    RelayedTrades(
        session=0,
        member="a",
        trades=[
            AgreedTrade(
                partner="b", slots=[1], purchase_kwh=[0.0], sale_kwh=[0.25], price_eur_per_kwh=[0.125]
            )
        ],
    ),
    MeteredExchange(
        session=0,
        slot=1,
        demand_kwh=Decimal("1.500000001"),
        supply_kwh=Decimal(0),
        contracts=[
            ContractAcross(
                seller="b", buyer="a", price_eur_per_kwh=Decimal("-0.125"), energy_kwh=Decimal("0.25")
            )
        ],
    ),
    ExchangeEnded(session=0, slot=1, reason="was not heard in time"),
    ExchangeClosed(session=0, slots=[0, 1]),
    SessionClosed(session=0, amount_eur=Decimal("-1.10"), last=True),
    MeterAttach(roles=["load", "pv"], source="csv:a.csv"),
    MeterAttached(session=0, slot=3),
    MeterDetach(),
    MeteringEnded(),
    ReadingRequest(session=0, slot=3, roles=["pv"], **INSTANTS),
    Reading(session=0, slot=3, bt=1718661600.0, e=[SenmlRecord(n="load", v=0.25)]),
    ReadingCorrection(
        session=0, slot=3, bt=1718661600.0, e=[*records_of("net", -0.25), *records_of("battery", 0.5)]
    ),
    DeliveryCorrection(
        session=0,
        slot=1,
        grid_import_kwh=Decimal(0),
        grid_export_kwh=Decimal("0.1"),
        quality="metered",
        meters=("school.meter", "school.meter2"),
    ),
    AdjustmentLine(
        session=0,
        slot=1,
        settled_net_kwh=Decimal(1),
        corrected_net_kwh=Decimal("-0.1"),
        grid_import_kwh=Decimal(-1),
        grid_export_kwh=Decimal("0.1"),
        import_price_eur_per_kwh=Decimal("0.3"),
        export_price_eur_per_kwh=Decimal("0.1"),
        amount_eur=Decimal("-0.31"),
        quality="metered",
    ),
    SetpointSubscribe(target="mqtt://broker/house/battery", dry_run=True),
    SetpointCancel(),
    Setpoint(
        session=0,
        slot=1,
        slot_start="2024-06-18T10:00:00Z",
        slot_end="2024-06-18T10:15:00Z",
        charge_kw=1.5,
        discharge_kw=0,
        stored_kwh=6.25,
    ),
    SetpointOutcome(
        session=0,
        slot=1,
        outcome="written",
        charge_kw=1,
        discharge_kw=0,
        limited=True,
        wrote="house/battery {}",
        reason="wanted -1.5 kW, limits are 1 kW charge and 3 kW discharge",
    ),
    SetpointsEnded(),
]


def changed(body: AnyBody, **changes: Any) -> str:
    return json.dumps({**json.loads(body.to_json()), **changes})


def of_type(name: str) -> AnyBody:
    return next(body for body in BODIES if body.type == name)


def refused(text: str) -> str:
    with pytest.raises(ProtocolError) as error:
        parse_body(text)
    assert len(str(error.value)) < 600
    return str(error.value)


def test_every_type_of_body_is_among_the_examples() -> None:
    assert {type(body) for body in BODIES} == set(get_args(AnyBody))


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.type)
def test_a_body_comes_back_as_it_was(body: AnyBody) -> None:
    text = body.to_json()
    assert text.isascii()
    again = parse_body(text)
    assert again == body
    assert again.to_json() == text
    assert type(again) is type(body)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=5), st.lists(st.floats(-1e3, 1e3), max_size=5))
def test_numbers_travel_without_loss(energies_kwh: list[float], prices: list[float]) -> None:
    position = Position(
        session=0, round=0, grid_import_kwh=energies_kwh, grid_export_kwh=[0.0] * len(energies_kwh)
    )
    assert parse_body(position.to_json()) == position
    signal = PriceSignal(session=0, round=0, import_price_eur_per_kwh=prices, export_price_eur_per_kwh=prices)
    assert parse_body(signal.to_json()) == signal


@given(st.decimals(-(10**9), 10**9, places=27), st.decimals(0, 10**6, places=9))
def test_decimals_travel_exactly(amount: Decimal, energy_kwh: Decimal) -> None:
    line = of_type("bill-line").model_copy(update={"amount_eur": amount, "grid_import_kwh": energy_kwh})
    again = parse_body(line.to_json())
    assert isinstance(again, BillLine)
    assert (str(again.amount_eur), again.grid_import_kwh) == (str(amount), energy_kwh)


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("position", {"grid_import_kwh": [-0.1, 0.0]}, "position.grid_import_kwh.0"),
        ("position", {"grid_import_kwh": [1e7, 0.0]}, "position.grid_import_kwh.0"),
        ("position", {"grid_import_kwh": ["much", 0.0]}, "position.grid_import_kwh.0"),
        ("position", {"grid_import_kwh": [None, 0.0]}, "position.grid_import_kwh.0"),
        ("position", {"grid_import_kwh": [[0.1], 0.0]}, "position.grid_import_kwh.0"),
        ("position", {"grid_import_kwh": {"0": 1}}, "position.grid_import_kwh"),
        ("position", {"grid_import_kwh": None}, "position.grid_import_kwh"),
        ("position", {"grid_import_kwh": [0.1]}, "differ in length"),
        ("position", {"grid_import_kwh": [0.1, 0.1]}, "slot 1 both imports and exports"),
        ("position", {"round": -1}, "position.round"),
        ("position", {"round": 1.5}, "position.round"),
        ("position", {"round": 10**9}, "position.round"),
        ("position", {"session": None}, "position.session"),
        ("position", {"load_kwh": [1.0]}, "position.load_kwh"),
        ("agreement", {"grid_export_kwh": [1.0, 0.0]}, "slot 0 both imports and exports"),
        ("agreement", {"position_round": -1}, "agreement.position_round"),
        ("price-signal", {"import_price_eur_per_kwh": [1e4, 0]}, "price-signal.import_price_eur_per_kwh.0"),
        ("price-signal", {"proximal_weight_eur_per_kwh2": -1}, "price-signal.proximal_weight_eur_per_kwh2"),
        ("price-signal", {"export_price_eur_per_kwh": "cheap"}, "price-signal.export_price_eur_per_kwh"),
        ("trade-proposal", {"purchase_kwh": [0.3, 0.1]}, "slot 1 both buys and sells"),
        ("trade-proposal", {"sale_kwh": [0.0]}, "differ in length"),
        ("trade-proposal", {"round": 0}, "trade-proposal.round"),
        ("bargain-call", {"penalty_eur_per_kwh2": [0.0, 0.1]}, "bargain-call.penalty_eur_per_kwh2.0"),
        ("bargain-call", {"local_fee_eur_per_kwh": -0.1}, "bargain-call.local_fee_eur_per_kwh"),
        (
            "bargain-report",
            {
                "trades": [
                    {
                        "partner": "a",
                        "slots": [1, 1],
                        "purchase_kwh": [0, 0],
                        "sale_kwh": [1, 1],
                        "price_eur_per_kwh": [0, 0],
                    }
                ]
            },
            "slots are not ascending",
        ),
        (
            "bargain-report",
            {
                "trades": [
                    {
                        "partner": "a",
                        "slots": [1],
                        "purchase_kwh": [0, 0],
                        "sale_kwh": [1, 1],
                        "price_eur_per_kwh": [0],
                    }
                ]
            },
            "differ in length",
        ),
        ("delivery", {"grid_import_kwh": "-1"}, "delivery.grid_import_kwh"),
        ("delivery", {"grid_import_kwh": "1.0000000001"}, "delivery.grid_import_kwh"),
        ("delivery", {"grid_import_kwh": "1000001"}, "delivery.grid_import_kwh"),
        ("delivery", {"grid_import_kwh": "NaN"}, "delivery.grid_import_kwh"),
        ("delivery", {"grid_import_kwh": "Infinity"}, "delivery.grid_import_kwh"),
        ("delivery", {"grid_export_kwh": "1"}, "either imports or exports"),
        ("delivery", {"quality": "guessed"}, "delivery.quality"),
        ("delivery", {"slot": -1}, "delivery.slot"),
        ("bill-line", {"amount_eur": "sNaN"}, "bill-line.amount_eur"),
        ("session-closed", {"last": "perhaps"}, "session-closed.last"),
        ("reading", {"e": []}, "reading.e"),
        ("reading", {"e": [{"n": "load", "u": "Wh", "v": 1}]}, "reading.e.0.u"),
        ("reading", {"e": [{"n": "heat", "u": "kWh", "v": 1}]}, "reading.e.0.n"),
        ("reading", {"e": [{"n": "load", "u": "kWh", "v": -1}]}, "reading.e.0.v"),
        ("reading-request", {"roles": ["load", "all"]}, "reading-request.roles.1"),
        ("meter-attach", {"roles": []}, "meter-attach.roles"),
        ("join", {"member": None}, "join.member"),
        ("join", {"password": "x"}, "join.password"),
        ("admission", {"sessions": [{}]}, "admission.sessions.0.start"),
        ("acknowledged", {"really": True}, "acknowledged.really"),
    ],
)
def test_a_wrong_field_is_refused_by_name(name: str, changes: dict[str, Any], field: str) -> None:
    assert field in refused(changed(of_type(name), **changes))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("position", "grid_export_kwh"),
        ("price-signal", "import_price_eur_per_kwh"),
        ("agreement", "grid_import_kwh"),
        ("trade-proposal", "price_eur_per_kwh"),
        ("bargain-report", "grid_import_kwh"),
    ],
)
def test_numbers_that_are_none_are_refused_by_name(name: str, key: str, number: str) -> None:
    text = changed(of_type(name), **{key: ["here", 0.0]}).replace('"here"', number)
    assert f"{name}.{key}.0" in refused(text)


def test_a_base_time_that_is_none_is_refused() -> None:
    assert "reading.bt" in refused(changed(of_type("reading"), bt="here").replace('"here"', "1e999"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "3",
        '"join"',
        "{",
        '{"type": "join", "member": "a"',
        "{}",
        '{"type": "jion", "member": "a"}',
        '{"type": ["join"], "member": "a"}',
        '{"member": "a"}',
        "\x00",
        "{" * 100_000,
        "[" * 100_000,
        '{"type": "position", "grid_import_kwh": ' + "[" * 100_000,
    ],
)
def test_what_is_no_body_at_all_is_refused(text: str) -> None:
    assert refused(text)


def test_a_huge_array_is_refused_without_being_repeated_in_the_answer() -> None:
    text = changed(of_type("position"), grid_import_kwh=[-1.0] * 20_000, grid_export_kwh=[0.0] * 20_000)
    assert "position.grid_import_kwh.0" in refused(text)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.type)
def test_every_key_is_needed_or_has_a_default_and_no_other_is_taken(body: AnyBody) -> None:
    fields = type(body).model_fields
    for key in json.loads(body.to_json()):
        without = {name: value for name, value in json.loads(body.to_json()).items() if name != key}
        if key == "type":
            assert refused(json.dumps(without))
        elif fields[key].is_required():
            assert f"{body.type}.{key}" in refused(json.dumps(without))
    assert f"{body.type}.surplus" in refused(changed(body, surplus=1))


def test_the_schema_names_every_type() -> None:
    text = json.dumps(body_schema())
    for body in BODIES:
        assert f'"{body.type}"' in text


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["grid_import"], "found grid_import without grid_export"),
        (["load", "load"], "found load twice"),
        (["battery_charge", "pv"], "found battery_charge without battery_discharge"),
    ],
)
def test_a_reading_tells_each_role_whole_and_once(names, reason):
    records = [{"n": name, "u": "kWh", "v": 0.5} for name in names]
    assert reason in refused(changed(of_type("reading"), e=records))


def test_signed_roles_are_told_as_pairs_and_taken_in_as_signed_energies():
    reading = Reading(
        session=0,
        slot=0,
        bt=0.0,
        e=[*records_of("net", -0.3), *records_of("battery", -0.1), *records_of("pv", 1.5)],
    )
    told = {record.n: record.v for record in reading.e}
    assert told == {
        "grid_import": 0,
        "grid_export": 0.3,
        "battery_discharge": 0,
        "battery_charge": 0.1,
        "pv": 1.5,
    }
    assert reading.energies_kwh == {"net": -0.3, "battery": -0.1, "pv": 1.5}
    both = [SenmlRecord(n="grid_import", v=0.3), SenmlRecord(n="grid_export", v=0.1)]
    assert Reading(session=0, slot=0, bt=0.0, e=both).energies_kwh == {"net": 0.2}


def test_a_request_tells_when_its_slot_began_and_ended():
    request = of_type("reading-request")
    assert '"slot_start":"2024-06-18T01:15:00Z"' in request.to_json()
    assert "slot_start: found 2024-06-18T03:15:00+02:00, expected UTC" in refused(
        changed(request, slot_start="2024-06-18T03:15:00+02:00")
    )
    assert "timezone" in refused(changed(request, slot_start="2024-06-18T03:15:00"))
    assert "expected later than" in refused(changed(request, slot_end="2024-06-18T01:15:00Z"))


def test_a_set_point_goes_one_way_in_a_slot_that_lasts() -> None:
    setpoint = of_type("setpoint")
    assert "expected at most one" in refused(changed(setpoint, discharge_kw=0.1))
    assert "expected later than" in refused(changed(setpoint, slot_end="2024-06-18T10:00:00Z"))
    assert "expected UTC" in refused(changed(setpoint, slot_start="2024-06-18T10:00:00+02:00"))
    assert "charge_kw" in refused(changed(setpoint, charge_kw=-1.0))
    assert setpoint.power_kw == -1.5  # type: ignore[union-attr]
