"""Headless Chromium, asked over its own DevTools protocol."""

import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One tab, asked over the DevTools protocol."""

    def __init__(self, url):
        self._socket = connect(url, max_size=None)
        self._numbers = itertools.count(1)
        self.requests, self.complaints = [], []
        for domain in ("Page", "Network", "Runtime", "Log", "Accessibility", "DOM"):
            self(f"{domain}.enable")

    def __call__(self, method, **parameters):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=30))
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            if message.get("method") == "Log.entryAdded" or message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def js(self, expression):
        return self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)["result"].get("value")

    def wait(self, expression, seconds=30):
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"{expression}: {self.js('document.body.innerText')} {self.complaints}"
            time.sleep(0.05)

    def key(self, key, code, text=""):
        for kind in ("keyDown", "keyUp"):
            self("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text if kind == "keyDown" else "")

    def close(self):
        self._socket.close()


@contextlib.contextmanager
def chromium(directory):
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={directory}")
    process = subprocess.Popen([CHROMIUM, *options, "about:blank"], stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stderr if "DevTools listening on" in line)
        address = line.split("ws://")[1].split("/")[0]
        with urllib.request.urlopen(f"http://{address}/json") as listed:
            (tab,) = [one for one in json.load(listed) if one["type"] == "page"]
        yield Browser(tab["webSocketDebuggerUrl"])
    finally:
        process.kill()
        process.wait()
