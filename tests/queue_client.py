"""The queue server as a person starts it, and a client of it."""

from __future__ import annotations

import re

from bluesky_queueserver_api.comm_base import RequestFailedError
from bluesky_queueserver_api.zmq import REManagerAPI
from real_time import PATIENCE_S, Program


class QueueServerProgram(Program):
    """``aefi qserver`` as a process, on free ports."""

    def __init__(self, folder, *options, **popen):
        ports = ("--port", "0", "--info-port", "0")
        super().__init__("qserver", folder, *ports, *options, **popen)
        self.addresses = {}

    def wait_for_answer(self):
        """Read where it listens; an end of it is an error."""
        for line in self.process.stdout:
            name, _, address = line.partition(":")
            self.addresses[name] = address.strip()
            if line.startswith("Press Ctrl-C"):
                return self
        raise AssertionError(self.process.communicate())

    @property
    def redis_port(self):
        """Port of the Redis that it has started."""
        log = (self.folder / "qserver" / "redis.log").read_text()
        return int(re.search(r"port=(\d+)", log)[1])


class QueueClient:
    """What a client of a queue server does, one thing a method.

    Parameters
    ----------
    server
        A `QueueServerProgram` that answers.
    """

    def __init__(self, server):
        self.api = REManagerAPI(
            zmq_control_addr=server.addresses["requests"],
            zmq_info_addr=server.addresses["console"],
        )

    def open(self):
        self.api.environment_open()
        self.api.wait_for_idle(timeout=PATIENCE_S * 2)
        assert self.api.status()["worker_environment_exists"]

    def close_environment(self):
        self.api.environment_close()
        self.api.wait_for_idle(timeout=PATIENCE_S)
        assert not self.api.status()["worker_environment_exists"]

    def run(self, item):
        """Submit a plan, run the queue to its end, and return what became of it."""
        uid = self.api.item_add(item)["item"]["item_uid"]
        self.api.queue_start()
        self.api.wait_for_idle(timeout=PATIENCE_S)
        (done,) = [
            each for each in self.api.history_get()["items"] if each["item_uid"] == uid
        ]
        return done["result"]

    def refusal(self, item):
        """Submit a plan that is refused; return the sentence."""
        try:
            taken = self.api.item_add(item)
        except RequestFailedError as err:
            return str(err)
        raise AssertionError(taken)

    def close(self):
        """Close what the API leaves to the garbage collector too: that warns."""
        self.api.close()
        self.api._client._ctx.term()
        for monitor in (self.api._console_monitor, self.api._system_info_monitor):
            socket = monitor._rco._socket
            socket.close(linger=0)
            socket.context.term()
