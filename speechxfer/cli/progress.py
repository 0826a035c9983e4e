"""Events of runs in, progress on stderr out: bars on a terminal, lines elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from speechxfer.cli.tables import show_parts

if TYPE_CHECKING:
    from speechxfer.training import Event

_LINE_SECONDS = 60.0


class _Drawn:
    """Draws its bars for the duration of a block."""

    _bars: Progress

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()


class RunProgress(_Drawn):
    """Shows a fine-tuning run; call it with each event."""

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, markup=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=self._console, transient=True, disable=quiet or not self._console.is_terminal)
        self._bar: TaskID | None = None
        self._label = ""
        self._last_line = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        kind = event["event"]
        if kind == "start":
            sets = ", ".join(f"{name} {size['utterances']} ({size['minutes']} min)" for name, size in event["sets"].items())
            self._console.print(f"{event['task']}: {sets}")
        elif kind == "note":
            self._console.print(f"note: {event['text']}")
        elif kind == "stage":
            self._console.print(f"stage {event['stage'] + 1}: trains {event['train']}; cut {event['cut']}")
            show_parts(event["parts"], self._console)
        elif kind == "heard":
            self._advance(f"round {event['round']}: utterances written down", event["utterances"], event["of"])
        elif kind == "step":
            label = f"stage {event['stage'] + 1} epoch {event['epoch']}/{event['epochs']}"
            self._advance(label, event["step"], event["steps"], f"  loss {event['loss']:.4f}")
        elif kind == "epoch":
            scores = "  ".join(f"{k} {event[k]:.4f}" for k in ("dev_wer", "dev_cer", "dev_accuracy") if k in event)
            best = "  best" if event["best_epoch"] == event["epoch"] else ""
            self._console.print(f"epoch {event['epoch']}/{event['epochs']}  loss {event['loss']:.4f}  {scores}{best}")
        elif kind == "collapse":
            self._console.print(f"stopped: {event['advice']}", style="bold red")

    def _advance(self, label: str, done: int, total: int, figures: str = "") -> None:
        if self._bars.disable:
            if time.monotonic() - self._last_line > _LINE_SECONDS:
                self._console.print(f"{label}: {done}/{total}{figures}")
                self._last_line = time.monotonic()
            return
        if self._bar is None or label != self._label:
            if self._bar is not None:
                self._bars.remove_task(self._bar)
            self._bar, self._label = self._bars.add_task(label, total=total), label
        self._bars.update(self._bar, completed=done, total=total)


class FillProgress(_Drawn):
    """Shows how a store is filled; call it with how many are done of how many."""

    def __init__(self, quiet: bool) -> None:
        console = Console(stderr=True, quiet=quiet, markup=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._bar = self._bars.add_task("frozen features", total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show where it stands."""
        self._bars.update(self._bar, completed=done, total=total)


class TranscriptionProgress(_Drawn):
    """Shows how far a set of recordings is transcribed, and how fast."""

    def __init__(self, recordings: int, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, markup=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
        self._bars = Progress(*columns, console=self._console, transient=True, disable=quiet or not self._console.is_terminal)
        self._bar = self._bars.add_task("recordings", total=recordings, pace="")
        self._seconds = 0.0
        self._begin = self._last_line = time.monotonic()

    def decoded(self, seconds: float) -> None:
        """Count so many more seconds of speech."""
        self._seconds += seconds
        spent = time.monotonic() - self._begin
        pace = f"{self._seconds / 60:.1f} min of speech, {self._seconds / spent:.1f} x real time"
        self._bars.update(self._bar, pace=pace)
        if self._bars.disable and time.monotonic() - self._last_line > _LINE_SECONDS:
            self._console.print(f"{self._bars.tasks[0].completed:.0f} recordings, {pace}")
            self._last_line = time.monotonic()

    def finished(self) -> None:
        """Count one more recording."""
        self._bars.advance(self._bar)


class DemoProgress(_Drawn):
    """Shows many runs, a bar for each; call it with each event."""

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, markup=False)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeElapsedColumn())
        self._bars = Progress(*columns, console=self._console, disable=quiet or not self._console.is_terminal)

    def begin(self, title: str) -> None:
        """Show a new bar for the run to come."""
        self._bar = self._bars.add_task(title, total=None)
        if self._bars.disable:
            self._console.print(f"{title} ...")

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event["event"] == "step":
            steps = event["steps"]
            self._bars.update(self._bar, completed=(event["epoch"] - 1) * steps + event["step"], total=event["epochs"] * steps)
