"""Lines read without a JSON parser are judged exactly as with one, whatever was done to them."""

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.messagelog import audit, parsed
from runtime.messagelog.canonical import TAIL_LENGTH, is_plain
from runtime.messagelog.chain import ChainCheck
from runtime.messagelog.reader import log_paths
from runtime.messagelog.record import HASH_TAIL_LENGTH
from runtime.messagelog.verify import LogCheck, check_logs

PIECES = [
    b'"', b"\\", b'\\"', b"\\\\", b"\\n", b"\\u00e9", b"\x01", b"\t", b"\xc3\xa9", b",", b"}", b"\\x", b"0",
    b"-",    b'","note":"duplicate', b'","note":"' + b"x" * 300, b'"re":null,', b'\\"type\\":\\"bill-line\\"',
    b"refuse",
]  # fmt: skip


def judged(check: LogCheck) -> tuple[Any, ...]:
    seen = check.audit
    logs = [(log.agent, log.records, dict(log.events), log.broken, log.torn_bytes) for log in seen.logs]
    counts = (len(seen.tally), seen.tally.resends, seen.tally.duplicates)
    return check.findings, logs, counts, seen.misspoken, seen.refused, sorted(seen.tally.ends())


def chained_anew(lines: list[bytes]) -> bytes:
    """Lines with hashes that follow from each other, whatever else they say."""
    prev, chained = b"0" * 64, []
    for line in lines:
        unsealed = line.rstrip(b"\n")[:-TAIL_LENGTH] + b',"prev":"' + prev + b'"}'
        prev = sha256(unsealed).hexdigest().encode()
        chained.append(unsealed[:-1] + b',"hash":"' + prev + b'"}\n')
    return b"".join(chained)


def both_ways(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    quick = judged(check_logs(log_paths(folder)))
    with monkeypatch.context() as patch:
        patch.setattr(audit.Audit, "_canonical", lambda _, lines, first, check: first)
        thorough = judged(check_logs(log_paths(folder)))
    return quick, thorough


def test_the_quick_way_is_taken(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[bytes] = []

    def thorough(line: bytes, check: ChainCheck) -> dict[str, Any]:
        lines.append(line)
        return parsed.checked(line, check)

    monkeypatch.setattr(audit, "checked", thorough)
    check = check_logs(run.paths)
    assert sum(log.records for log in check.audit.logs) == 21
    assert len(lines) == 5  # the events that open the logs
    assert all(b'"kind":"event"' in line for line in lines)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_odd_lines_are_judged_alike(
    run: Any, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("odd") / "logs"
    shutil.copytree(run.dir.logs_dir, folder)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(log_paths(folder)))
        lines = path.read_bytes().split(b"\n")[:-1]
        number = data.draw(st.integers(0, len(lines) - 1))
        line = lines[number]
        place = data.draw(st.integers(0, len(line) - TAIL_LENGTH))
        length = data.draw(st.integers(0, 3))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=3)).replace(b"\n", b"")
        lines[number] = line[:place] + piece + line[min(place + length, len(line) - TAIL_LENGTH) :]
        path.write_bytes(chained_anew(lines))
    quick, thorough = both_ways(folder, monkeypatch)
    assert quick == thorough


@pytest.mark.parametrize("step", range(0, 500, 7))
def test_a_changed_byte_is_judged_alike(run: Any, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run.dir.log("school")
    content = bytearray(path.read_bytes())
    content[(step * 37) % len(content)] ^= 1 << step % 7
    path.write_bytes(bytes(content))
    quick, thorough = both_ways(run.dir.logs_dir, monkeypatch)
    assert quick == thorough
    assert quick[0]


@given(st.binary(max_size=40))
def test_plain_is_what_a_json_string_of_printable_ascii_and_escaped_quotes_is(text: bytes) -> None:
    without = text.replace(b'\\"', b"")
    printable = all(0x20 <= code < 0x7F for code in text)
    if b"\\\\" in text:
        assert not is_plain(text) or printable
    else:
        assert is_plain(text) == (printable and b'"' not in without and b"\\" not in without)


def test_the_tail_is_as_long_as_it_is(run: Any) -> None:
    line = run.dir.log("school").read_bytes().splitlines()[2]
    assert line[-TAIL_LENGTH:].startswith(b',"prev":"')
    assert line[-HASH_TAIL_LENGTH:].startswith(b',"hash":"')
