"""Members of one process are given the same body: nobody changes one that was read."""

from __future__ import annotations

import pytest

from runtime.protocol.bodies import AnyBody, parse_body
from tests.machines import network
from tests.machines.communities import Community


@pytest.mark.parametrize(
    "mechanism", ["mid-market-rate", "admm", "bill-sharing", "double-auction", "bilateral", "coordinated"]
)
def test_a_body_says_at_the_end_what_it_said_when_it_was_read(
    mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[AnyBody, str]] = []

    def parse_and_keep(text: str) -> AnyBody:
        body = parse_body(text)
        given.append((body, body.to_json()))
        return body

    monkeypatch.setattr(network, "parse_body", parse_and_keep)
    Community(seed=3, members=3, slots=4, mechanism=mechanism).run()
    assert len(given) > 50
    assert len({id(body) for body, _ in given}) < len(given)
    assert [body.to_json() for body, _ in given] == [text for _, text in given]
