"""A bench's devices from plain values, for loaders that read them from a file.

What guarneri, apsbits or happi need: functions whose arguments are numbers and words.
A session of ``aefi shell`` has RunEngine and storage too; this has neither.
"""

# No ``from __future__ import annotations``: loaders check values against the types.

import atexit
import contextlib
from pathlib import Path

from bluesky import RunEngine
from ophyd import Device

from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.session.bench_devices import BenchDevices, open_bench
from aefi_bluesky.session.choices import bench_kind
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.folders import SessionFolders, user_folder
from aefi_bluesky.session.log_file import log_to
from aefi_bluesky.session.signals import StopMotion

_opened: dict[tuple[str, str, Path], tuple[BenchDevices, contextlib.ExitStack]] = {}


def bench_devices(
    bench: str = "simulated", kind: str = "ptys", folder: str = ""
) -> list[Device]:
    """Return all devices of a bench; the same ones if they are asked for again.

    The bench is opened by the first call in a process, and left at rest, without
    excitation, by `close_benches` or the interpreter's end.

    Parameters
    ----------
    bench
        Name of a shipped bench file, or a path.
    kind
        ``real`` ports, a simulated bench on ``ptys``, or one in ``virtual`` time.
    folder
        Folder for samples and calibrations, used by this process alone; if empty, the
        user's own data folder. Tiled must be able to read its folder ``raw``.

    Returns
    -------
    list[Device]
        ``stage_x``, ``stage_y``, ``sensor``, ``excitation``, ``flyer``, ``bench``,
        ``bench_meter`` and ``calibration``.

    Raises
    ------
    ConfigurationError
        If the bench file or the kind is wrong.
    StorageError
        If the folder can't be written.
    SessionBusyError
        If another process or another bench works in the folder; the message names the
        process.
    """
    return list(_bench(bench, kind, folder).devices)


def bench_device(
    name: str, bench: str = "simulated", kind: str = "ptys", folder: str = ""
) -> Device:
    """Return one device of a bench; see `bench_devices`.

    Parameters
    ----------
    name
        The device's name.
    bench, kind, folder
        As `bench_devices` has them; all devices with the same ones share a bench.

    Raises
    ------
    ConfigurationError
        If the bench has no such device, and as in `bench_devices`.
    """
    devices = {device.name: device for device in bench_devices(bench, kind, folder)}
    if name not in devices:
        raise ConfigurationError(
            f"bench {bench!r} has no device {name!r}; it has {', '.join(devices)}"
        )
    return devices[name]


def stop_on_signals(
    engine: RunEngine, bench: str = "simulated", kind: str = "ptys", folder: str = ""
) -> None:
    """Let Ctrl-C twice stop a bench's motion at once, in every run of a RunEngine.

    Parameters
    ----------
    engine
        Runs the plans.
    bench, kind, folder
        As `bench_devices` has them.
    """
    engine.context_managers.append(StopMotion(_bench(bench, kind, folder).port))


def close_benches() -> None:
    """Leave every opened bench at rest and without excitation, and let it go."""
    while _opened:
        _, (_, stack) = _opened.popitem()
        stack.close()


atexit.register(close_benches)


def _bench(bench: str, kind: str, folder: str) -> BenchDevices:
    root = Path(folder).absolute() if folder else user_folder()
    key = (bench, kind, root)
    if key not in _opened:
        _opened[key] = _open(bench, kind, root)
    return _opened[key][0]


def _open(
    bench: str, kind: str, root: Path
) -> tuple[BenchDevices, contextlib.ExitStack]:
    known_kind, configuration = bench_kind(kind, "kind"), load_bench(bench)
    folders = SessionFolders.below(root)
    with contextlib.ExitStack() as stack:
        stack.enter_context(folders.held())
        stack.enter_context(log_to(folders.log))
        opened = open_bench(
            kind=known_kind, folders=folders, bench=bench, configuration=configuration
        )
        return stack.enter_context(opened), stack.pop_all()
