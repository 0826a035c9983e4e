"""What MkDocs calls while it builds the documentation: pages made from the program itself join those of `docs/`."""

from __future__ import annotations

from command_page import command_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from python_pages import python_pages
from recipe_page import recipe_page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of reference."""
    made = {"reference/recipe.md": recipe_page(), "reference/commands.md": command_page(), **python_pages()}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    return files
