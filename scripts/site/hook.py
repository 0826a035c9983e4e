"""What MkDocs calls while it builds the documentation: pages made from the program and from other files join those of `docs/`."""

from __future__ import annotations

from pathlib import Path

from command_page import command_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from python_pages import python_pages
from recipe_page import recipe_page

_ROOT = Path(__file__).resolve().parents[2]
_ELSEWHERE = {"index.md": "README.md", "results.md": "scripts/benchmarks/RESULTS.md", "changes.md": "CHANGELOG.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of reference, and those whose text stands elsewhere in the project."""
    made = {"reference/recipe.md": recipe_page(), "reference/commands.md": command_page(), **python_pages()}
    made |= {uri: (_ROOT / path).read_text(encoding="utf-8").replace("](docs/", "](") for uri, path in _ELSEWHERE.items()}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    return files
