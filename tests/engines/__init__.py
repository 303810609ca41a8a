"""Docker Engines other than the machine's own, for tests: a Debian tree each, started beside the machine's."""
