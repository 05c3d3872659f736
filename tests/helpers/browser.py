"""Pages in headless Chromium: what its scripts made of them, and whether they fit the window."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

#: Time limit for the browser, in seconds, on a busy machine.
PATIENCE = 120


def chromium():
    """Path of the browser; skips the test if there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("needs Chromium")


def in_browser(page, script, folder, *, width=1200, dark=False):
    """Run a function body on a page and return its result.

    The page's policy forbids scripts of others, so a copy without the policy is loaded.

    Parameters
    ----------
    page : Path
    script : str
        JavaScript that returns a value for JSON.
    folder : Path
        For the copy and the profile of the browser.
    width : int
        Of the window, in pixels.
    dark : bool
        Whether the reader prefers dark pages.
    """
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    probe = f"""<script>
const result = document.createElement("pre");
result.id = "probe-result";
let value;
try {{ value = (() => {{ {script} }})(); }} catch (error) {{ value = String(error); }}
result.textContent = JSON.stringify(value);
document.body.append(result);
</script>"""
    copy = folder / "probe.html"
    copy.write_text(text.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    dom = dump(copy, folder, width=width, dark=dark)
    return json.loads(unescape(re.search(r'<pre id="probe-result">(.*?)</pre>', dom, flags=re.DOTALL)[1]))


def dump(page, folder, *, width=1200, dark=False):
    """The document after its scripts have run."""
    options = [f"--window-size={width},1000", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", *options, "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
