"""A Debian host with systemd as PID 1 and a Docker engine of its own, in one container of the engine here."""
