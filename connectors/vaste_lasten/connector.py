"""Takes the partners' files up, publishes their rows and writes the receipts: the I/O of the connector."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from connectors.kit.ids import id_key, letters
from connectors.vaste_lasten.folder import Folder, Handled, changed, last_written, settled
from connectors.vaste_lasten.reading import Table, is_whole, opened
from connectors.vaste_lasten.receipt import REFUSED, Answer, Draft
from connectors.vaste_lasten.settings import Partner, VasteLastenSettings, read_partners
from connectors.vaste_lasten.sftp import Remote, ServerError, connected
from connectors.vaste_lasten.translate import ROW_REASONS, Layout, Reason, Refusal, RefusedFileError, Row, translate
from hub.client import Gateway, NewSignal, RunReport, Track
from hub.errors import HubError, RetryLaterError, StopError

if TYPE_CHECKING:
    from connectors.vaste_lasten.settings import Sftp

BATCH_SIZE: Final = 500
MARK_LETTERS: Final = 16
_CHUNK: Final = 1 << 20
_ENOUGH: Final = 24
"""Letters of an id that tell the rows of one file apart: 96 bits."""
_DOUBLE: Final = Reason("rij-dubbel", None, ROW_REASONS["rij-dubbel"])


def ping(settings: VasteLastenSettings) -> None:
    """Look whether every partner's folder can be read and written in, and whether its server lets this account in.

    Changes nothing.

    Raises:
        StopError: The settings hold faults, or a folder or server has to be put right; all of them are told.
        RetryLaterError: A server does not answer.
    """
    partners = read_partners(settings.partners)
    _raise([problem for partner in partners for problem in _problems(partner, partial(_look, partner))])


def _look(partner: Partner) -> None:
    Folder(partner.folder).check()
    if partner.sftp is not None:
        with connected(partner.sftp) as remote:
            remote.look()


def run(settings: VasteLastenSettings, gateway: Gateway, track: Track) -> RunReport:
    """Handle every file of every partner that is there; running it again changes nothing.

    What a killed run had taken up comes first, and goes on at the first row that has no answer yet. A file
    that cannot be read is put aside with a receipt that says why; a partner that cannot be reached holds up
    no other, and is told of at the end.

    Raises:
        StopError: The settings hold faults or the key cannot be used: nothing was read. Or a folder or server
            has to be put right: what could be handled was.
        RetryLaterError: The hub or a server did not answer, or another run is at work. What was done stays.
    """
    partners = read_partners(settings.partners)
    key = id_key(settings.state_dir)
    report = RunReport()
    problems: list[HubError] = []
    with _alone(settings.state_dir):
        for partner in partners:
            desk = Desk(partner, key, gateway, track, report)
            problems += [*_problems(partner, desk.work), *desk.problems]
    _raise(problems, f"\n{report.read} rows were handled")
    return report


def _problems(partner: Partner, work: Callable[[], None]) -> list[HubError]:
    """Do something for one partner, and return what keeps it from being done: that holds up no other partner."""
    try:
        work()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return [StopError(f"{partner.participant}: {partner.folder} cannot be used ({reason})", "Check the folder and its rights.")]
    except ServerError as error:
        return [error.problem]
    return []


class Read(NamedTuple):
    """A row that was read: the signal that follows from it, or why none does."""

    number: int
    reference: str
    reasons: tuple[Reason, ...]
    signal: NewSignal | None = None


class Desk:
    """Handles the files of one partner."""

    def __init__(self, partner: Partner, key: bytes, gateway: Gateway, track: Track, report: RunReport) -> None:
        self.partner = partner
        self.folder = Folder(partner.folder)
        self.problems: list[HubError] = []
        self._key = key
        self._gateway = gateway
        self._track = track
        self._report = report

    def work(self) -> None:
        """Handle everything that is there. Raises OSError for a folder, ServerError for a server that cannot be used."""
        self.folder.make()
        if self.partner.sftp is not None:
            self._fetched(self.partner.sftp)
        for taken in self.folder.busy():
            self._handled(taken)
        self.folder.show_receipts()
        if self.partner.sftp is not None:
            self.folder.forget()  # all of it lies on the partner's server again
        else:
            for name in settled(self.folder.look, self._settle):
                if self._may_be_read(self.folder.path / name) and (path := self.folder.take(name)):
                    self._handled(path)

    def _settle(self) -> None:
        self._gateway.pause(self.partner.settle_seconds)

    def _fetched(self, sftp: Sftp) -> None:
        with connected(sftp) as remote:
            remote.make()
            for name in remote.busy():
                taken = remote.fetch(name, self.folder)
                # Only its receipt may be missing there. A file that comes a second time does not come this way.
                handled = self.folder.handled(taken, self._mark(taken))
                if handled is not None:
                    taken.replace(handled.file)
                    remote.finish(name, handled)
                else:
                    self._from(remote, name, taken)
            for name in settled(remote.look, self._settle):
                if remote.take(name):
                    self._from(remote, name, remote.fetch(name, self.folder))

    def _from(self, remote: Remote, name: str, taken: Path) -> None:
        if not self._may_be_read(taken):
            remote.give_back(name)
            taken.unlink()
        elif handled := self._handled(taken):
            remote.finish(name, handled)

    def _may_be_read(self, path: Path) -> bool:
        """Say whether a file is whole, or so old that it will not become so: then it is put aside."""
        try:
            return (
                is_whole(path, self.partner) or self._gateway.now().timestamp() - last_written(path) >= self.partner.patience_minutes * 60
            )
        except OSError:
            return True  # it cannot be read: that is told in its receipt

    # --- one file -------------------------------------------------------------------------

    def _handled(self, taken: Path) -> Handled | None:
        """Handle a file; what keeps it from being moved or answered holds up no other, and the next run tries again."""
        try:
            return self._handle(taken)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self.problems.append(
                StopError(f"{taken}: cannot be handled ({reason})", "Check the disk and the rights; nothing of it is lost.")
            )
            return None

    def _handle(self, taken: Path) -> Handled | None:
        """Answer every row of a file that was taken up, and move it out with its receipt; None if it changed meanwhile."""
        before, mark = changed(taken), self._mark(taken)
        with closing(Draft(self.folder.draft(taken, mark))) as draft:
            try:
                with opened(taken, self.partner) as table:
                    self._answer(table, draft)
                refused = False
            except RefusedFileError as error:
                refused = True
                self._report.read += max(error.rows, 1)  # it counts for its rows, or for one if they could not be counted
                self._report.skipped[error.reason.code] += max(error.rows, 1)
                draft.add([Answer.refused(None, "", [error.reason])])
            if changed(taken) != before:
                self.problems.append(
                    RetryLaterError(
                        f"{self.partner.participant}: a file was written to while it was read", "Run again; what was done is not repeated."
                    )
                )
                return None
            draft.finish()
        return self.folder.finish(taken, draft.path, mark, refused=refused)

    def _mark(self, path: Path) -> str:
        """Return letters that follow from the content of a file and from how it is read."""
        how = self.partner.model_dump_json(include={"participant", "decimal", "trailer", "true_words", "false_words", "columns", "fixed"})
        try:
            with path.open("rb") as file:
                return letters(self._key, chain([how.encode()], iter(partial(file.read, _CHUNK), b"")), MARK_LETTERS)
        except OSError:
            return letters(self._key, [how.encode(), repr(changed(path)).encode()], MARK_LETTERS)

    def _answer(self, table: Table, draft: Draft) -> None:
        """Write the answer of every row that has none yet, batch by batch, in the order of the rows."""
        resumed = draft.last
        for (status, code), count in draft.done.items():
            self._count(status, code, count)
        seen: set[bytes] = set()
        batch: list[Read] = []
        for row in self._track(table, total=table.rows, label=self.partner.participant):
            self._report.read += 1
            read = self._read(row, table.layout, seen)
            if row.number > resumed:
                batch.append(read)
            if len(batch) == BATCH_SIZE:
                draft.add(self._answers(batch))
                batch.clear()
        draft.add(self._answers(batch))

    def _read(self, row: Row, layout: Layout, seen: set[bytes]) -> Read:
        outcome = translate(row, layout)
        if isinstance(outcome, Refusal):
            return Read(row.number, outcome.reference, outcome.reasons)
        signal = outcome.signal(self.partner.participant, self._key)
        known = (signal.id or "")[-_ENOUGH:].encode()
        if known in seen:
            return Read(row.number, outcome.reference, (_DOUBLE,))
        seen.add(known)
        return Read(row.number, outcome.reference, (), signal)

    def _answers(self, batch: Sequence[Read]) -> list[Answer]:
        """Publish what a batch holds, and return the answer of each of its rows."""
        signals = [read.signal for read in batch if read.signal is not None]
        receipts = iter(self._gateway.publish(self.partner.participant, signals) if signals else ())
        answers = []
        for read in batch:
            if read.signal is None:
                answer = Answer.refused(read.number, read.reference, read.reasons)
                self._count(answer.status, answer.code, 1)
            else:
                receipt = next(receipts)
                answer = Answer.of(read.number, read.reference, receipt)
                self._report.count(receipt)
            answers.append(answer)
        return answers

    def _count(self, status: str, code: str, count: int) -> None:
        """Count rows that an earlier run answered, or that this connector refuses."""
        if status != REFUSED:
            self._report.duplicate += count
        elif code in ROW_REASONS:
            self._report.skipped[code] += count
        else:
            self._report.refused[code] += count


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Keep a second run away while this one works; the lock goes with the process."""
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RetryLaterError("another run of this connector is at work", "Let it end, then run again.") from None
        yield


def _raise(problems: Sequence[HubError], done: str = "") -> None:
    """Tell of everything that could not be handled, in one error."""
    if problems:
        kind = RetryLaterError if all(isinstance(problem, RetryLaterError) for problem in problems) else StopError
        told = "\n".join(problem.message for problem in problems)
        raise kind(f"{told}{done}", " ".join(dict.fromkeys(problem.hint for problem in problems)))
