"""A saved model to the Hugging Face Hub, with its card, and one from there: no pickle, no code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechxfer.errors import ModelError

_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.md", "LICENSE*"]


def push(model: str | Path, repository: str, *, public: bool = False, revision: str | None = None) -> str:
    """Upload a model that speechxfer saved.

    Parameters
    ----------
    model
        Its directory, or the run that made it.
    repository
        `OWNER/NAME`; made if missing.
    public
        Whether everybody may see a repository that is made; by default only its owner, since a model may give away what was said
        in the calls that it learned from.
    revision
        Branch; by default the main one.

    Returns
    -------
    str
        The address of the commit.

    Raises
    ------
    ModelError
        If there is no model, or the Hub cannot be reached, does not know whose it is, or refuses.
    """
    from huggingface_hub import HfApi

    from speechxfer.models import read_config

    path, _ = read_config(model)
    if not [*path.glob("*.safetensors")]:
        raise ModelError(f"{path}: an exported model has no weights of the Hub's kind; push the one that it was exported from")
    with _in_one_line(repository):
        hub = HfApi(library_name="speechxfer")
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository, folder_path=path, allow_patterns=_FILES, revision=revision, commit_message="Upload a model"
        )
    return str(commit)


def pull(repository: str, out: Path, *, revision: str | None = None) -> Path:
    """Download a model into a directory of its own.

    Parameters
    ----------
    repository
        `OWNER/NAME`.
    out
        A directory that does not exist, or is empty.
    revision
        Branch, tag or commit; by default the main branch. A commit never changes.

    Returns
    -------
    pathlib.Path
        `out`.

    Raises
    ------
    ModelError
        If `out` is not free, the Hub cannot be reached or has no such model, or what it has is no model in safetensors.
    """
    from huggingface_hub import snapshot_download

    from speechxfer.models import read_config

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} is there already; give another --out")
    with _in_one_line(repository):
        snapshot_download(repository, revision=revision, local_dir=out, allow_patterns=_FILES, library_name="speechxfer")
    path, _ = read_config(out)
    if not [*path.glob("*.safetensors")]:
        raise ModelError(f"{repository} has no weights as safetensors, and a pickle is not opened")
    return out


@contextmanager
def _in_one_line(repository: str) -> Iterator[None]:
    """Say what the Hub says, without its traceback."""
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise ModelError(f"{repository!r}: expected OWNER/NAME: {error}") from None
    except OSError as error:  # all of its own errors are, and those of the network
        raise ModelError(f"{repository}: {' '.join(str(error).split())}") from None
