"""Build wheel and source distribution, the same to the byte from the same sources.

    python scripts/build_release.py [--out dist] [--no-isolation]

SOURCE_DATE_EPOCH is the time of the last commit unless it is set. The wheel's files get it from setuptools; a source distribution
keeps the times, owners and order that files happen to have, so it is packed anew.
"""

import argparse
import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Build and print what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("dist"))
    parser.add_argument("--no-isolation", action="store_true", help="use the setuptools that is installed")
    arguments = parser.parse_args()
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or time_of_last_commit()
    options = ["--outdir", str(arguments.out.resolve()), *(["--no-isolation"] if arguments.no_isolation else [])]
    subprocess.run(
        [sys.executable, "-m", "build", *options, str(ROOT)], check=True, env={**os.environ, "SOURCE_DATE_EPOCH": epoch}
    )
    for path in arguments.out.glob("*.tar.gz"):
        pack_anew(path, int(epoch))
    print(*sorted(map(str, arguments.out.iterdir())), sep="\n")


def time_of_last_commit() -> str:
    """Give it in seconds since 1970."""
    return subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def pack_anew(path: Path, seconds: int) -> None:
    """Give every file of a .tar.gz the same time, owner and mode, and all of them one order."""
    packed = io.BytesIO()
    with tarfile.open(path) as given, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as made:
        for member in sorted(given.getmembers(), key=lambda member: member.name):
            content = given.extractfile(member) if member.isfile() else None
            member.mtime, member.uid, member.gid, member.uname, member.gname = seconds, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() else 0o644
            member.pax_headers = {}
            made.addfile(member, content)
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=seconds))


if __name__ == "__main__":
    main()
