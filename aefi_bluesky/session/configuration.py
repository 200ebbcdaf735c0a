"""One TOML file a bench, checked, to the plain values that the rooms use."""

from __future__ import annotations

import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from aefi_bluesky.domain.bench.description import (
    AxisDescription,
    BenchDescription,
    DetectorDescription,
    LinkDescription,
    MotionDescription,
    WiringDescription,
)
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.domain.flight.exchanges import POSITION, POSITIONS, STATUS
from aefi_bluesky.domain.flight.load import STATUS_SHARE
from aefi_bluesky.engine import EngineLinks, PortOpening, RealtimeSettings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]

BAUD_CODES = {9600: 1, 19200: 2, 38400: 3, 57600: 4, 115200: 5}
"""The controller's rates and their ``DB`` codes (manual §5.2.2)."""

SHORTEST_WATCH_MS = 1000
"""A shorter watch on the host would report a resynchronisation, or a pause."""

_MOVE_EXCHANGES = 12
"""Exchanges of a move between two places of measurement beside polling: speeds, moves,
confirmations."""

_STAGE_SETUP_EXCHANGES, _STAGE_SETUP_BYTES, _SETTINGS_SENT = 23, 287, 4
"""What the stage is asked and told before anything moves, as the engine's
``preparation`` has it: exchanges, their bytes without the digits of the three settings,
and how often each of these crosses the line, to and fro for both axes."""

_WATCH_EXCHANGES, _WATCH_BYTES = 2, 27
"""``@00TOC=5000`` and ``OK``, and ``@00TOC=0`` and ``OK`` when all is over."""

_READING_BYTES = 86
"""``m127*``, its confirmation and eight codes of seven digits (acquisition §2)."""

_REGISTER_EXCHANGES = ((20, 12), (10, 11), (10, 15))
"""18 registers of converter and generator are selected and written before anything
moves, two when all is over: so many exchanges of so many bytes each. ``a62*``, or a
value, half of which are as short as ``d0*`` and half as long as ``d16384*``, and a line
of eight bytes."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AxisTable(_Table):
    """``[stage.x]`` and ``[stage.y]``."""

    travel_min_mm: float
    travel_max_mm: float
    um_per_step: Positive


class _PortTable(_Table):
    """A serial port; what happens when it is opened is in `PortOpening`."""

    port: str
    dtr: bool | None = Field(default=None, strict=True)
    rts: bool | None = Field(default=None, strict=True)
    open_delay_ms: int = Field(default=0, ge=0, le=60_000)

    def opening(self) -> PortOpening:
        """Return what happens when the port is opened."""
        return PortOpening(dtr=self.dtr, rts=self.rts, delay_ms=self.open_delay_ms)


class StageTable(_PortTable):
    """``[stage]``: the controller, its line and how it moves."""

    device_name: str = Field(pattern=r"^4EX\d\d$")
    baud: int
    turnaround_ms: float = Field(ge=0, le=100)
    reply_allowance_ms: PositiveInt
    reply_delay_us: int = Field(default=0, ge=0, le=100_000)
    status_period_ms: PositiveInt
    host_watch_ms: int = Field(default=0, ge=0, le=600_000)
    start_speed_steps_per_s: PositiveInt
    ramp_ms: PositiveInt
    positioning_speed_steps_per_s: PositiveInt
    min_speed_steps_per_s: PositiveInt
    max_speed_steps_per_s: PositiveInt
    x: AxisTable
    y: AxisTable

    @property
    def byte_s(self) -> float:
        """Time of a byte on the line, in s: ten bits."""
        return 10 / self.baud

    @pydantic.field_validator("host_watch_ms")
    @classmethod
    def _bears_a_pause(cls, watch_ms: int) -> int:
        if 0 < watch_ms < SHORTEST_WATCH_MS:
            raise ValueError(
                f"must be 0 (off) or {SHORTEST_WATCH_MS} to 600000 ms, was {watch_ms}"
            )
        return watch_ms

    @pydantic.field_validator("baud")
    @classmethod
    def _is_a_rate_of_the_controller(cls, baud: int) -> int:
        if baud not in BAUD_CODES:
            allowed = ", ".join(map(str, BAUD_CODES))
            raise ValueError(f"must be one of {allowed} Bd, was {baud}")
        return baud


class AcquisitionTable(_PortTable):
    """``[acquisition]``: the microcontroller, its line and the converter."""

    baud: PositiveInt
    reply_allowance_ms: PositiveInt
    reading_rate_hz: Positive
    latency_tick_ms: float = Field(default=0.0, ge=0, le=1000)
    conversion_rate_hz: Positive
    osr: PositiveInt
    vref_v: Positive
    gain: PositiveInt
    lag_ms: float = Field(default=0.0, ge=0, le=10_000, allow_inf_nan=False)

    def register_setup_s(self) -> float:
        """Return the time that all writes of registers take, in s."""
        tick_s = self.latency_tick_ms / 1000
        setup_s = 0.0
        for count, n_bytes in _REGISTER_EXCHANGES:
            exchange_s = n_bytes * 10 / self.baud
            if tick_s > 0:
                exchange_s = math.ceil(exchange_s / tick_s) * tick_s
            setup_s += count * exchange_s
        # The first one begins between two ticks.
        return setup_s - tick_s / 2


class RealtimeTable(_Table):
    """``[realtime]``: what the system is asked for; see `RealtimeSettings`."""

    timer_slack: bool = Field(default=True, strict=True)
    fifo_priority: int | None = None
    lock_memory: bool = Field(default=False, strict=True)
    low_latency: bool = Field(default=True, strict=True)
    spin_us: int = Field(default=0, ge=0, le=1000)

    @pydantic.field_validator("fifo_priority")
    @classmethod
    def _is_a_priority(cls, priority: int | None) -> int | None:
        if priority is not None and not 1 <= priority <= 99:
            raise ValueError("SCHED_FIFO priority must be 1 to 99")
        return priority


class WiringTable(_Table):
    """``[wiring]``: what the controller is wired to; see `WiringDescription`."""

    encoder_pulses_per_count: float = Field(default=0.0, allow_inf_nan=False)
    sync_output: bool = Field(default=False, strict=True)
    digital_output: int = Field(default=0, strict=True)
    latch: bool = Field(default=False, strict=True)

    @pydantic.field_validator("encoder_pulses_per_count")
    @classmethod
    def _is_a_ratio(cls, pulses: float) -> float:
        if pulses != 0 and not 1e-3 <= pulses <= 1e4:
            raise ValueError("must be 0 (no encoders) or 0.001 to 10000 steps a count")
        return pulses

    @pydantic.field_validator("digital_output")
    @classmethod
    def _is_free_of_sync_outputs(cls, output: int) -> int:
        if output != 0 and not 5 <= output <= 8:
            raise ValueError(
                "must be 5 to 8, or 0 for none: DO1 to DO4 are sync outputs"
            )
        return output

    @pydantic.model_validator(mode="after")
    def _compares_an_encoder(self) -> WiringTable:
        if self.sync_output and not self.encoder_pulses_per_count:
            raise ValueError(
                "sync_output needs encoders: give encoder_pulses_per_count too"
            )
        return self


class BenchConfiguration(_Table):
    """One bench file.

    Parameters
    ----------
    name
        What people call the bench.
    stage, acquisition
        Its tables.
    realtime
        What the system is asked for; may be left out.
    wiring
        What else the controller is wired to; may be left out.
    provenance
        Where a number comes from, by its dotted name.
    """

    name: str
    stage: StageTable
    acquisition: AcquisitionTable
    realtime: RealtimeTable = Field(default_factory=RealtimeTable)
    wiring: WiringTable = Field(default_factory=WiringTable)
    provenance: dict[str, str] = Field(default_factory=dict)

    def description(self) -> BenchDescription:
        """Return what planning and recalibration need."""
        stage, acquisition = self.stage, self.acquisition
        mm_per_step = stage.y.um_per_step / 1000
        period_s = self._exchanges_s(1, POSITION.n_bytes)
        return BenchDescription(
            name=self.name,
            x=AxisDescription(**stage.x.model_dump()),
            y=AxisDescription(**stage.y.model_dump()),
            motion=MotionDescription(
                start_speed_mm_per_s=stage.start_speed_steps_per_s * mm_per_step,
                ramp_s=stage.ramp_ms / 1000,
                positioning_speed_mm_per_s=(
                    stage.positioning_speed_steps_per_s * mm_per_step
                ),
                min_speed_mm_per_s=stage.min_speed_steps_per_s * mm_per_step,
                max_speed_mm_per_s=stage.max_speed_steps_per_s * mm_per_step,
            ),
            detector=DetectorDescription(
                reading_rate_hz=acquisition.reading_rate_hz,
                vref_v=acquisition.vref_v,
                gain=acquisition.gain,
                osr=acquisition.osr,
                conversion_rate_hz=acquisition.conversion_rate_hz,
                lag_s=acquisition.lag_ms / 1000,
                exchange_s=_READING_BYTES * 10 / acquisition.baud,
                latency_tick_s=acquisition.latency_tick_ms / 1000,
                setup_s=acquisition.register_setup_s(),
            ),
            link=LinkDescription(
                fix_rate_hz=1 / period_s,
                fix_line_limit_hz=1 / period_s,
                line_overhead_s=_MOVE_EXCHANGES * period_s,
                setup_s=self._stage_setup_s(),
                byte_s=stage.byte_s,
            ),
            wiring=WiringDescription(**self.wiring.model_dump()),
        )

    def _exchanges_s(self, count: int, n_bytes: int) -> float:
        """Return the time of so many exchanges with so many bytes in all, in s."""
        return n_bytes * self.stage.byte_s + count * self.stage.turnaround_ms / 1000

    def _stage_setup_s(self) -> float:
        stage = self.stage
        speeds = stage.positioning_speed_steps_per_s, stage.start_speed_steps_per_s
        digits = sum(len(str(setting)) for setting in (*speeds, stage.ramp_ms))
        n_bytes = _STAGE_SETUP_BYTES + _SETTINGS_SENT * digits
        setup_s = self._exchanges_s(_STAGE_SETUP_EXCHANGES, n_bytes)
        if stage.host_watch_ms > 0:
            setup_s += self._exchanges_s(_WATCH_EXCHANGES, _WATCH_BYTES)
        return setup_s

    def links(self, *, paced: bool = True) -> EngineLinks:
        """Return how the engine reaches the bench."""
        return EngineLinks(
            stage_port=self.stage.port,
            stage_baud=self.stage.baud,
            acquisition_port=self.acquisition.port,
            acquisition_baud=self.acquisition.baud,
            paced=paced,
            stage_name=self.stage.device_name,
            stage_allowance_ms=self.stage.reply_allowance_ms,
            acquisition_allowance_ms=self.acquisition.reply_allowance_ms,
            stage_reply_delay_us=self.stage.reply_delay_us,
            status_period_ms=self._status_period_ms(),
            host_watch_ms=self.stage.host_watch_ms,
            conversion_ns=round(1e9 / self.acquisition.conversion_rate_hz),
            realtime=RealtimeSettings(**self.realtime.model_dump()),
            stage_opening=self.stage.opening(),
            acquisition_opening=self.acquisition.opening(),
        )

    def _status_period_ms(self) -> int:
        """Return the period asked for, or a longer one where the line is slow."""
        both_s = self._exchanges_s(2, STATUS.n_bytes + POSITIONS.n_bytes)
        return max(self.stage.status_period_ms, round(both_s / STATUS_SHARE * 1000))

    def on_ports(self, stage: str, acquisition: str) -> BenchConfiguration:
        """Return the configuration with other ports."""
        return self.model_copy(
            update={
                "stage": self.stage.model_copy(update={"port": stage}),
                "acquisition": self.acquisition.model_copy(
                    update={"port": acquisition}
                ),
            }
        )


def load_bench(source: str | Path) -> BenchConfiguration:
    """Read a bench file.

    Parameters
    ----------
    source
        A path, or the name of a bench that ships: ``simulated`` or ``aefi``.

    Raises
    ------
    ConfigurationError
        If there is no such file, or it is no TOML, or a value is wrong or unknown.
    """
    try:
        return BenchConfiguration.model_validate(tomllib.loads(_text(source)))
    except tomllib.TOMLDecodeError as err:
        raise ConfigurationError(f"bench file {source}: {err}") from err
    except pydantic.ValidationError as err:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, "
            f"was {fault['input']!r}"
            for fault in err.errors()
        )
        raise ConfigurationError(f"bench file {source}: {faults}") from err


def _text(source: str | Path) -> str:
    shipped = resources.files("aefi_bluesky.profiles") / "benches" / f"{source}.toml"
    try:
        if isinstance(source, str) and shipped.is_file():
            return shipped.read_text(encoding="utf-8")
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"bench file {source} cannot be read: {err}") from err
