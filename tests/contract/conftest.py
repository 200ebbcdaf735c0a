"""Asserts of the contract suites say what they found."""

import pytest

pytest.register_assert_rewrite(
    "aefi_bluesky.testing.contracts.scan_port",
    "aefi_bluesky.testing.contracts.study_repository",
)
