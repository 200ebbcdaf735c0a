"""The scan engine and the simulated bench, in Rust.

Positions are in steps of the stage controller and times in nanoseconds; only
`aefi_bluesky.engine` turns them into mm and s. Every class is immutable from
Python and may be used from any thread. A call that may wait lets other Python
threads run.

Errors are raised as classes of `aefi_bluesky.domain.errors`, but for `ValueError`
and `OverflowError` where an argument is no value of its type.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "BenchServer",
    "DetectorLink",
    "Flight",
    "FlightEnd",
    "FlightPlan",
    "PortOpening",
    "Realtime",
    "Sampler",
    "SignalLine",
    "SignalStop",
    "SimulatedBench",
    "StageLink",
    "StageMoves",
    "read_spool",
    "require_free",
    "sample_path",
]

_Table: TypeAlias = dict[str, npt.NDArray[Any]]
_Registers: TypeAlias = list[tuple[int, int]]

@final
class PortOpening:
    """What happens when a port is opened.

    Parameters
    ----------
    dtr, rts
        Levels of the lines "data terminal ready" and "request to send"; None leaves
        them to the system, which raises them.
    delay_ms
        How long nothing is asked then, in ms.
    """

    def __new__(
        cls, *, dtr: bool | None = None, rts: bool | None = None, delay_ms: int = 0
    ) -> PortOpening: ...
    @property
    def dtr(self) -> bool | None:
        """Level of "data terminal ready"."""

    @property
    def rts(self) -> bool | None:
        """Level of "request to send"."""

    @property
    def delay_ms(self) -> int:
        """How long nothing is asked, in ms."""

@final
class StageLink:
    """How the stage controller is reached.

    Parameters
    ----------
    port
        Name of the serial port; unused in virtual time.
    baud
        Bits per second, in frames of ten bits.
    paced
        False if bytes take no time: a simulated bench without wire pacing.
    name
        The controller's device name (``DN``); another one ends the flight before
        anything moves.
    address
        RS-485 address that commands begin with, 0 to 99.
    reply_allowance_ms
        Time from request to reply beyond the wire time, at most, in ms.
    reply_delay_us
        A counter is latched at least this long before its reply begins, in us: what
        is known of the controller's own delay; 0 if nothing is.
    status_period_ms
        Period of full position queries in flight, in ms; status is asked half as
        often, and when an axis that was sent off stands still.
    host_watch_ms
        The controller reports a host that is silent for so long (``TOC``), in ms;
        0 leaves its watch alone.
    opening
        What happens when the port is opened; nothing by default.
    """

    def __new__(
        cls,
        *,
        port: str,
        baud: int,
        paced: bool,
        name: str,
        address: int,
        reply_allowance_ms: int,
        reply_delay_us: int,
        status_period_ms: int,
        host_watch_ms: int,
        opening: PortOpening = ...,
    ) -> StageLink: ...
    @property
    def opening(self) -> PortOpening:
        """What happens when the port is opened."""

    @property
    def port(self) -> str:
        """Name of the serial port."""

    @property
    def baud(self) -> int:
        """Bits per second."""

    @property
    def paced(self) -> bool:
        """Whether bytes take their time."""

    @property
    def name(self) -> str:
        """The controller's device name."""

    @property
    def address(self) -> int:
        """RS-485 address."""

    @property
    def reply_allowance_ms(self) -> int:
        """Time from request to reply beyond the wire time, at most, in ms."""

    @property
    def reply_delay_us(self) -> int:
        """Time from a latch to its reply, at least, in us."""

    @property
    def status_period_ms(self) -> int:
        """Period of full position queries in flight, in ms."""

    @property
    def host_watch_ms(self) -> int:
        """Silence of the host that the controller reports, in ms; 0 for none."""

    def clear_errors(self) -> None:
        """Let the stage forget latched limit and alarm errors.

        Raises
        ------
        ScanPortError
            If the port can't be opened, or another device or none answers.
        """

    def poll(self, duration_s: float, spin_us: int = 0) -> dict[str, int]:
        """Ask for the position of x, back to back, on the caller's thread.

        The way of each exchange is that of a flight; nothing moves. Other Python
        threads run meanwhile; a signal is heard when the time is over. `spin_us` is
        as in `Realtime`.

        Returns
        -------
        dict
            ``stage_fixes`` (positions understood), ``stage_elapsed`` (from the first
            reply to the last, in ns: one exchange less), ``stage_timeouts``, and the
            times of `FlightEnd.times_ns`.

        Raises
        ------
        ScanPortError
            If the port can't be opened.
        """

    def poll_virtual(self, bench: SimulatedBench, duration_s: float) -> dict[str, int]:
        """As `poll`, on a bench in virtual time.

        Raises
        ------
        PortBusyError
            If the bench is in flight.
        """

    def clear_errors_virtual(self, bench: SimulatedBench) -> None:
        """Let the stage of a bench in virtual time forget them.

        Raises
        ------
        ScanPortError
            As `clear_errors`, or if the bench is in flight.
        """

@final
class DetectorLink:
    """How the microcontroller is reached.

    Parameters
    ----------
    port
        Name of the serial port; unused in virtual time.
    baud
        Bits per second, in frames of ten bits.
    paced
        False if bytes take no time: a simulated bench without wire pacing.
    reply_allowance_ms
        Time from request to reply beyond wire time and conversions, at most, in ms.
    conversion_ns
        Period of one conversion, in ns.
    opening
        What happens when the port is opened; nothing by default.
    """

    def __new__(
        cls,
        *,
        port: str,
        baud: int,
        paced: bool,
        reply_allowance_ms: int,
        conversion_ns: int,
        opening: PortOpening = ...,
    ) -> DetectorLink: ...
    @property
    def opening(self) -> PortOpening:
        """What happens when the port is opened."""

    @property
    def port(self) -> str:
        """Name of the serial port."""

    @property
    def baud(self) -> int:
        """Bits per second."""

    @property
    def paced(self) -> bool:
        """Whether bytes take their time."""

    @property
    def reply_allowance_ms(self) -> int:
        """Time from request to reply beyond wire and conversions, at most, in ms."""

    @property
    def conversion_ns(self) -> int:
        """Period of one conversion, in ns."""

@final
class Realtime:
    """What the system is asked for, for the sake of time; see `FlightEnd.realtime`.

    Parameters
    ----------
    timer_slack
        Timers of the link threads may be 1 ns late by choice.
    fifo_priority
        ``SCHED_FIFO`` priority of the link threads, 1 to 99; None leaves them alone.
    lock_memory
        Keep all memory of the process in RAM.
    low_latency
        Let the serial adapters hand on each reply within 1 ms.
    spin_us
        How long before and after its usual time a reply of the stage is waited for
        awake, in us.
    """

    def __new__(
        cls,
        *,
        timer_slack: bool,
        fifo_priority: int | None,
        lock_memory: bool,
        low_latency: bool,
        spin_us: int,
    ) -> Realtime: ...
    @property
    def timer_slack(self) -> bool:
        """Whether the timers' slack is reduced."""

    @property
    def fifo_priority(self) -> int | None:
        """Priority of the link threads."""

    @property
    def lock_memory(self) -> bool:
        """Whether memory is kept in RAM."""

    @property
    def low_latency(self) -> bool:
        """Whether the adapters are to hurry."""

    @property
    def spin_us(self) -> int:
        """How long the stage's thread waits awake, in us."""

@final
class StageMoves:
    """The stage outside flights: moves of both axes, served on a thread of its own.

    The port is opened at need and kept until `release`. Dropping this stops what
    moves.

    Parameters
    ----------
    link
        How the stage is reached.
    speeds, start_speeds
        Of x and y, in steps/s.
    ramps_ms
        Duration of the ramps of x and y, in ms.
    bench
        A bench in virtual time instead of the link's port.
    """

    def __new__(
        cls,
        link: StageLink,
        *,
        speeds: Sequence[int],
        start_speeds: Sequence[int],
        ramps_ms: Sequence[int],
        bench: SimulatedBench | None = None,
    ) -> StageMoves: ...
    def move_to(self, axis_name: str, target: int, speed: int) -> bool:
        """Order a move to a counter, at a speed in steps/s; returns at once.

        Returns
        -------
        bool
            False if the axis has a move that did not end: nothing was ordered.

        Raises
        ------
        ValueError
            If the axis is neither ``"x"`` nor ``"y"``.
        """

    def home(self, axis_name: str, upwards: bool, mode: int, speed: int) -> bool:
        """Order the way to the home input (Arcus reference §6.5); as `move_to`."""

    def wait(
        self, axis_name: str, timeout_s: float
    ) -> tuple[str, Exception | None] | None:
        """Wait for the end of an axis' last move.

        Returns
        -------
        tuple or None
            ``"arrived"``, ``"stopped"`` or ``"failed"``, and the error of a failure;
            None if it did not end in time.
        """

    def look(self) -> tuple[int | None, int | None]:
        """Ask where x and y are, in steps; nothing moves.

        Raises
        ------
        ScanPortError
            If the port can't be opened, or another device or none answers.
        """

    @property
    def positions(self) -> tuple[int | None, int | None]:
        """Where x and y were when they were last asked, in steps."""

    def stop(self) -> None:
        """Stop what moves with its ramp; returns at once."""

    def abort(self) -> None:
        """Let what moves stand at once; returns at once."""

    def wait_for_rest(self, timeout_s: float) -> bool:
        """Wait until no move is ordered or under way; return whether so."""

    def release(self) -> bool:
        """Let the port go, and return whether that was done: not while it moves."""

@final
class Sampler:
    """The acquisition outside flights, one call after the other.

    The port is opened at need and kept until `release`.

    Parameters
    ----------
    link
        How the microcontroller is reached.
    bench
        A bench in virtual time instead of the link's port.
    """

    def __new__(
        cls, link: DetectorLink, *, bench: SimulatedBench | None = None
    ) -> Sampler: ...
    def run(
        self, *, writes: _Registers, averaging: int = 1, readings: int = 0
    ) -> list[tuple[int, int, list[int]]]:
        """Write registers, then take readings, back to back.

        Returns
        -------
        list
            For each reading: start and end of its exchange in ns of the bench's
            clock, and the codes of channels 1 to 8.

        Raises
        ------
        ValueError
            If `averaging` is not 1 to 127.
        ScanPortError
            If the port can't be opened, or the device does not answer.
        """

    def switch_off(self, writes: _Registers) -> None:
        """Write the registers that take the excitation away, whatever the link does.

        A device that does not answer gets every write all the same.

        Raises
        ------
        ScanPortError
            If the port can't be opened, or the device did not acknowledge each write.
        """

    def release(self) -> None:
        """Let the port go."""

@final
class FlightPlan:
    """Lines and frames in steps, checked before anything moves.

    Frames are numbered in the order they are passed, from 0.

    Parameters
    ----------
    fast_axis
        ``"x"`` or ``"y"``: the axis that moves in the windows.
    speed
        Speed in the windows, in steps/s; 1 to 6 000 000, as all speeds.
    positioning_speed
        Speed between lines, in steps/s.
    start_speed
        Speed at which every ramp starts and ends, in steps/s.
    ramp_ms
        Duration of a ramp, in ms.
    stations
        Shape (lines, 5): position of the slow axis, start of the run-up, end of the
        run-down, all in steps, the number of frames, and 1 if the excitation is off
        during the line, else 0.
    windows
        Shape (lines, 2): outer edges of the first and of the last frame passed, in
        steps.
    averaging
        Conversions averaged into a reading, 1 to 127.
    min_readings
        Readings that a frame needs to be ok; at least 1.
    extra_passes
        Passes over frames that are not ok, at most, beyond the first.
    lag_ns
        What a reading shows is so much older than its integration, in ns; 0 to 10 s.
    trigger
        What decides when a reading is taken or a pulse given, and its number:
        ``"periodic"`` and the period in ns, ``"sync-output"`` and the steps for each
        encoder count, ``"digital-output"`` and the output, 5 to 8; 0 with
        ``"free-running"``, ``"positions"`` and ``"latch"``.
    excitation
        Registers (address, value) of the microcontroller written before the first
        line.
    excitation_off
        Registers written when the flight is over, however it ends.

    Raises
    ------
    ValueError
        If the axis is neither ``"x"`` nor ``"y"``, `averaging` is out of range, or
        the trigger is none of the six.
    InvalidScanSpecError
        If there is no line, a line's stations are not in the order they are passed,
        or a number is outside its range.
    """

    def __new__(
        cls,
        *,
        fast_axis: str,
        speed: int,
        positioning_speed: int,
        start_speed: int,
        ramp_ms: int,
        stations: npt.NDArray[np.int64],
        windows: npt.NDArray[np.float64],
        averaging: int,
        min_readings: int,
        extra_passes: int,
        lag_ns: int,
        trigger: tuple[str, float],
        excitation: _Registers,
        excitation_off: _Registers,
    ) -> FlightPlan: ...
    @property
    def frames(self) -> int:
        """Number of frames planned."""

@final
class Flight:
    """A flight under way on threads of its own; dropping it stops the motion.

    It is made by `start` or `start_virtual`.
    """

    frame_states: ClassVar[list[str]]
    """Names of the frame states; a state's code is its place in this list."""

    @staticmethod
    def start(
        plan: FlightPlan,
        stage: StageLink,
        detector: DetectorLink,
        *,
        realtime: Realtime | None = None,
        spool: str | PathLike[str] | None = None,
        spool_note: str = "",
    ) -> Flight:
        """Open both ports exclusively, start to fly and return at once.

        The ports are closed when the flight has ended.

        Parameters
        ----------
        plan, stage, detector
            What is flown, and on what.
        realtime
            What the system is asked for; None asks for nothing.
        spool
            New file that gets all records while flying, twice a second, whatever
            Python does; see `read_spool`. If the disk refuses them, the flight ends
            with a ramped stop, as failed. None keeps none.
        spool_note
            Text kept in the file's header.

        Raises
        ------
        PortBusyError
            If another program holds a port.
        DeviceUnavailableError
            If a port is missing or refused.
        StorageError
            If there is such a file, or it can't be made.
        OSError
            If the system refuses a thread.
        """

    @staticmethod
    def start_virtual(
        plan: FlightPlan,
        stage: StageLink,
        detector: DetectorLink,
        bench: SimulatedBench,
        *,
        realtime: Realtime | None = None,
        spool: str | PathLike[str] | None = None,
        spool_note: str = "",
    ) -> Flight:
        """Fly `bench` in virtual time, as fast as the machine can; return at once.

        The spool is that of `start`. Nothing is asked of the system: the end says so.

        Raises
        ------
        PortBusyError
            If the bench is in flight.
        StorageError
            If there is such a file, or it can't be made.
        OSError
            If the system refuses the thread.
        """

    def pause(self) -> None:
        """Ask for a ramped stop that keeps the ledger of frames; return at once."""

    def resume(self) -> bool:
        """Take a pause back and return whether there was one."""

    def stop(self) -> None:
        """Ask for a ramped stop that ends the flight; return at once."""

    def abort(self) -> None:
        """Ask for a stop without ramp that ends the flight; return at once.

        The position is suspect until the axes are referenced again.
        """

    @property
    def spool(self) -> Path | None:
        """The file that keeps what is recorded, if there is one."""

    @property
    def state(self) -> str:
        """Where the flight stands.

        One of ``preparing``, ``flying``, ``pausing``, ``paused``, ``completed``,
        ``stopped``, ``aborted``, ``failed``.
        """

    @property
    def done(self) -> tuple[int, int]:
        """Lines flown, and frames in a final state."""

    @property
    def positions(self) -> tuple[float, float]:
        """Expected positions of x and y by now, in steps; NaN before the first fix."""

    @property
    def began_ns(self) -> int:
        """Start of the flight by its own clock, in ns."""

    @property
    def now_ns(self) -> int:
        """The present by the flight's own clock, in ns.

        The clock is the system's monotonic one, or the simulated bench's time.
        """

    def end(self) -> FlightEnd | None:
        """Return how the flight ended; None while a thread of it still runs.

        What the flight produced before is in the rings when this returns an end.
        """

    def drain(self) -> dict[str, _Table]:
        """Take all records that wait, as columns of equal length.

        A line is never handed out before its frames. Times are in ns since the
        flight began, positions in steps, voltages in codes.

        Returns
        -------
        dict
            ``fixes``: t_sent, t_received, axis (0 is x), counts.
            ``readings``: t_start, t_end, x, x_lo, x_hi, y, y_lo, y_hi, frame (-1 in
            no frame), code_1 to code_8.
            ``frames``: frame, line, pass, state (code), count, t, place as for
            readings, mean_1 to mean_6, std_1 to std_6 (NaN below two readings).
            ``lines``: line, pass, turnaround_from, began, entered, left, ended, n_ok,
            n_not_ok, n_readings, n_fixes, n_exchanges, period_p50, period_p99,
            period_max (between queries of the fast axis).
        """

    def lost(self) -> dict[str, tuple[int, int, int]]:
        """Return how many records were lost because their ring was full, by table.

        How many records, and the index of the first and the last of them, from 0, in
        the order of production.
        """

@final
class FlightEnd:
    """How a flight ended."""

    @property
    def state(self) -> str:
        """``completed``, ``stopped``, ``aborted`` or ``failed``."""

    @property
    def cause(self) -> str:
        """Why the flight ended before its last frame; empty if it did not."""

    @property
    def error(self) -> BaseException | None:
        """The cause as an exception of `aefi_bluesky.domain.errors`."""

    @property
    def stops(self) -> tuple[int, int, int]:
        """Ramped stops, aborts and orders to switch the drives off that were sent."""

    @property
    def position_suspect(self) -> bool:
        """Whether steps may have been lost: reference the axes."""

    @property
    def totals(self) -> list[int]:
        """Frames by state, in the order of `Flight.frame_states`.

        The sum is the number planned.
        """

    @property
    def began_ns(self) -> int:
        """Start of the flight by its own clock, in ns."""

    @property
    def ended_ns(self) -> int:
        """End of the flight by its own clock, in ns."""

    @property
    def excitation_off(self) -> bool:
        """Whether every write that takes the excitation away was acknowledged."""

    @property
    def timeouts(self) -> int:
        """Requests without a reply in time, on both links."""

    @property
    def misunderstood(self) -> int:
        """Replies that their protocol does not allow, on both links."""

    @property
    def echoed_bytes(self) -> int:
        """Bytes of requests that an adapter sent back, of the stage's link."""

    @property
    def stray_bytes(self) -> int:
        """Bytes received that belong to no request, on both links."""

    @property
    def times_ns(self) -> dict[str, int]:
        """Round trips, periods and own part of each link and its busy time, in ns.

        Keys are ``stage_`` or ``detector_``, ``round_trip_``, ``period_`` or ``own_``
        (from a reply to the next request: what this program takes) and ``p50``,
        ``p99``, ``p999`` or ``max`` (quantiles right within 1/16), and ``stage_busy``,
        ``detector_busy``: the sum of all round trips.
        """

    @property
    def lost(self) -> list[tuple[int, int, int]]:
        """Records that the correlator never saw, of the stage and of the detector.

        As in `Flight.lost`.
        """

    @property
    def latch(self) -> tuple[float, float] | None:
        """Where in its turnaround the stage controller latched its counters.

        A fraction, 0 for its beginning and 1 for its end, and the standard error of
        it; None if the flight did not tell.
        """

    @property
    def spool_error(self) -> str | None:
        """Why the spool ended before the flight; None if it did not."""

    @property
    def spool_records(self) -> int:
        """Records of the spool that the disk has acknowledged."""

    @property
    def realtime(self) -> list[tuple[str, str, str, bool]]:
        """What became of each setting of the system.

        Its name (``stage_timer_slack`` ...), what was asked (empty if nothing), what
        became of it (``applied``, ``not asked``, ``refused: ...`` or ``not available:
        ...``), and whether it was asked in vain.
        """

@final
class SignalStop:
    """Pauses flights on signals, on a thread that needs no interpreter."""

    def __new__(cls) -> SignalStop: ...
    def watch(self, flight: Flight) -> None:
        """Let signals pause `flight` too; it is not kept alive for it."""

    @property
    def is_holding(self) -> bool:
        """Whether a pause of a flight watched is in force."""

    def listen(self, *, at_once: Sequence[int], on_second: Sequence[int]) -> SignalLine:
        """Start to act on signals.

        Parameters
        ----------
        at_once
            Numbers of signals that pause.
        on_second
            Numbers of signals that pause at the second one, 0.1 s to 10 s after the
            first.

        Raises
        ------
        OSError
            If the system refuses a pair of sockets or a thread; on another system
            than a Unix, always.
        """

@final
class SignalLine:
    """Where numbers of signals are written; it is closed when it is dropped."""

    @property
    def descriptor(self) -> int:
        """The descriptor to write to, for `signal.set_wakeup_fd`."""

    def hear(self) -> int | None:
        """Wait for the next signal; return its number after it was acted on.

        None when the line is closed. Other Python threads run meanwhile.
        """

    def close(self) -> None:
        """End the thread; signals written before have been acted on."""

@final
class SimulatedBench:
    """A simulated stage controller, microcontroller and field, byte for byte.

    Parameters
    ----------
    seed
        Of noise, jitter and tick phase: the same seed gives the same run.
    baud_code
        The stage's rate as its ``DB`` command has it: 1 is 9600, 5 is 115 200 Bd.
    paced
        False takes all wire time away: not physical.
    stage_turnaround_us
        Time of the stage controller from request to reply, in us.
    stage_jitter_us
        Upper bound of a random addition to that time, in us.
    stage_tick_us
        Latency tick of the stage's adapter, in us: replies reach the host at its
        multiples only; 0 for none.
    stage_echoes
        Whether the stage's adapter sends requests back.
    acquisition_baud
        Rate of the acquisition's line, in Bd.
    tick_us
        Latency tick of the acquisition's USB adapter, in us; 0 for none.
    boot_ms
        How long the microcontroller hears nothing after its port was opened, in ms;
        on ptys only.
    start_steps
        Where both axes rest at first, x before y, in steps; 0 by default.
    lag_s
        Time constant of the lock-in detection, in s.
    noise_v
        Standard deviation of one conversion's noise, in V.
    has_object
        Whether there is an object to be measured.
    keep_conversions
        False leaves the conversions out of the truth, which they make grow.
    encoder_pulses_per_count
        Motor steps for each count of the encoders on all axes; 0 for no encoders.
    script
        Fault script, one fault a line: ``at 1.5s do lose-reply stage``.

    Raises
    ------
    ValueError
        If the fault script has a line that is none.
    """

    def __new__(
        cls,
        *,
        seed: int = 0,
        baud_code: int = 1,
        paced: bool = True,
        stage_turnaround_us: int = 1000,
        stage_jitter_us: int = 0,
        stage_tick_us: int = 0,
        stage_echoes: bool = False,
        acquisition_baud: int = 1500000,
        tick_us: int = 16000,
        boot_ms: int = 0,
        start_steps: tuple[float, float] = ...,
        lag_s: float = 0.010,
        noise_v: float = 60e-6,
        has_object: bool = True,
        keep_conversions: bool = True,
        encoder_pulses_per_count: float = 0.0,
        script: str = "",
    ) -> SimulatedBench: ...
    def write_truth(self, path: str | PathLike[str]) -> None:
        """Write what really happened so far to a new file, as JSON lines.

        Raises
        ------
        OSError
            If the bench stays in flight for 5 s, or the file can't be written.
        """

@final
class BenchServer:
    """A simulated bench served on two ptys.

    Parameters
    ----------
    bench
        Its settings are taken; it stays free itself.
    truth
        File for what really happens, as JSON lines.
    links
        Folder for links ``stage`` and ``acquisition`` to the ptys.
    script
        Fault script of the bench served; that of `bench` is not taken over.

    Raises
    ------
    ValueError
        If the fault script has a line that is none.
    OSError
        If there is no pty, or a file can't be made.
    """

    def __new__(
        cls,
        bench: SimulatedBench,
        *,
        truth: str | PathLike[str] | None = None,
        links: str | PathLike[str] | None = None,
        script: str = "",
    ) -> BenchServer: ...
    @property
    def stage_path(self) -> Path:
        """Path of the stage's pty."""

    @property
    def acquisition_path(self) -> Path:
        """Path of the acquisition's pty."""

    def run(self) -> None:
        """Serve until a signal handler raises; once.

        Raises
        ------
        OSError
            If the bench was served already, or serving fails.
        """

def require_free(port: str) -> None:
    """Refuse a port that a program has open; on Linux only.

    Raises
    ------
    PortBusyError
        If one has; names it.
    """

def read_spool(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what a spool holds, of a flight under way, ended or cut off.

    Returns
    -------
    dict
        ``fixes``, ``readings``, ``frames``, ``lines``: as from `Flight.drain`.
        ``note``: text of the caller. ``began_ns``, ``began_utc_ns``: start of the
        flight by its own clock, and in ns since 1970. ``torn_bytes``: left out at the
        end, as they are no whole record. ``is_growing``: whether its flight is under
        way. ``state``, ``cause``: how the flight ended; None if the file ends before.

    Raises
    ------
    OSError
        If the file can't be read.
    ValueError
        If it is no spool.
    """

def sample_path(batches: int) -> list[tuple[float, float]]:
    """Time a position sample without any system call but the clock's.

    Parameters
    ----------
    batches
        How often 16 384 samples are timed.

    Returns
    -------
    list
        For each batch the ns a sample of two stamps, parsing and the push into a ring
        alone, and of the whole exchange of a conversation.
    """
