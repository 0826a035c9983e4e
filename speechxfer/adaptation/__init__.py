"""What is done before, or instead of, labelling: choosing a model, finding out what is in recordings, learning from them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "ENGLISH_VOICES": "speechxfer.adaptation.text_only",
    "Adaptation": "speechxfer.adaptation.adapting",
    "PseudoLabel": "speechxfer.adaptation.pseudo_labels",
    "adapt": "speechxfer.adaptation.adapting",
    "pseudo_label": "speechxfer.adaptation.pseudo_labels",
    "spoken_stretches": "speechxfer.adaptation.adapting",
    "Cluster": "speechxfer.adaptation.clustering",
    "Candidate": "speechxfer.adaptation.ranking",
    "Clustering": "speechxfer.adaptation.clustering",
    "cluster": "speechxfer.adaptation.clustering",
    "Ranking": "speechxfer.adaptation.ranking",
    "rank": "speechxfer.adaptation.ranking",
    "read_sentences": "speechxfer.adaptation.text_only",
    "speak_texts": "speechxfer.adaptation.text_only",
    "read_recordings": "speechxfer.adaptation.recordings",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.adaptation.adapting import Adaptation as Adaptation
    from speechxfer.adaptation.adapting import adapt as adapt
    from speechxfer.adaptation.adapting import spoken_stretches as spoken_stretches
    from speechxfer.adaptation.clustering import Cluster as Cluster
    from speechxfer.adaptation.clustering import Clustering as Clustering
    from speechxfer.adaptation.clustering import cluster as cluster
    from speechxfer.adaptation.pseudo_labels import PseudoLabel as PseudoLabel
    from speechxfer.adaptation.pseudo_labels import pseudo_label as pseudo_label
    from speechxfer.adaptation.ranking import Candidate as Candidate
    from speechxfer.adaptation.ranking import Ranking as Ranking
    from speechxfer.adaptation.ranking import rank as rank
    from speechxfer.adaptation.recordings import read_recordings as read_recordings
    from speechxfer.adaptation.text_only import ENGLISH_VOICES as ENGLISH_VOICES
    from speechxfer.adaptation.text_only import read_sentences as read_sentences
    from speechxfer.adaptation.text_only import speak_texts as speak_texts


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
