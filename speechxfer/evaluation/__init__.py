"""How good is it, for whom, and how sure can one be: numbers only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "AudioConditions": "speechxfer.evaluation.domain_gap",
    "AudioFacts": "speechxfer.evaluation.audio_facts",
    "Finding": "speechxfer.evaluation.doctor",
    "examine": "speechxfer.evaluation.doctor",
    "measure": "speechxfer.evaluation.audio_facts",
    "Distance": "speechxfer.evaluation.feature_gap",
    "DomainGap": "speechxfer.evaluation.domain_gap",
    "FeatureGap": "speechxfer.evaluation.feature_gap",
    "conditions": "speechxfer.evaluation.domain_gap",
    "measure_rows": "speechxfer.evaluation.doctor",
    "compare_recordings": "speechxfer.evaluation.domain_gap",
    "compare_features": "speechxfer.evaluation.feature_gap",
    "frechet_distance": "speechxfer.evaluation.feature_gap",
    "proxy_a_distance": "speechxfer.evaluation.feature_gap",
    "unseen_words": "speechxfer.evaluation.domain_gap",
    "GroupSpec": "speechxfer.evaluation.groups",
    "GuardVerdict": "speechxfer.evaluation.guard",
    "halves": "speechxfer.evaluation.guard",
    "judge": "speechxfer.evaluation.guard",
    "Difference": "speechxfer.evaluation.proof",
    "Verdict": "speechxfer.evaluation.proof",
    "check_decoder": "speechxfer.evaluation.decoder_checks",
    "compare": "speechxfer.evaluation.proof",
    "holm": "speechxfer.evaluation.significance",
    "mapsswe": "speechxfer.evaluation.matched_pairs",
    "sign_flip_test": "speechxfer.evaluation.significance",
    "ErrorCounts": "speechxfer.evaluation.metrics",
    "RowErrors": "speechxfer.evaluation.answers",
    "SetScores": "speechxfer.evaluation.answers",
    "answer": "speechxfer.evaluation.answering",
    "as_items": "speechxfer.evaluation.answering",
    "bootstrap_interval": "speechxfer.evaluation.significance",
    "character_errors": "speechxfer.evaluation.metrics",
    "evaluate": "speechxfer.evaluation.scoring",
    "Parity": "speechxfer.evaluation.exporting",
    "export": "speechxfer.evaluation.exporting",
    "extrapolate": "speechxfer.evaluation.learning_curve",
    "group_rows": "speechxfer.evaluation.groups",
    "score_answers": "speechxfer.evaluation.answers",
    "score_set": "speechxfer.evaluation.scoring",
    "TermCounts": "speechxfer.evaluation.metrics",
    "term_counts": "speechxfer.evaluation.metrics",
    "total": "speechxfer.evaluation.metrics",
    "right_words": "speechxfer.evaluation.metrics",
    "word_errors": "speechxfer.evaluation.metrics",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from speechxfer.evaluation.answering import answer as answer
    from speechxfer.evaluation.answering import as_items as as_items
    from speechxfer.evaluation.answers import RowErrors as RowErrors
    from speechxfer.evaluation.answers import SetScores as SetScores
    from speechxfer.evaluation.answers import score_answers as score_answers
    from speechxfer.evaluation.audio_facts import AudioFacts as AudioFacts
    from speechxfer.evaluation.audio_facts import measure as measure
    from speechxfer.evaluation.decoder_checks import check_decoder as check_decoder
    from speechxfer.evaluation.doctor import Finding as Finding
    from speechxfer.evaluation.doctor import examine as examine
    from speechxfer.evaluation.doctor import measure_rows as measure_rows
    from speechxfer.evaluation.domain_gap import AudioConditions as AudioConditions
    from speechxfer.evaluation.domain_gap import DomainGap as DomainGap
    from speechxfer.evaluation.domain_gap import compare_recordings as compare_recordings
    from speechxfer.evaluation.domain_gap import conditions as conditions
    from speechxfer.evaluation.domain_gap import unseen_words as unseen_words
    from speechxfer.evaluation.exporting import Parity as Parity
    from speechxfer.evaluation.exporting import export as export
    from speechxfer.evaluation.feature_gap import Distance as Distance
    from speechxfer.evaluation.feature_gap import FeatureGap as FeatureGap
    from speechxfer.evaluation.feature_gap import compare_features as compare_features
    from speechxfer.evaluation.feature_gap import frechet_distance as frechet_distance
    from speechxfer.evaluation.feature_gap import proxy_a_distance as proxy_a_distance
    from speechxfer.evaluation.groups import GroupSpec as GroupSpec
    from speechxfer.evaluation.groups import group_rows as group_rows
    from speechxfer.evaluation.guard import GuardVerdict as GuardVerdict
    from speechxfer.evaluation.guard import halves as halves
    from speechxfer.evaluation.guard import judge as judge
    from speechxfer.evaluation.learning_curve import extrapolate as extrapolate
    from speechxfer.evaluation.matched_pairs import mapsswe as mapsswe
    from speechxfer.evaluation.metrics import ErrorCounts as ErrorCounts
    from speechxfer.evaluation.metrics import TermCounts as TermCounts
    from speechxfer.evaluation.metrics import character_errors as character_errors
    from speechxfer.evaluation.metrics import right_words as right_words
    from speechxfer.evaluation.metrics import term_counts as term_counts
    from speechxfer.evaluation.metrics import total as total
    from speechxfer.evaluation.metrics import word_errors as word_errors
    from speechxfer.evaluation.proof import Difference as Difference
    from speechxfer.evaluation.proof import Verdict as Verdict
    from speechxfer.evaluation.proof import compare as compare
    from speechxfer.evaluation.scoring import evaluate as evaluate
    from speechxfer.evaluation.scoring import score_set as score_set
    from speechxfer.evaluation.significance import bootstrap_interval as bootstrap_interval
    from speechxfer.evaluation.significance import holm as holm
    from speechxfer.evaluation.significance import sign_flip_test as sign_flip_test


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
