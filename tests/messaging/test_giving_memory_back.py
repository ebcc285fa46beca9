"""Memory is given back once for all agents of a process that ask for it at about the same time."""

from __future__ import annotations

import asyncio
import gc

import psutil
import pytest

from runtime.messaging import memory


class Ring:
    """Garbage that only a search for cycles finds."""

    alive = 0

    def __init__(self) -> None:
        self.itself = self
        Ring.alive += 1

    def __del__(self) -> None:
        Ring.alive -= 1


async def test_it_is_done_once_a_moment_later_and_again_when_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "DELAY_S", 0.01)
    collect, times = gc.collect, []

    def collected() -> int:
        times.append(asyncio.get_running_loop().time())
        return collect()

    monkeypatch.setattr(gc, "collect", collected)
    gc.disable()
    try:
        for _ in range(2):
            Ring()
            for _ in range(50):
                memory.give_back_soon()
            assert Ring.alive == 1
            await asyncio.sleep(0.05)
            assert Ring.alive == 0
    finally:
        gc.enable()
    assert len(times) == 2


async def test_large_blocks_between_small_ones_go_back_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "DELAY_S", 0.0)
    process = psutil.Process()
    blocks = [bytearray(40_000) for _ in range(3000)]
    kept = blocks[::100]
    full = process.memory_full_info().uss
    blocks.clear()
    freed = process.memory_full_info().uss
    memory.give_back_soon()
    await asyncio.sleep(0.05)
    after = process.memory_full_info().uss
    assert full - after > 80e6
    assert freed - after > 0
    assert len(kept) == 30
