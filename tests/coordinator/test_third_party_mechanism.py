"""The README's mechanism, installed as a package of somebody else's."""

import re
from pathlib import Path

import pytest

from coordinator.costs import CommunityTariff
from runtime.errors import InputError
from runtime.mechanisms import check_mechanism, mechanism_names
from tests.machines.communities import Community

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def gift(tmp_path, monkeypatch):
    text = README.read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "Mechanism" in block)
    entry = next(block for block in re.findall(r"```toml\n(.*?)```", text, re.S) if "mechanisms" in block)
    name, target = re.search(r'(\w+) = "([\w.:]+)"', entry).groups()
    module = tmp_path / (target.split(":")[0].replace(".", "/") + ".py")
    module.parent.mkdir(parents=True)
    module.write_text(code, encoding="utf-8")
    info = tmp_path / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[peerwatt.mechanisms]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_it_is_found_by_its_entry_point_and_trades_at_the_feed_in_tariff(gift):
    assert gift in mechanism_names()
    community = Community(4, members=5, mechanism=gift)
    record, _ = community.run()
    session = record.sessions[0]
    local = [entry for entry in session.ledger if entry.kind.startswith("local")]
    assert local
    for entry in local:
        assert entry.price_eur_per_kwh == session.grid_export_price_eur_per_kwh[entry.slot]
    assert [each.number for each in session.rounds] == [0]


def test_the_readmes_test_of_it_passes_and_can_fail(gift, monkeypatch):
    text = README.read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "def test_" in block)
    scope = {}
    exec(code, scope)
    test = next(each for name, each in scope.items() if name.startswith("test_"))
    test()
    other = CommunityTariff.of([0.25, 0.25], [0.10, 0.09], 1.0)
    monkeypatch.setattr(CommunityTariff, "of", lambda *_, **__: other)
    with pytest.raises(AssertionError):
        test()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_package.module:Class", "cannot be imported: ModuleNotFoundError: No module named 'no_such"),
        ("json:nothing", "cannot be imported: AttributeError"),
        ("json:JSONDecoder", "expected a class derived from coordinator.mechanisms.Mechanism"),
        ("json:dumps", "expected a class derived from coordinator.mechanisms.Mechanism"),
    ],
)
def test_an_entry_point_that_is_no_mechanism_is_refused(tmp_path, monkeypatch, target, said):
    info = tmp_path / "broken_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[peerwatt.mechanisms]\nbroken = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=f"mechanism.name: 'broken' is {target}, "):
        check_mechanism("broken", {}, "village.toml")
    with pytest.raises(InputError, match=said):
        check_mechanism("broken", {}, "village.toml")
