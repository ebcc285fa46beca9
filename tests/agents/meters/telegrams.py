"""Telegrams as meters send them, put together here from the standards, with their checksums."""

from __future__ import annotations


def crc16_arc(data: bytes) -> int:
    """CRC of P1 telegrams: polynomial x^16+x^15+x^2+1, reflected, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def crc16_x25(data: bytes) -> int:
    """CRC of SML files and messages (DIN 62056-46)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc ^ 0xFFFF


def p1(lines: list[str], checksum: int | None = None) -> bytes:
    """A P1 telegram of these lines, with its checksum unless another one is given."""
    text = "".join(f"{line}\r\n" for line in ("/PWT5\\2TEST-METER", "", "1-3:0.2.8(50)", *lines)) + "!"
    data = text.encode("ascii")
    return data + f"{crc16_arc(data) if checksum is None else checksum:04X}\r\n".encode()


def p1_of(import_1_kwh: float, import_2_kwh: float, *more: str, **options: int) -> bytes:
    """A P1 telegram with the two import registers."""
    registers = [f"1-0:1.8.1({import_1_kwh:010.3f}*kWh)", f"1-0:1.8.2({import_2_kwh:010.3f}*kWh)"]
    return p1(["0-0:1.0.0(240618120000S)", *registers, *more], **options)


def _octets(data: bytes) -> bytes:
    return (
        bytes([len(data) + 1]) + data
        if len(data) < 15
        else bytes([0x80 | (len(data) + 2) >> 4, (len(data) + 2) & 15]) + data
    )


def _unsigned(value: int, size: int) -> bytes:
    return bytes([0x60 | size + 1]) + value.to_bytes(size, "big")


def _signed(value: int, size: int) -> bytes:
    return bytes([0x50 | size + 1]) + value.to_bytes(size, "big", signed=True)


def _list(*items: bytes) -> bytes:
    return bytes([0x70 | len(items)]) + b"".join(items)


_NOTHING = b"\x01"


def _message(number: int, tag: int, body: bytes) -> bytes:
    head = bytes([0x76]) + _octets(number.to_bytes(4, "big")) + _unsigned(0, 1) + _unsigned(0, 1)
    data = head + _list(_unsigned(tag, 2), body)
    crc = crc16_x25(data)
    return data + _unsigned(crc >> 8 | (crc & 0xFF) << 8, 2) + b"\x00"


def sml(entries: list[tuple[str, int, int, int]], wrong: bool = False) -> bytes:
    """An SML file; each entry: OBIS (``1-0:1.8.0``), unit (30 Wh, 27 W), power of ten, number."""
    server = _octets(b"\x09\x01PWT\x00\x00\x00\x00\x01")
    values = []
    for obis, unit, scaler, value in entries:
        medium, rest = obis.split("-")
        channel, numbers = rest.split(":")
        name = bytes([int(medium), int(channel), *map(int, numbers.split(".")), 255])
        values.append(
            _list(
                _octets(name),
                _NOTHING,
                _NOTHING,
                _unsigned(unit, 1),
                _signed(scaler, 1),
                _signed(value, 8),
                _NOTHING,
            )
        )
    opened = _list(_NOTHING, _NOTHING, _octets(b"\x01\x02"), server, _NOTHING, _NOTHING)
    told = _list(_NOTHING, server, _NOTHING, _NOTHING, _list(*values), _NOTHING, _NOTHING)
    data = _message(1, 0x0101, opened) + _message(2, 0x0701, told) + _message(3, 0x0201, _list(_NOTHING))
    padding = -len(data) % 4
    file = (
        b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01"
        + data
        + bytes(padding)
        + b"\x1b\x1b\x1b\x1b\x1a"
        + bytes([padding])
    )
    crc = crc16_x25(file) ^ (0x0101 if wrong else 0)
    return file + crc.to_bytes(2, "little")


def tic(groups: list[tuple[str, ...]], mode: str, wrong: str = "") -> bytes:
    """A TIC frame; each group: label and data, in standard mode also the time before the data."""
    separator = "\t" if mode == "standard" else " "
    frame = b"\x02"
    for group in groups:
        text = separator.join(group)
        counted = text + separator if mode == "standard" else text
        checksum = sum(counted.encode()) % 64 + 32
        if group[0] == wrong:
            checksum = 32 + (checksum - 31) % 64
        frame += b"\n" + (text + separator + chr(checksum)).encode() + b"\r"
    return frame + b"\x03"
