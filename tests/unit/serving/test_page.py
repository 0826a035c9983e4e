"""The page in headless Chromium, by its own protocol: a file is chosen, the keyboard does the rest, the transcript appears."""

import json

import pytest

from tests.browser import CHROMIUM, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


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
