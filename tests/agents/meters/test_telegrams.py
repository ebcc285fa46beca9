from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telegrams import p1, p1_of, sml, tic

from agents.meters.devices.p1 import P1Decoder, P1Parameters
from agents.meters.devices.sml import SmlDecoder, SmlParameters
from agents.meters.devices.stream import MAX_PENDING_BYTES, Broken, Heard
from agents.meters.devices.tic import TicDecoder, checksum_of


def decode(decoder, data, pieces=1):
    found, size = [], -(-len(data) // pieces)
    for place in range(0, len(data), size):
        found += decoder.take(data[place : place + size])
    return found


def p1_decoder(**parameters):
    return P1Decoder(P1Parameters(**parameters))


P1_MORE = (
    "1-0:2.8.1(000001.250*kWh)",
    "1-0:2.8.2(000000.750*kWh)",
    "1-0:1.7.0(00.244*kW)",
    "1-0:2.7.0(00.500*kW)",
)
P1_TELEGRAM = p1_of(4.426, 2.399, *P1_MORE)
SML_FILE = sml([("1-0:1.8.0", 30, -1, 31750001), ("1-0:2.8.0", 30, -1, 4567), ("1-0:16.7.0", 27, -1, -3045)])
LINKY = [("ADSC", "812164417227"), ("EAST", "012345678"), ("EAIT", "000000321"), ("SINSTS", "00345")]
HISTORIC = [("ADCO", "270622224349"), ("OPTARIF", "HC.."), ("HCHC", "014460852"), ("HCHP", "012506372")]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [Heard(6.825, "kWh")]),
        ({"role": "pv"}, [Heard(2.0, "kWh")]),
        ({"direction": "export"}, [Heard(2.0, "kWh")]),
        ({"kind": "power"}, [Heard(0.244, "kW")]),
        ({"role": "pv", "kind": "power"}, [Heard(0.5, "kW")]),
        ({"stamp": "device"}, [Heard(6.825, "kWh", datetime(2024, 6, 18, 10, 0, tzinfo=UTC))]),
    ],
)
@pytest.mark.parametrize("pieces", [1, 7, 50])
def test_p1_registers_of_both_tariffs_power_and_time(parameters, expected, pieces):
    assert decode(p1_decoder(**parameters), P1_TELEGRAM, pieces) == expected


def test_p1_total_register_counts_where_a_meter_has_one():
    lines = ["0-0:1.0.0(240618120000S)", "1-0:1.8.0(00000123.456*kWh)", "1-0:2.8.0(00000007.000*kWh)"]
    assert decode(p1_decoder(version="sweden"), p1(lines)) == [Heard(123.456, "kWh")]
    assert decode(p1_decoder(version="sweden", role="pv"), p1(lines)) == [Heard(7.0, "kWh")]


@pytest.mark.parametrize(
    ("telegram", "reason"),
    [
        (p1_of(1.0, 2.0, checksum=0x1234), "wrong checksum"),
        (P1_TELEGRAM.replace(b"000004.426", b"000009.426"), "wrong checksum"),
        (P1_TELEGRAM[:-6] + b"\r\n", "without checksum"),
        (p1(["1-0:1.8.1(000001.000*kWh)"]), "without electricity used tariff 2"),
        (p1(["1-0:1.8.1(000001.000*kWh)", "1-0:1.8.2(000002.000*Wh)"]), "with the units Wh, kWh, expected"),
    ],
)
def test_p1_telegrams_that_are_broken_are_refused_and_the_next_one_counts(telegram, reason):
    broken, good = decode(p1_decoder(), telegram + P1_TELEGRAM)
    assert isinstance(broken, Broken)
    assert reason in broken.reason
    assert good == Heard(6.825, "kWh")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, Heard(3175000.1, "Wh")),
        ({"role": "pv"}, Heard(456.7, "Wh")),
        ({"kind": "power"}, Heard(-304.5, "W")),
        ({"kind": "power", "role": "pv"}, Heard(304.5, "W")),
    ],
)
@pytest.mark.parametrize("pieces", [1, 9])
def test_sml_registers_and_power(parameters, expected, pieces):
    assert decode(SmlDecoder(SmlParameters(**parameters)), SML_FILE, pieces) == [expected]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (sml([("1-0:1.8.0", 30, 0, 5)], wrong=True), "wrong checksum"),
        (SML_FILE.replace(b"\x59", b"\x58", 1), "wrong checksum"),
        (sml([("1-0:2.8.0", 30, 0, 5)]), "without 1-0:1.8.0*255"),
    ],
)
def test_sml_files_that_are_broken_are_refused_and_the_next_one_counts(file, reason):
    broken, good = decode(SmlDecoder(SmlParameters()), file + SML_FILE)
    assert reason in broken.reason
    assert good == Heard(3175000.1, "Wh")


def test_sml_a_file_that_was_cut_off_is_left_out():
    assert decode(SmlDecoder(SmlParameters()), SML_FILE[:60] + SML_FILE) == [Heard(3175000.1, "Wh")]


def test_tic_checksums_are_those_of_meters():
    for group in ("HCHC 014460852 $", "HCHP 012506372 -", "PAPP 00520 (", "HHPHC C .", "ADCO 270622224349 B"):
        assert chr(checksum_of(group[:-1].encode(), "historic")) == group[-1]
    assert chr(checksum_of(b"VTIC\t02\t", "standard")) == "J"


@pytest.mark.parametrize(
    ("mode", "taken", "groups", "expected_wh"),
    [
        ("standard", True, LINKY, 12345678),
        ("standard", False, LINKY, 321),
        ("standard", True, [("DATE", "E240618120000", ""), ("EAST", "000000007")], 7),
        ("historic", True, HISTORIC, 14460852 + 12506372),
        ("historic", True, [("BASE", "002815235"), ("PAPP", "00520")], 2815235),
        (
            "historic",
            True,
            [(f"BBRH{part}", "000000001") for part in ("CJB", "PJB", "CJW", "PJW", "CJR", "PJR")],
            6,
        ),
    ],
)
@pytest.mark.parametrize("parity", [0, 0x80])
def test_tic_energy_taken_and_given_in_both_modes(mode, taken, groups, expected_wh, parity):
    frame = bytes(byte | parity for byte in tic(groups, mode))
    assert decode(TicDecoder(mode, taken), frame, 3) == [Heard(float(expected_wh), "Wh")]


@pytest.mark.parametrize(
    ("mode", "frame", "reason"),
    [
        ("standard", tic(LINKY, "standard", wrong="EAST"), "without EAST; wrong checksum of EAST"),
        ("historic", tic(HISTORIC, "historic", wrong="HCHP"), "without HCHP; wrong checksum of HCHP"),
        ("standard", tic(LINKY, "historic"), "without EAST"),
        ("standard", tic([("EAST", "01234x678")], "standard"), "expected a number"),
    ],
)
def test_tic_frames_that_are_broken_are_refused_and_the_next_one_counts(mode, frame, reason):
    good = tic(LINKY, mode) if mode == "standard" else tic(HISTORIC, mode)
    broken, heard = decode(TicDecoder(mode, True), frame + good)
    assert reason in broken.reason
    assert isinstance(heard, Heard)


DECODERS = {
    "p1": (p1_decoder, P1_TELEGRAM),
    "sml": (lambda: SmlDecoder(SmlParameters()), SML_FILE),
    "tic": (lambda: TicDecoder("standard", True), tic(LINKY, "standard")),
}


@given(kind=st.sampled_from(sorted(DECODERS)), garbage=st.binary(max_size=300), flips=st.integers(1, 2**31))
@settings(max_examples=150, deadline=None)
def test_garbage_never_raises_and_never_becomes_a_value(kind, garbage, flips):
    make, good = DECODERS[kind]
    place = flips % len(good)
    damaged = bytearray(good)
    damaged[place] ^= 1 + flips % 0x7F  # a change within 7 bits
    (value,) = decode(make(), good)
    found = decode(make(), garbage.replace(b"\x1b", b"") + bytes(damaged) + good)
    heard = [each for each in found if isinstance(each, Heard)]
    assert all(each == value for each in heard)


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_endless_garbage_is_dropped_and_said_so(kind):
    make, good = DECODERS[kind]
    decoder = make()
    (broken,) = decode(decoder, b"x" * (MAX_PENDING_BYTES + 1))
    assert "bytes without a telegram" in broken.reason
    assert isinstance(decode(decoder, good)[-1], Heard)
