"""``modbus:`` writes set-points to a SunSpec storage over Modbus TCP: model 124, basic storage control.

URL: ``modbus://host:port/unit``; port 502 and unit 1 where none is said. The device's revert timer is set to
how long the set-point counts, so that it is its own master again should nobody write any more. What was
written is read again: a device that keeps something else is told so.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from agents.meters.devices.address import Address, address_of
from agents.meters.devices.sunspec import BASES, LAST_MODEL, MARK, SunSpecError
from agents.meters.source import Parameters, SourceUrl, parameters_of
from agents.setpoints.devices.storage_model import (
    BOTH_DIRECTIONS,
    LENGTH,
    MODEL,
    OUT_W_RTE,
    OWN_CONTROL,
    RVRT_TMS,
    STOR_CTL_MOD,
    revert_s,
    setting_of,
)
from agents.setpoints.target import Carried, Order, TargetError
from runtime.errors import InputError


class StorageParameters(Parameters):
    """Parameters of ``modbus:``.

    Attributes:
        timeout: after so many seconds without an answer the device is taken for gone.
    """

    timeout: float = Field(default=3.0, gt=0, le=60)


@dataclass(frozen=True)
class StorageTarget:
    """One storage on a Modbus; each order is a connection of its own."""

    where: Address
    unit_id: int
    timeout_s: float

    def carry_out(self, order: Order, *, dry_run: bool) -> Carried:
        """See ``SetpointTarget``; a dry run reads the device, and writes nothing."""
        client = ModbusTcpClient(self.where.host, port=self.where.port, timeout=self.timeout_s, retries=1)
        try:
            if not client.connect():  # type: ignore[no-untyped-call]
                raise TargetError(f"{self.where}: no connection")
            place = self._find_model(client)
            registers = self._read(client, place, LENGTH + 2)
            if order.power_kw is None:
                return self._give_back(client, place, dry_run)
            return self._set(client, place, registers, order.power_kw, order.valid_s, dry_run)
        except SunSpecError as error:
            raise TargetError(f"{self.where}: unit {self.unit_id}: {error}") from error
        except (ModbusException, OSError) as error:
            raise TargetError(f"{self.where}: {error}") from error
        finally:
            client.close()  # type: ignore[no-untyped-call]

    def _set(
        self,
        client: ModbusTcpClient,
        place: int,
        registers: list[int],
        power_kw: float,
        valid_s: float,
        dry_run: bool,
    ) -> Carried:
        setting = setting_of(registers, power_kw)
        after_s = revert_s(registers, valid_s)
        writes = [(OUT_W_RTE, [setting.out_w_rte, setting.in_w_rte])]
        if after_s is not None:
            writes.insert(0, (RVRT_TMS, [after_s]))
        writes.append((STOR_CTL_MOD, [BOTH_DIRECTIONS]))  # last: only now the rates count
        wrote = self._write(client, place, writes, dry_run)
        no_timer = "" if after_s is not None else "; the device has no revert timer"
        return Carried(setting.power_kw, wrote + no_timer)

    def _give_back(self, client: ModbusTcpClient, place: int, dry_run: bool) -> Carried:
        return Carried(None, self._write(client, place, [(STOR_CTL_MOD, [OWN_CONTROL])], dry_run))

    def _write(
        self, client: ModbusTcpClient, place: int, writes: list[tuple[int, list[int]]], dry_run: bool
    ) -> str:
        """Write registers and read them again; what was written, for people."""
        for offset, words in () if dry_run else writes:
            answer = client.write_registers(place + offset, words, device_id=self.unit_id)
            if answer.isError():
                raise TargetError(f"{self.where}: unit {self.unit_id}: writing {place + offset}: {answer}")
            found = self._read(client, place + offset, len(words))
            if found != words and offset != RVRT_TMS:  # a timer may run already
                raise TargetError(
                    f"{self.where}: unit {self.unit_id}: wrote {words} to {place + offset}, "
                    f"but the device has {found}"
                )
        return ", ".join(f"{place + offset} = {' '.join(map(str, words))}" for offset, words in writes)

    def _find_model(self, client: ModbusTcpClient) -> int:
        """Register of the storage model's id."""
        for base in BASES:
            answer = client.read_holding_registers(base, count=2, device_id=self.unit_id)
            if not answer.isError() and tuple(answer.registers) == MARK:
                break
        else:
            raise TargetError(f"{self.where}: found no SunSpec map at {', '.join(map(str, BASES))}")
        place, seen = base + 2, []
        while place < 0xFFFE:
            model, length = self._read(client, place, 2)
            if model == LAST_MODEL:
                break
            if model == MODEL:
                return place
            seen.append(model)
            place += length + 2
        raise TargetError(f"{self.where}: found the models {seen}, expected {MODEL}")

    def _read(self, client: ModbusTcpClient, address: int, count: int) -> list[int]:
        answer = client.read_holding_registers(address, count=count, device_id=self.unit_id)
        if answer.isError():
            raise TargetError(f"{self.where}: unit {self.unit_id}: register {address}: {answer}")
        if len(answer.registers) != count:
            raise TargetError(f"{self.where}: found {len(answer.registers)} registers, expected {count}")
        return list(answer.registers)


def open_target(url: SourceUrl) -> StorageTarget:
    """Open ``modbus:``.

    Raises:
        InputError: address, unit or a parameter will not do.
    """
    given = parameters_of(url, StorageParameters)
    where = address_of(url, 502)
    unit = where.path.strip("/") or "1"
    if not (unit.isdecimal() and int(unit) <= 255):
        raise InputError(f"target {url.text!r}: found the unit {unit!r}, expected 0 to 255")
    return StorageTarget(where, int(unit), given.timeout)
