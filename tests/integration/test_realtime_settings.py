"""What became of the real-time settings is in the flight's documents."""

from flyer_bench import VirtualBench

SETTINGS = [
    "stage_timer_slack",
    "stage_fifo_priority",
    "stage_low_latency",
    "detector_timer_slack",
    "detector_fifo_priority",
    "detector_low_latency",
    "memory_lock",
]


def test_in_virtual_time_every_setting_asked_for_says_so(new_run_engine, tmp_path):
    bench = VirtualBench(new_run_engine(), tmp_path)
    run = bench.fly()
    run.check()
    told = {name: run.column("health", f"realtime_{name}")[0] for name in SETTINGS}
    for name in SETTINGS:
        asked = name.endswith(("timer_slack", "low_latency"))
        assert told[name] == ("not available: virtual time" if asked else "not asked")
    (refused,) = run.column("health", "realtime_refused")
    assert "stage_timer_slack 1 ns: not available: virtual time" in refused
    assert "memory_lock" not in refused
    bench.close()
