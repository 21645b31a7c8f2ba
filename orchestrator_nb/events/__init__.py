"""The facts of a run: frozen, in the past tense, plain JSON.

Every event has `at`, seconds since the epoch by the wall clock: for people, never for order or durations. Events
about a command name it; events about an attempt carry its number, counted from 1 over the whole run, so that
(command, attempt) names one execution for ever. What was asked for has the id of the `request`, and `by` says who asked
(pid, user, host). A field at its default is left out of the journal; a new field needs
a default and an old kind is never taken away, so that an old journal can always be read.

No fact can be part of a cycle, so they say `gc=False`: a long run keeps very many of them, and the garbage collector
would look through them all again and again.
"""

from __future__ import annotations

from orchestrator_nb.events.checkpoint import CheckpointSkipped as CheckpointSkipped
from orchestrator_nb.events.checkpoint import CheckpointTaken as CheckpointTaken
from orchestrator_nb.events.checkpoint import CommandRestored as CommandRestored
from orchestrator_nb.events.checkpoint import RollbackAsked as RollbackAsked
from orchestrator_nb.events.checkpoint import RollbackFailed as RollbackFailed
from orchestrator_nb.events.checkpoint import RolledBack as RolledBack
from orchestrator_nb.events.command import GATE as GATE
from orchestrator_nb.events.command import ArtifactRecorded as ArtifactRecorded
from orchestrator_nb.events.command import AttemptAbandoned as AttemptAbandoned
from orchestrator_nb.events.command import AttemptFailed as AttemptFailed
from orchestrator_nb.events.command import AttemptInterrupted as AttemptInterrupted
from orchestrator_nb.events.command import AttemptReturned as AttemptReturned
from orchestrator_nb.events.command import AttemptStarted as AttemptStarted
from orchestrator_nb.events.command import CellFinished as CellFinished
from orchestrator_nb.events.command import CellStarted as CellStarted
from orchestrator_nb.events.command import CommandAccepted as CommandAccepted
from orchestrator_nb.events.command import CommandCancelled as CommandCancelled
from orchestrator_nb.events.command import CommandCrashed as CommandCrashed
from orchestrator_nb.events.command import CommandFailed as CommandFailed
from orchestrator_nb.events.command import CommandReopened as CommandReopened
from orchestrator_nb.events.command import CommandReused as CommandReused
from orchestrator_nb.events.command import CommandSkipped as CommandSkipped
from orchestrator_nb.events.command import CommandSucceeded as CommandSucceeded
from orchestrator_nb.events.command import DeviationRecorded as DeviationRecorded
from orchestrator_nb.events.command import GateChecked as GateChecked
from orchestrator_nb.events.command import KernelStarted as KernelStarted
from orchestrator_nb.events.command import MetricRecorded as MetricRecorded
from orchestrator_nb.events.command import ModulesImported as ModulesImported
from orchestrator_nb.events.command import OutputRecorded as OutputRecorded
from orchestrator_nb.events.command import RetryDue as RetryDue
from orchestrator_nb.events.command import RetryScheduled as RetryScheduled
from orchestrator_nb.events.command import ReuseDeclined as ReuseDeclined
from orchestrator_nb.events.command import SharedMerged as SharedMerged
from orchestrator_nb.events.command import StatePreserved as StatePreserved
from orchestrator_nb.events.command import UpstreamFailed as UpstreamFailed
from orchestrator_nb.events.decision import AttemptTakenOver as AttemptTakenOver
from orchestrator_nb.events.decision import DecisionDue as DecisionDue
from orchestrator_nb.events.decision import DecisionMade as DecisionMade
from orchestrator_nb.events.decision import DecisionRequested as DecisionRequested
from orchestrator_nb.events.event import Event as Event
from orchestrator_nb.events.recovery import CommandAdapted as CommandAdapted
from orchestrator_nb.events.recovery import DeadlineNear as DeadlineNear
from orchestrator_nb.events.recovery import ErrorClassified as ErrorClassified
from orchestrator_nb.events.recovery import MemoryProbed as MemoryProbed
from orchestrator_nb.events.recovery import ProbeDue as ProbeDue
from orchestrator_nb.events.recovery import ResourcesProbed as ResourcesProbed
from orchestrator_nb.events.recovery import WorkersChanged as WorkersChanged
from orchestrator_nb.events.run import FORMAT as FORMAT
from orchestrator_nb.events.run import DefinitionChanged as DefinitionChanged
from orchestrator_nb.events.run import JournalCut as JournalCut
from orchestrator_nb.events.run import NoticeGiven as NoticeGiven
from orchestrator_nb.events.run import RunCompleting as RunCompleting
from orchestrator_nb.events.run import RunDeleted as RunDeleted
from orchestrator_nb.events.run import RunEnded as RunEnded
from orchestrator_nb.events.run import RunPaused as RunPaused
from orchestrator_nb.events.run import RunPlanned as RunPlanned
from orchestrator_nb.events.run import RunRated as RunRated
from orchestrator_nb.events.run import RunResumed as RunResumed
from orchestrator_nb.events.run import RunStarted as RunStarted
from orchestrator_nb.events.run import RunStopping as RunStopping
from orchestrator_nb.events.run import StepsDue as StepsDue
from orchestrator_nb.events.run import StoreAudited as StoreAudited
from orchestrator_nb.values import Failure as Failure
from orchestrator_nb.values import Stored as Stored
from orchestrator_nb.values import Used as Used

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
"""Every kind of event by its name in the journal."""
