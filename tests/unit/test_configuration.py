import pytest

from aefi_bluesky.domain.bench.description import WiringDescription
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.engine import RealtimeSettings
from aefi_bluesky.session.configuration import load_bench

SHIPPED = ("simulated", "aefi")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_bench_is_the_reference_bench(name):
    bench = load_bench(name).description()
    assert bench.y.travel_max_mm == pytest.approx(56_320 * 0.0218)
    assert bench.motion.start_speed_mm_per_s == pytest.approx(21.8)
    assert bench.detector.reading_rate_hz == 62.5


@pytest.mark.parametrize(("name", "limit_hz"), [("simulated", 489.8), ("aefi", 74.1)])
def test_the_line_limit_is_bytes_and_turnaround(name, limit_hz):
    link = load_bench(name).description().link
    assert link.fix_line_limit_hz == pytest.approx(limit_hz, rel=1e-3)


def written(tmp_path, old, new):
    from importlib import resources

    shipped = resources.files("aefi_bluesky.profiles") / "benches" / "simulated.toml"
    text = shipped.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "bench.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ramp_ms = 300", "ramp_ms = -1", "stage.ramp_ms: .* greater than 0, was -1"),
        ("baud = 115200", "baud = 115201", "must be one of 9600, .* was 115201"),
        ("ramp_ms", "host_watch_ms = 200\nramp_ms", "1000 to 600000 ms, was 200"),
        ("ramp_ms", "reply_delay_us = -1\nramp_ms", "reply_delay_us: .* was -1"),
        ("vref_v = 2.442", "vref_v = nan", "vref_v: .* was nan"),
        ("gain = 1", "gian = 1", "gian: Extra inputs"),
        (
            "lock_memory",
            "fifo_priority = 100\nlock_memory",
            "realtime.fifo_priority: .* must be 1 to 99, was 100",
        ),
        ("low_latency = true", "low_latency = 1", "low_latency: .* boolean, was 1"),
        (
            "[realtime]",
            "[wiring]\nencoder_pulses_per_count = nan\n[realtime]",
            "encoder_pulses_per_count: .* was nan",
        ),
        (
            "[realtime]",
            "[wiring]\nencoder_pulses_per_count = -1\n[realtime]",
            "encoder_pulses_per_count: .* 0.001 to 10000 steps a count, was -1",
        ),
        (
            "[realtime]",
            "[wiring]\nsync_output = true\n[realtime]",
            "wiring: .* give encoder_pulses_per_count too",
        ),
        (
            "[realtime]",
            "[wiring]\ndigital_output = 4\n[realtime]",
            "digital_output: .* must be 5 to 8, or 0 for none: .* was 4",
        ),
        (
            "[realtime]",
            "[wiring]\nlatch = 1\n[realtime]",
            "latch: .* boolean, was 1",
        ),
        ("name =", "name", "bench file"),
    ],
)
def test_a_wrong_bench_file_is_refused_with_key_and_value(tmp_path, old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        load_bench(written(tmp_path, old, new))


def test_a_missing_bench_file_is_named():
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read"):
        load_bench("nowhere.toml")


def test_other_ports_leave_the_rest_as_it_is():
    bench = load_bench("simulated")
    moved = bench.on_ports("/dev/pts/8", "/dev/pts/9")
    assert (moved.links().stage_port, moved.links().acquisition_port) == (
        "/dev/pts/8",
        "/dev/pts/9",
    )
    assert moved.description() == bench.description()


@pytest.mark.parametrize(("baud", "period_ms"), [(115200, 500), (9600, 1061)])
def test_status_queries_leave_the_line_to_the_fixes(tmp_path, baud, period_ms):
    bench = load_bench(written(tmp_path, "baud = 115200", f"baud = {baud}"))
    assert bench.links().status_period_ms == period_ms


def test_setting_up_the_stage_takes_its_exchanges_and_their_bytes(tmp_path):
    """23 of 287 bytes; 3000 steps/s, 1000 steps/s and 300 ms: each digit four times."""
    exchanges_s, bytes_s = 23 * 0.001, (287 + 4 * 11) * 10 / 115200
    setup_s = load_bench("simulated").description().link.setup_s
    assert setup_s == pytest.approx(exchanges_s + bytes_s)
    watched = "status_period_ms = 500\nhost_watch_ms = 5000"
    bench = load_bench(written(tmp_path, "status_period_ms = 500", watched))
    added_s = bench.description().link.setup_s - setup_s
    assert added_s == pytest.approx(2 * 0.001 + 27 * 10 / 115200)


@pytest.mark.parametrize(("tick_ms", "setup_s"), [(1.0, 0.0695), (16.0, 0.632)])
def test_registers_are_written_at_ticks(tick_ms, setup_s):
    """Ten of 40 exchanges fit into a millisecond; the first begins between ticks."""
    table = load_bench("simulated").acquisition
    slow = table.model_copy(update={"baud": 115200, "latency_tick_ms": tick_ms})
    assert slow.register_setup_s() == pytest.approx(setup_s)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_bench_that_says_nothing_of_real_time_is_as_the_shipped_ones(name, tmp_path):
    links = load_bench(name).links()
    assert links.realtime == RealtimeSettings(
        timer_slack=True, fifo_priority=None, lock_memory=False, low_latency=True
    )
    silent = written(
        tmp_path,
        "timer_slack = true",
        "# timer_slack = true",
    )
    assert load_bench(silent).links().realtime == links.realtime


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_bench_has_no_wiring(name):
    assert load_bench(name).description().wiring == WiringDescription()


def test_wiring_reaches_the_description(tmp_path):
    wiring = (
        "[wiring]\nencoder_pulses_per_count = 0.390625\nsync_output = true\n"
        "digital_output = 8\nlatch = true\n[realtime]"
    )
    bench = load_bench(written(tmp_path, "[realtime]", wiring))
    assert bench.description().wiring == WiringDescription(0.390625, True, 8, True)


def test_real_time_settings_reach_the_links(tmp_path):
    asked = "fifo_priority = 50\nlock_memory = true\n# lock_memory"
    links = load_bench(written(tmp_path, "lock_memory", asked)).links()
    assert links.realtime == RealtimeSettings(fifo_priority=50, lock_memory=True)
