"""What is left of the line for fixes while a line is flown, in virtual time."""

from aefi_bluesky.cli.bench.benches import LINKS, line_limit_hz
from aefi_bluesky.cli.bench.fly import virtual_figures


def test_other_queries_and_the_host_leave_the_line_to_the_fixes():
    link = LINKS["115200"]
    assert virtual_figures(link)["fixes_hz"] / line_limit_hz(link) >= 0.985
