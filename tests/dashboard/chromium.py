"""A headless Chromium, driven over a pipe by the DevTools protocol. Needs nothing but Python and Chromium."""

import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def find():
    """The browser of this machine; none where there is none."""
    return next((it for it in map(shutil.which, (os.environ.get("CHROMIUM") or "", *NAMES)) if it), None)


class Chromium:
    """One browser with a profile of its own; ends with the `with` block."""

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="ecomctl-chromium-", ignore_cleanup_errors=True)
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def descriptors():
            # The protocol is on descriptors 3 and 4. They are moved out of the way first, lest one overwrites the other.
            os.dup2(theirs_in, 100)
            os.dup2(theirs_out, 101)
            os.dup2(100, 3)
            os.dup2(101, 4)

        flags = [
            "--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
            "--lang=en-US", f"--user-data-dir={self.profile.name}", *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank",
        ]
        self.process = subprocess.Popen(
            [find(), *flags], preexec_fn=descriptors, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.input, self.output = ours_in, ours_out
        self.buffer, self.count, self.events, self.session = b"", 0, [], None
        self.fulfil = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.input)
        os.close(self.output)
        self.profile.cleanup()

    def post(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.output, data):]
        return self.count

    def send(self, method, **params):
        """Sends a command, and returns its result."""
        wanted = self.post(method, **params)
        while True:
            message = self.receive()
            if message.get("id") == wanted:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def receive(self):
        while b"\0" not in self.buffer:
            read = os.read(self.input, 1 << 20)
            if not read:
                raise RuntimeError("Chromium ended")
            self.buffer += read
        line, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(line)
        if message.get("method") == "Fetch.requestPaused":
            self.fulfil(message["params"])
        elif "method" in message:
            self.events.append(message)
        return message

    def evaluate(self, expression):
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:800])
        return answer["result"].get("value")

    def until(self, expression, patience=20):
        """Waits until an expression is true."""
        end = time.monotonic() + patience
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise RuntimeError(f"not within {patience} s: {expression}\n{self.evaluate('document.body.innerText')[:800]}\n{self.complaints()}")
            time.sleep(0.05)

    def instead(self, pattern, answer):
        """Answers requests for a URL with `answer`: a status and a text. None lets them through again."""
        if answer is None:
            self.send("Fetch.disable")
            return

        def fulfil(paused):
            status, text = answer
            self.post(
                "Fetch.fulfillRequest", requestId=paused["requestId"], responseCode=status,
                responseHeaders=[{"name": "Content-Type", "value": "application/json"}],
                body=base64.b64encode(text.encode()).decode(),
            )

        self.fulfil = fulfil
        self.send("Fetch.enable", patterns=[{"urlPattern": pattern}])

    def size(self, width, height, mobile=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)

    def dark(self, dark):
        value = "dark" if dark else "light"
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def shoot(self, path):
        """Takes a picture of the whole page."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def press(self, key, code=None, text=None):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=KEYS.get(key, 0), **more)

    def complaints(self):
        """What the console, the log and the runtime complained of."""
        found = []
        for it in self.events:
            params = it["params"]
            if it["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"].get("exception", {}).get("description") or params["exceptionDetails"]["text"])
            elif it["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            elif it["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(" ".join(str(one.get("value", one.get("description"))) for one in params["args"]))
        return found

    def requests(self):
        """The URLs that were asked for."""
        return [it["params"]["request"]["url"] for it in self.events if it["method"] == "Network.requestWillBeSent"]


KEYS = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, " ": 32}
