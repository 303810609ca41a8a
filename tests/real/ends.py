"""Ways in which a task ends on a real engine, each with what brings it about. Effects: containers, files, ports."""

import shutil
from collections.abc import Callable, Mapping

from tests.real.failures import End, Play
from tests.waiting import until


def _send(name: str, times: int = 1) -> Callable[[Play], None]:
    return lambda play: play.signal(name, times)


def _remove_folder(play: Play) -> None:
    shutil.rmtree(play.folder)
    play.signal("KILL")


def _lose_port(play: Play) -> None:
    play.take_port()
    play.signal("KILL")
    play.await_port()


def _lose_port_until_it_failed(play: Play) -> None:
    play.take_port()
    play.await_port()
    until(lambda: play.step().startswith("back-"), 90, "V2 failed")
    play.clean.close()


def _lose_image(play: Play) -> None:
    play.remove_image()


def _lose_image_while_settling(play: Play) -> None:
    until(lambda: play.tasks("running"), 60, "V2 runs")
    _lose_image(play)


_LIMIT = {"deploy": {"resources": {"limits": {"memory": "24M"}}}}
_CHECK = {"healthcheck": {"test": ["CMD", "test", "!", "-e", "/data/harm"], "interval": "300ms", "retries": 2}}
_OUT_OF_MEMORY = "exec /bin/busybox tail /dev/zero"
_MOUNT = {"volumes": [{"type": "bind", "source": "FOLDER", "target": "/conf", "read_only": True}]}
ENDS: Mapping[str, End] = {
    "exit 0": End(says="exit code 0", at_once="exit 0", script="sleep 1; exit 0"),
    "exit 1": End(says="non-zero exit (1)", at_once="exit 1", script="sleep 1; exit 1"),
    "exit 1 once": End(says="", script="rm /data/harm; exit 1"),
    "out of memory": End(says="non-zero exit (137)", at_once=_OUT_OF_MEMORY, script=_OUT_OF_MEMORY, body=_LIMIT),
    "unhealthy": End(
        says="unhealthy", at_once="touch /data/harm; exec sh /notes_app.sh", script="sleep 60", body=_CHECK
    ),
    "killed from outside": End(says="", before=_send("KILL"), harm=_send("KILL")),
    "killed from outside three times": End(says="exit (137)", before=_send("KILL", 3), harm=_send("KILL", 3)),
    "terminated from outside": End(says="", before=_send("TERM"), harm=_send("TERM")),
    "terminated from outside three times": End(says="exit (143)", harm=_send("TERM", 3)),
    "no such command": End(says="no such file", body={"entrypoint": "/nowhere/nope"}, at_once="-"),
    "a command called after a network": End(
        says="executable file not found", body={"entrypoint": "network-setup"}, at_once="-"
    ),
    "its folder is missing": End(says="does not exist", body=_MOUNT, at_once="exit 0", harm=_remove_folder),
    "its port is taken": End(says="address already in use", before=_lose_port_until_it_failed, harm=_lose_port),
    "its image is gone": End(says="No such image", before=_lose_image_while_settling, harm=_lose_image),
}
