"""Builders, fakes and contract suites for those who test with this package.

The suites in `aefi_bluesky.testing.contracts` need pytest.
"""
