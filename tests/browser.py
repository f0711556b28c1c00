"""A real browser that a test drives, over the DevTools protocol and two pipes: no port, no further package."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")


class Tab:
    """A page in a browser, with all that its console and its network have said.

    :ivar events: of the protocol, those of the page's whole life.
    """

    def __init__(self, commands: Any, answers: Any) -> None:
        self.commands, self.answers = commands, answers
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
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while (answer := self._read()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        found = bytearray()
        while (letter := self.answers.read(1)) != b"\0":
            assert letter, "the browser has ended"
            found += letter
        return dict(json.loads(found))

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

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write a picture of the window, or of the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def named(self, *methods: str) -> list[dict[str, Any]]:
        """The parameters of the events of some kinds."""
        self.run("0")  # all events before its answer are here
        return [event["params"] for event in self.events if event.get("method") in methods]


@contextmanager
def tab() -> Iterator[Tab]:
    """A page in a browser of its own; the test is skipped where there is no browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        assert not os.environ.get("CI"), "there is no browser, and here the test must not be skipped"
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        (for_browser, commands), (answers, from_browser) = os.pipe(), os.pipe()
        line = [browser, *FLAGS, f"--user-data-dir={profile}"]
        shell = ["sh", "-c", f'exec "$@" 3<&{for_browser} 4>&{from_browser}', "sh", *line]
        process = subprocess.Popen(
            shell,
            pass_fds=(for_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(for_browser)
        os.close(from_browser)
        limit = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        try:
            with open(commands, "wb") as writing, open(answers, "rb") as reading:
                yield Tab(writing, reading)
        finally:
            limit.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
