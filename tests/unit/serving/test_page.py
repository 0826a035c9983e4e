"""The page in headless Chromium, by its own protocol: a file is chosen, the keyboard does the rest, the transcript appears."""

import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request

import pytest
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


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


def test_a_recording_is_transcribed_by_keyboard_alone(address, clip, tmp_path):
    with chromium(tmp_path) as browser:
        browser("Page.navigate", url=f"http://{address}/")
        browser.wait("document.querySelectorAll('#model option').length === 2")
        node = browser("DOM.querySelector", nodeId=browser("DOM.getDocument")["root"]["nodeId"], selector="#file")["nodeId"]
        browser("DOM.setFileInputFiles", files=[str(clip)], nodeId=node)
        visited = []
        for _ in range(4):  # file, model, channels, button
            browser.key("Tab", 9)
            visited.append(browser.js("document.activeElement.id"))
            if visited[-1] == "channels":
                browser.key("ArrowDown", 40)
        assert (
            visited == ["file", "model", "channels", "send"]
            and browser.js("document.getElementById('channels').value") == "split"
        )
        browser.key("Enter", 13, "\r")
        browser.wait("document.getElementById('status').textContent === 'Done.'")
        rows = browser.js(
            "[...document.querySelectorAll('#rows tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
        )
        assert {row[2] for row in rows} == {"1", "2"} and rows[0][0] == "00:00:00.000" and rows[0][3].startswith("good morning")
        assert all(row[4].endswith(" %") for row in rows)

        # What is downloaded is what was shown.
        browser.js("URL.createObjectURL = (blob) => { window.saved = blob; return 'blob:none'; }")
        browser.js("HTMLAnchorElement.prototype.click = function () { window.savedAs = this.download; }")
        browser.js("document.getElementById('srt').click()")
        assert browser.js("savedAs") == "transcript.srt"
        assert browser.js("saved.text()").startswith("1\n00:00:00,000 --> ")
        browser.js("document.getElementById('json').click()")
        segments = json.loads(browser.js("saved.text()"))["segments"]
        assert len(segments) == len(rows)
        doubtful = sum(word["confidence"] < 0.5 for segment in segments for word in segment["words"])
        assert browser.js("document.querySelectorAll('#rows .doubtful').length") == doubtful

        # A screen reader has a name for whatever can be operated, and is told of what changes.
        tree = [node for node in browser("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        operated = [node for node in tree if node["role"]["value"] in ("button", "combobox", "textbox")]
        assert len(operated) >= 5 and all(node["name"]["value"] for node in operated)
        assert browser.js("document.getElementById('status').getAttribute('role')") == "status"
        assert browser.js("document.getElementById('rows').getAttribute('aria-live')") == "polite"

        assert browser.requests and all(url.startswith((f"http://{address}/", "blob:")) for url in browser.requests)
        assert browser.complaints == []


def test_what_is_wrong_is_said(address, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio")
    with chromium(tmp_path / "profile") as browser:
        browser("Page.navigate", url=f"http://{address}/")
        browser.wait("document.querySelectorAll('#model option').length === 2")
        browser.js("document.getElementById('send').click()")
        assert browser.js("document.getElementById('status').textContent") == "Choose a recording first."
        node = browser("DOM.querySelector", nodeId=browser("DOM.getDocument")["root"]["nodeId"], selector="#file")["nodeId"]
        browser("DOM.setFileInputFiles", files=[str(bad)], nodeId=node)
        browser.js("document.getElementById('send').click()")
        browser.wait("document.getElementById('status').textContent.startsWith('Failed: neither libsndfile')")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
