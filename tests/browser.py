"""A real browser that a test drives, over the DevTools protocol and two pipes: no port, no further package."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
KEYS = {"Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40}
TEXTS = {"Enter": "\r", " ": " "}
BEGIN = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for place, end in enumerate(ends, 3):
    os.dup2(end, place)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Becomes the browser, which reads its commands from descriptor 3 and answers on 4."""


class Tab:
    """A page in a browser, with all that its console and its network have said.

    :ivar events: of the protocol, those of the page's whole life.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers, self.rest = commands, answers, b""
        self.events: list[dict[str, Any]] = []
        self.number, self.session = 0, ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        with open(self.commands, "wb", closefd=False) as pipe:
            pipe.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        """The next message of the browser."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.answers], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            found = os.read(self.answers, 1 << 20)
            assert found, "the browser has ended"
            self.rest += found
        message, _, self.rest = self.rest.partition(b"\0")
        return dict(json.loads(message))

    def open(self, path: Path, width: int = 1400, height: int = 900) -> None:
        """Open a page in a window of a size, and wait until it says that it is ready."""
        self.resize(width, height)
        self.events.clear()
        self.send("Page.navigate", url=path.absolute().as_uri())
        self.wait_for("document.documentElement?.dataset.ready === 'yes'")

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript, a promise awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({expression})"):
            assert time.monotonic() < until, f"did not happen: {expression}"
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": TEXTS[key]} if key in TEXTS and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=KEYS[key], **more)

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write a picture of the window, or of the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def named(self, *methods: str) -> list[dict[str, Any]]:
        """The parameters of the events of some kinds."""
        self.run("0")  # all events before its answer are here
        return [event["params"] for event in self.events if event.get("method") in methods]


def browser_path() -> str:
    """The program of a browser; the test is skipped where there is none, but never in CI."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        assert not os.environ.get("CI"), "there is no browser, and here the test must not be skipped"
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)}")
    return browser


@contextmanager
def tab() -> Iterator[Tab]:
    """A page in a browser of its own; the test is skipped where there is no browser."""
    browser = browser_path()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        (for_browser, commands), (answers, from_browser) = os.pipe(), os.pipe()
        line = [browser, *FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(for_browser), str(from_browser), *line],
            pass_fds=(for_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(for_browser)
        os.close(from_browser)
        try:
            yield Tab(commands, answers)
        finally:
            os.close(commands)
            os.close(answers)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
