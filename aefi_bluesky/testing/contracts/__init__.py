"""The promises of the ports as test suites: subclass one for each adapter."""
