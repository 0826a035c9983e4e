"""scikit-learn, which the extra `cluster` brings."""

from __future__ import annotations

from speechxfer.errors import ModelError


def need_scikit(what: str) -> None:
    """Refuse what needs scikit-learn where it is missing.

    Raises
    ------
    ModelError
        Saying how to install it.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise ModelError(f"{what} needs scikit-learn; install it with: pip install 'speechxfer[cluster]'") from None
