"""The simulated bench: in virtual time, or as a process of its own on two ptys."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import ConfigurationError, DeviceUnavailableError
from aefi_bluesky.engine import _native
from aefi_bluesky.session.configuration import BAUD_CODES, BenchConfiguration

_END_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """Settings of the simulated bench.

    Parameters
    ----------
    seed
        Of noise, jitter and tick phase: the same seed gives the same run.
    paced
        False takes all wire time away: not physical.
    script
        Fault script, one fault a line.
    stage_baud, acquisition_baud
        Rates of both lines, in Bd; those of the bench file if None.
    stage_turnaround_us
        Time of the controller from request to reply, in us; that of the bench file
        if None.
    stage_jitter_us
        Upper bound of a random addition to that time, in us.
    stage_tick_us, tick_us
        Latency ticks of the stage's and the acquisition's adapter, in us: replies
        reach the host at their multiples only; 0 for none.
    stage_echoes
        Whether the stage's adapter sends requests back, as some RS-485 ones do.
    boot_ms
        How long the microcontroller hears nothing after its port was opened, in ms; on
        ptys only.
    keep_conversions
        False leaves the conversions out of the truth, which they make grow.
    lag_s
        Time constant of the lock-in, in s; None for the simulator's own, 10 ms.
    noise_v
        Standard deviation of a reading's noise, in V; None for 60 uV.
    has_object
        Whether the bench has an object to measure; without an object, a scan is a
        reference.
    """

    seed: int = 0
    paced: bool = True
    script: str = ""
    stage_baud: int | None = None
    acquisition_baud: int | None = None
    stage_turnaround_us: int | None = None
    stage_jitter_us: int = 0
    stage_tick_us: int = 0
    stage_echoes: bool = False
    tick_us: int = 16_000
    boot_ms: int = 0
    keep_conversions: bool = True
    lag_s: float | None = None
    noise_v: float | None = None
    has_object: bool = True

    def of_bench(self, bench: BenchConfiguration) -> BenchConfiguration:
        """Return `bench` with the lines chosen here.

        Raises
        ------
        ConfigurationError
            If the controller has no such rate.
        """
        stage: dict[str, float] = {}
        if self.stage_baud is not None:
            if self.stage_baud not in BAUD_CODES:
                allowed = ", ".join(map(str, BAUD_CODES))
                raise ConfigurationError(
                    f"stage baud must be one of {allowed} Bd, was {self.stage_baud}"
                )
            stage["baud"] = self.stage_baud
        if self.stage_turnaround_us is not None:
            stage["turnaround_ms"] = self.stage_turnaround_us / 1000
        acquisition = {
            "baud": self.acquisition_baud or bench.acquisition.baud,
            "latency_tick_ms": self.tick_us / 1000,
        }
        return bench.model_copy(
            update={
                "stage": bench.stage.model_copy(update=stage),
                "acquisition": bench.acquisition.model_copy(update=acquisition),
            }
        )

    def field(self) -> dict[str, Any]:
        """Return what is chosen of the field."""
        chosen = {
            "lag_s": self.lag_s,
            "noise_v": self.noise_v,
            "has_object": self.has_object,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def options(self) -> list[str]:
        """Return the choices as options of ``aefi sim``, but for the fault script."""
        chosen = {
            "--seed": self.seed,
            "--baud": self.stage_baud,
            "--acquisition-baud": self.acquisition_baud,
            "--stage-turnaround-us": self.stage_turnaround_us,
            "--stage-jitter-us": self.stage_jitter_us,
            "--stage-tick-us": self.stage_tick_us,
            "--tick-us": self.tick_us,
            "--boot-ms": self.boot_ms,
            "--lag-s": self.lag_s,
            "--noise-v": self.noise_v,
        }
        words = [
            word
            for name, value in chosen.items()
            if value is not None
            for word in (name, str(value))
        ]
        flags = {
            "--unpaced": not self.paced,
            "--no-object": not self.has_object,
            "--stage-echoes": self.stage_echoes,
        }
        return [*words, *(flag for flag, is_set in flags.items() if is_set)]


def simulated_bench(
    bench: BenchConfiguration, settings: SimulationSettings
) -> _native.SimulatedBench:
    """Return a simulated bench as `bench` describes it, in virtual time.

    Raises
    ------
    ConfigurationError
        If the fault script is none.
    """
    bench = settings.of_bench(bench)
    try:
        return _native.SimulatedBench(
            seed=settings.seed,
            baud_code=BAUD_CODES[bench.stage.baud],
            paced=settings.paced,
            stage_turnaround_us=round(bench.stage.turnaround_ms * 1000),
            stage_jitter_us=settings.stage_jitter_us,
            stage_tick_us=settings.stage_tick_us,
            stage_echoes=settings.stage_echoes,
            acquisition_baud=bench.acquisition.baud,
            tick_us=settings.tick_us,
            boot_ms=settings.boot_ms,
            keep_conversions=settings.keep_conversions,
            **settings.field(),
            start_steps=_middle_steps(bench.description()),
            encoder_pulses_per_count=bench.wiring.encoder_pulses_per_count,
            script=settings.script,
        )
    except ValueError as err:
        raise ConfigurationError(f"fault script: {err}") from err


def bench_server(
    bench: BenchConfiguration,
    settings: SimulationSettings,
    *,
    truth: Path | None = None,
    links: Path | None = None,
) -> _native.BenchServer:
    """Open two ptys for a simulated bench; its ``run`` serves them.

    Parameters
    ----------
    bench, settings
        The bench.
    truth
        File for what really happens, as JSON lines.
    links
        Folder for links ``stage`` and ``acquisition`` to the ptys.
    """
    return _native.BenchServer(
        simulated_bench(bench, settings),
        truth=truth,
        links=links,
        script=settings.script,
    )


def _middle_steps(bench: BenchDescription) -> tuple[float, float]:
    """Return the middle of the travel: where a bench is left after a day's work."""
    x, y = (
        round((axis.travel_min_mm + axis.travel_max_mm) / 2 * 1000 / axis.um_per_step)
        for axis in (bench.x, bench.y)
    )
    return float(x), float(y)


class SimulatorProcess:
    """``aefi sim`` as a process of its own, ended with this one.

    Parameters
    ----------
    bench
        What it simulates; a shipped bench's name or a path.
    settings
        What is chosen of it.
    truth
        File in which it writes what really happened.
    """

    def __init__(
        self, bench: str, settings: SimulationSettings, truth: Path | None
    ) -> None:
        command = [
            *(sys.executable, "-m", "aefi_bluesky", "sim", "--child"),
            *("--bench", bench, *settings.options()),
            *(["--truth", str(truth)] if truth else []),
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".faults") as script:
            script.write(settings.script)
            script.flush()
            self._process = self._start([*command, "--faults", script.name])
            # Read by now, so that the file may go.
            self.stage_port, self.acquisition_port = self._read_ports()

    @staticmethod
    def _start(command: list[str]) -> subprocess.Popen[str]:
        # Its stdin is the leash: when this process dies, it reads the end and ends.
        # A session of its own keeps the terminal's Ctrl-C from it.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _read_ports(self) -> tuple[str, str]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        try:
            ports = json.loads(line)
            return ports["stage"], ports["acquisition"]
        except (json.JSONDecodeError, KeyError) as err:
            self.stop()
            raise DeviceUnavailableError(
                "the simulated bench did not start; run 'aefi sim' to see why"
            ) from err

    def stop(self) -> None:
        """End the process; nothing if it has ended."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
