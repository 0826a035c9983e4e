"""Ask pip whether each extra installs alone, beside the pinned versions: it resolves them all, and installs nothing.

    python scripts/check_extras.py [EXTRA ...]

Says how many packages each extra adds to the core. The exit code is 1 if one cannot be installed.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Check them one by one."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        core, _ = resolved(python, "")
        print(f"core: {len(core)} packages", flush=True)
        for extra in sys.argv[1:] or [name for name in declared if name != "dev"]:
            packages, error = resolved(python, f"[{extra}]")
            failed += bool(error)
            added = ", ".join(sorted(packages - core))
            print(f"{extra}: {error or f'{len(packages - core)} more ({added})'}", flush=True)
    return min(failed, 1)


def resolved(python: str, extra: str) -> tuple[set[str], str]:
    """Give the names of all packages that would be installed, or why not."""
    command = [python, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", "-c", str(ROOT / "constraints.txt")]
    done = subprocess.run([*command, f"{ROOT}{extra}"], capture_output=True, text=True)
    if done.returncode:
        return set(), done.stderr.strip().splitlines()[-1]
    return {one["metadata"]["name"].lower() for one in json.loads(done.stdout)["install"]}, ""


if __name__ == "__main__":
    sys.exit(main())
