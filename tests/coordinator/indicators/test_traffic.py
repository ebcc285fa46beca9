"""Messages and what they disclose, counted from message logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.indicators.traffic import Traffic, numbers_in, traffic_of
from runtime.errors import LogError
from runtime.messagelog.record import NOTE_DUPLICATE, NOTE_RESENT
from runtime.messagelog.writer import MessageLog
from runtime.protocol.envelope import Envelope, Performative

POSITION = {
    "type": "position",
    "session": 0,
    "round": 1,
    "grid_import_kwh": [1.0, 0.0],
    "grid_export_kwh": [0, 2],
}
DELIVERY = {"type": "delivery", "slot": 0, "grid_import_kwh": "1.5", "grid_export_kwh": "0"}
SIGNAL = {"type": "price-signal", "import_price_eur_per_kwh": [0.3, 0.3]}
TRADE = {"type": "trade-proposal", "round": 1, "purchase_kwh": [0.5, 0.0], "sale_kwh": [0.0, 1.0]}
OFFER = {"type": "offer", "energy_kwh": [1.0], "price_eur_per_kwh": [0.2]}


def message(sender: str, recipient: str, act: Performative, body: dict[str, Any], number: int) -> Envelope:
    return Envelope(
        sender=f"{sender}@village.test",
        recipient=f"{recipient}@village.test",
        performative=act,
        protocol="market",
        conversation=f"session-{body.get('session', 0)}",
        message_id=str(number),
        body=json.dumps(body),
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A coordinator, two members a and b; one session of one round, told twice to b, and one delivery."""
    said: dict[str, list[tuple[Performative, str, dict[str, Any], str | None]]] = {
        "coordinator": [
            (Performative.AGREE, "a", {"type": "admission", "session": "join"}, None),
            (Performative.CFP, "a", SIGNAL, None),
            (Performative.CFP, "b", SIGNAL, None),
            (
                Performative.CFP,
                "b",
                {"type": "price-signal", "import_price_eur_per_kwh": [0.3, 0.3]},
                NOTE_RESENT,
            ),
            (Performative.ACCEPT_PROPOSAL, "a", {"type": "agreement"}, None),
            (Performative.ACCEPT_PROPOSAL, "b", {"type": "agreement"}, None),
        ],
        "a": [
            (Performative.PROPOSE, "coordinator", POSITION, None),
            (Performative.PROPOSE, "coordinator", POSITION, f"{NOTE_RESENT} after a restart"),
            (Performative.REQUEST, "a.meter", {"type": "reading-request", "slot": 0}, None),
            (Performative.INFORM, "coordinator", DELIVERY, None),
        ],
        "b": [
            (
                Performative.PROPOSE,
                "a",
                {"type": "offer", "energy_kwh": [1.0], "price_eur_per_kwh": [0.2]},
                None,
            ),
            (Performative.CONFIRM, "coordinator", {"type": "acknowledged"}, None),
        ],
    }
    seconds = iter(range(100))
    for agent, messages in said.items():
        path = tmp_path / "logs" / f"{agent}.jsonl"
        with MessageLog.open(path, agent, now=lambda: f"2024-06-18T10:00:{next(seconds):02d}.000000Z") as log:
            for number, (act, recipient, body, note) in enumerate(messages):
                log.append_out(message(agent, recipient, act, body, number), note)
            # what is received was counted where it was sent
            log.append_in(message("b", agent, Performative.PROPOSE, POSITION, 99), NOTE_DUPLICATE)
    return tmp_path


def test_each_message_counts_once_and_meters_stay_in_the_house(run: Path) -> None:
    traffic = traffic_of(run, ["a", "b"])
    assert traffic is not None
    assert set(traffic) == {0}, "joining belongs to no session"
    # two calls, two agreements; a position, a delivery; an offer, an acknowledgement
    assert traffic[0].messages == 8


def test_what_each_member_discloses_by_type(run: Path) -> None:
    traffic = traffic_of(run, ["a", "b"])
    assert traffic is not None
    assert traffic[0].disclosed == {"a": {"position": 2, "delivery": 1}, "b": {"offer": 2}}
    assert traffic[0].numbers_of("a") == 3
    assert traffic[0].numbers_of("nobody") == 0


def test_negotiation_lasts_from_the_first_call_to_the_first_agreement(run: Path) -> None:
    traffic = traffic_of(run, ["a", "b"])
    assert traffic is not None
    assert traffic[0].negotiation_seconds == 3.0


def test_without_a_members_log_nothing_is_known(run: Path) -> None:
    (run / "logs" / "b.jsonl").unlink()
    assert traffic_of(run, ["a", "b"]) is None
    assert traffic_of(run, ["a"]) is not None


def test_a_line_that_is_no_record_names_its_file(run: Path) -> None:
    with (run / "logs" / "a.jsonl").open("ab") as file:
        file.write(b'{"seq":9,"kind":"out"\n')
    with pytest.raises(LogError, match=r"a\.jsonl: not a JSON record"):
        traffic_of(run, ["a", "b"])


def test_sessions_add_up(run: Path) -> None:
    traffic = traffic_of(run, ["a", "b"])
    assert traffic is not None
    whole = Traffic()
    for part in (traffic[0], traffic[0], Traffic(messages=1)):
        whole.add(part)
    assert (whole.messages, whole.numbers_of("a"), whole.negotiation_seconds) == (17, 6, 6.0)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (POSITION, 2),
        (DELIVERY, 1),
        (TRADE, 2),
        ({"trades": [TRADE | {"partner": "b", "slots": [3, 9], "price_eur_per_kwh": [0.2, 0.3]}]}, 4),
        ({"sale_kwh": [1.0]}, 1),
        (POSITION | {"limit_price_eur_per_kwh": [0.1, 0.2]}, 4),
        ({"residual_load_kwh": [1, 2, 3], "battery": {"capacity_kwh": 5.0, "soc_end_min": None}}, 4),
        ({"grid_export_kwh": [1.0]}, 1),
        ({"session": 3, "round": 2, "slot": 7, "member": "house-1", "last": True}, 0),
        ({"amount_eur": "-1.25", "at": "2024-06-18T10:00:00Z", "name": "1e"}, 1),
    ],
)
def test_numbers_in_a_body(body: dict[str, Any], count: int) -> None:
    assert numbers_in(body) == count
