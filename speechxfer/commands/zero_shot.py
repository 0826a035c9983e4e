"""Commands given as text, log-probabilities `[frames, vocabulary]` of a CTC model in; a score of each command out, in nats.

A phrase's likelihood is its exact CTC forward probability (Graves et al. 2006) against that of the best path of all, the
background, so that a clip's length and noise weigh on both. On clips that hold one command, that tells prefix pairs apart
(`stop`, `stop it`): both have to account for all of the clip. Whether it is any command is another question, and there a longer
phrase has more to lose: the score that is rejected by is divided by the number of symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from speechxfer.data import Vocabulary, normalise
from speechxfer.errors import DataError, Problem

_BLANK = 0


@dataclass(frozen=True)
class PhraseHeard:
    """The likeliest phrase of a clip.

    Attributes
    ----------
    phrase
        As it was given.
    probability
        Among the phrases, each as likely beforehand.
    score
        In nats per symbol against the best path; 0 is as good as that, minus infinity does not fit into the frames.
    """

    phrase: str
    probability: float
    score: float


class PhraseScorer:
    """Scores phrases for one CTC model.

    Parameters
    ----------
    vocabulary
        The model's.
    phrases
        Commands as text.
    normaliser
        The model's; phrases are written as its training texts were.

    Attributes
    ----------
    phrases
        As given.

    Raises
    ------
    DataError
        With every phrase that is empty, given twice, or that the model cannot spell; or if the normaliser lacks a package.

    Notes
    -----
    The likelihood of a phrase is its CTC forward probability: A. Graves et al., "Connectionist temporal classification",
    ICML 2006.
    """

    def __init__(self, vocabulary: Vocabulary, phrases: Sequence[str], normaliser: str = "basic") -> None:
        self.phrases = tuple(phrases)
        spelled = [normalise(phrase, normaliser) for phrase in phrases]
        problems = [_problem(phrase, text, vocabulary) for phrase, text in zip(phrases, spelled, strict=True)]
        problems += [f"{text!r} is given twice" for text in dict.fromkeys(spelled) if spelled.count(text) > 1]
        if found := [Problem("", None, problem) for problem in problems if problem]:
            raise DataError(found)
        self._targets = [torch.tensor(vocabulary.encode(text)) for text in spelled]
        self._lengths = torch.tensor([len(target) for target in self._targets])
        self._sizes = self._lengths.numpy()
        self._padded = torch.nn.utils.rnn.pad_sequence(self._targets, batch_first=True)

    def recognise(self, log_probs: Sequence[Tensor]) -> list[PhraseHeard]:
        """Find the phrase of clips that hold one and nothing else.

        Parameters
        ----------
        log_probs
            Of each clip float `[frames, vocabulary]`, the blank first, without padding.

        Returns
        -------
        list of PhraseHeard
            One each.
        """
        likelihoods = self.log_likelihoods(log_probs)
        return [self._best(one, int(one.argmax())) for one in likelihoods]

    def find(self, log_probs: Sequence[Tensor]) -> list[PhraseHeard]:
        """Find the phrase that running speech holds somewhere, with a wildcard at both ends.

        The wildcard is one more symbol, in every frame as likely as the best there is. Its paths may also run through the
        phrase's own frames, so this is an approximation, not a probability. A phrase that holds another is taken where it fits
        nearly as well, since the best is chosen by the score per symbol.

        Parameters
        ----------
        log_probs
            Of each clip float `[frames, vocabulary]`, as for `recognise`.

        Returns
        -------
        list of PhraseHeard
            One each.
        """
        likelihoods = self.log_likelihoods(log_probs, wildcard=True)
        return [self._best(one, int((one / self._sizes).argmax())) for one in likelihoods]

    def _best(self, likelihoods: npt.NDArray[np.float64], best: int) -> PhraseHeard:
        if not np.isfinite(likelihoods).any():  # too short for any of them
            return PhraseHeard(self.phrases[best], 1 / len(self.phrases), -math.inf)
        score = float(likelihoods[best] / self._sizes[best])
        return PhraseHeard(self.phrases[best], float(softmax(likelihoods)[best]), score)

    def log_likelihoods(self, log_probs: Sequence[Tensor], *, wildcard: bool = False) -> npt.NDArray[np.float64]:
        """Give the log of each phrase's probability against that of the best path.

        Parameters
        ----------
        log_probs
            Of each clip float `[frames, vocabulary]`, as for `recognise`.
        wildcard
            Let anything come before and after, see `find`.

        Returns
        -------
        numpy.ndarray
            float64 `[clips, phrases]`.
        """
        if not log_probs:
            return np.zeros((0, len(self.phrases)))
        heard = [_with_wildcard(one) for one in log_probs] if wildcard else log_probs
        targets, lengths = self._padded, self._lengths
        if wildcard:
            ends = torch.tensor([heard[0].shape[1] - 1])
            targets = torch.nn.utils.rnn.pad_sequence([torch.cat([ends, one, ends]) for one in self._targets], batch_first=True)
            lengths = lengths + 2
        frames = torch.tensor([len(one) for one in heard])
        padded = torch.nn.utils.rnn.pad_sequence(list(heard)).double()
        clips, phrases = len(heard), len(self.phrases)
        # One call for all pairs: [frames, clips x phrases, vocabulary].
        losses = functional.ctc_loss(
            padded.repeat_interleave(phrases, dim=1),
            targets.repeat(clips, 1),
            frames.repeat_interleave(phrases),
            lengths.repeat(clips),
            blank=_BLANK,
            reduction="none",
        )
        background = torch.tensor([float(one.double().max(dim=-1).values.sum()) for one in log_probs])
        return (-losses.view(clips, phrases) - background[:, None]).numpy()


def _problem(phrase: str, text: str, vocabulary: Vocabulary) -> str:
    if not text:
        return f"{phrase!r} is empty, expected the words of a command"
    if unknown := vocabulary.unknown([text]):
        return f"{phrase!r}: the model cannot write {', '.join(map(repr, unknown))}; spell it otherwise"
    return ""


def _with_wildcard(log_probs: Tensor) -> Tensor:
    """Add the wildcard as the last symbol: `[frames, vocabulary + 1]`."""
    return torch.cat([log_probs, log_probs.max(dim=-1, keepdim=True).values], dim=-1)
