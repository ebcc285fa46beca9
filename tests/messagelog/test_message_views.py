import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.errors import InputError
from runtime.inspection.diagram import Arrow, lifelines, svg_diagram, text_diagram

runner = CliRunner()
SVG = "{http://www.w3.org/2000/svg}"


def arrow(sender: str, recipient: str, **more: Any) -> Arrow:
    return Arrow("2026-06-01T10:00:00.000125Z", sender, recipient, "inform delivery", "took 1 kWh", **more)


def test_meters_stand_beside_their_members() -> None:
    arrows = [arrow("coordinator", "a"), arrow("coordinator", "b"), arrow("a", "a.meter")]
    assert lifelines(arrows) == ["coordinator", "a", "a.meter", "b"]


def test_arrows_point_from_sender_to_recipient_and_lost_ones_have_no_head() -> None:
    head, there, back, lost = text_diagram(
        [arrow("left", "right"), arrow("right", "left"), arrow("left", "right", arrived=False)]
    ).splitlines()
    assert head.split() == ["left", "right"]
    assert "|---->|" in there
    assert "|<----|" in back
    assert "|----x|" in lost
    assert there.startswith("10:00:00.000 ")
    assert there.endswith("inform delivery: took 1 kWh")
    assert there.index("|") == head.index("left") + 2


def test_an_arrow_passes_over_the_lifelines_between() -> None:
    row = text_diagram([arrow("a", "b"), arrow("b", "c"), arrow("c", "a")]).splitlines()[3]
    assert row.count("|") == 2
    assert "|<" in row


def test_the_picture_is_well_formed_whatever_is_said(tmp_path: Path) -> None:
    nasty = Arrow("2026-06-01T10:00:00.000125Z", 'a"<b', "c", "refuse <&>", "</svg>\x07", refuses=True)
    root = ET.fromstring(svg_diagram([nasty], "t"))
    (line,) = (found for found in root.iter(f"{SVG}line") if found.get("class") == "arrow no")
    boxes = [float(str(found.get("x"))) for found in root.iter(f"{SVG}text") if found.get("class") == "name"]
    assert [float(str(line.get("x1"))), float(str(line.get("x2")))] == boxes


def test_diagram_of_a_run_as_text_and_as_files(run: Any, tmp_path: Path) -> None:
    said = runner.invoke(
        app, ["messages", str(run.dir.path), "--diagram", "--agent", "school", "--slot", "7"]
    )
    assert said.exit_code == 0
    head, *rows = said.stdout.splitlines()
    assert head.split() == ["school", "school.meter"]
    assert [row.split(": ")[0].split("|")[-1].split() for row in rows] == [
        ["request", "reading-request,", "slot", "7"], ["inform", "acknowledged,", "slot", "7"],
    ]  # fmt: skip
    picture = tmp_path / "talk.svg"
    runner.invoke(app, ["messages", str(run.dir.path), "--diagram", "--export", str(picture)])
    drawn = [e for e in ET.parse(picture).getroot().iter(f"{SVG}line") if e.get("class") == "arrow"]
    assert len(drawn) == 8
    refused = runner.invoke(app, ["messages", str(run.dir.path), "--diagram", "--export", "talk.png"])
    assert isinstance(refused.exception, InputError)


def test_one_message_whole(run: Any) -> None:
    said = runner.invoke(app, ["messages", str(run.dir.path), "--id", "m2", "--full"])
    lines = said.stdout.splitlines()
    assert lines[0] == "propose 'm2' from school@host to coordinator@host"
    assert "  sent: 2026-06-01T10:00:01.000000Z by school, record 2" in lines
    assert "  received: 2026-06-01T10:00:01.002000Z by coordinator, record 2" in lines
    assert [line for line in lines if line.startswith("  answers cfp 'm1' of 2026-06-01T10:00:00")]
    asked = runner.invoke(app, ["messages", str(run.dir.path), "--id", "m1", "--full"]).stdout
    assert "  answered by propose 'm2'" in asked
    assert '"grid_import_kwh"' in said.stdout


def test_an_id_picks_the_message_in_lists_too(run: Any) -> None:
    said = runner.invoke(app, ["messages", str(run.dir.path), "--id", "m3", "--json"])
    assert [json.loads(line)["id"] for line in said.stdout.splitlines()] == ["m3"]


@pytest.mark.parametrize("option", ["--diagram", "--stats", "--verify"])
def test_following_has_no_other_view(run: Any, option: str) -> None:
    said = runner.invoke(app, ["messages", str(run.dir.path), "--follow", option])
    assert isinstance(said.exception, InputError)
