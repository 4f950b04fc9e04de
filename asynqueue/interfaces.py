"""
What a worker, and what a poller, has to provide.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface, invariant

from asynqueue import errors

__all__ = [
    "ICanceller",
    "IConcurrent",
    "IElastic",
    "IMeasured",
    "IPoller",
    "IPrefetcher",
    "IRenewable",
    "IRestartable",
    "IUpdatable",
    "IWorker",
]


def _qualificationsAreLists(worker: object) -> None:
    for name in ("cQualified", "iQualified"):
        if not isinstance(getattr(worker, name, None), list):
            raise errors.InvariantError(
                f"{name} of the worker {worker!r} has to be a list of series"
            )


class IWorker(Interface):
    """
    I run tasks, one or more at a time.

    Every worker is qualified for tasks of the series C{None}. It is qualified
    for others too if my lists say so; a series is any hashable object.
    """

    cQualified = Attribute("A list of the series that all of my class can run.")
    iQualified = Attribute("A list of the series that I myself can run.")

    invariant(_qualificationsAreLists)

    def setResignator(callableObject: Callable[[], Any]) -> None:
        """
        Registers what I call, without arguments, when I can run no more tasks:
        my process is gone, say, or my connection. Before I call it I have
        ended, or put into the list that L{crash} returns, every task I had.

        @param callableObject: The callable.
        """

    def run(task: Any) -> "Deferred[None]":
        """
        Runs a task, and ends it with C{task.callback((status, result))} once.

        I never fail: a task's failure is the task's.

        @param task: A L{Task<asynqueue.task.Task>}. What it returns as
            an iterator becomes a L{Deferator<asynqueue.deferator.Deferator>}
            unless I or the task are I{raw}.
        @return: A Deferred that fires when I am ready for another task.
        """

    def stop() -> "Deferred[None]":
        """
        Ends me gently.

        @return: A Deferred that fires when the tasks that I had are done and
            nothing of me is left to disturb the reactor.
        """

    def crash() -> "list[Any]":
        """
        Ends me at once.

        @return: A list of the tasks that I have not done, none of which I will
            end any more. The caller has to.
        """


class IRestartable(IWorker):
    """
    I am a worker that can begin anew after it has resigned.
    """

    death = Attribute(
        "The WorkerDied that tells how what I ran on ended when I last resigned, "
        "C{None} if somebody had me end it."
    )
    mayBeginAnew = Attribute(
        "C{False} if I will not begin anew, whatever ended me. Looked at when I have "
        "resigned, or failed to begin."
    )

    def start() -> "Deferred[None]":
        """
        Begins, if I have not yet begun, or anew, if what I ran on is gone.

        @return: A Deferred that fires when I am up, or fails with a
            L{WorkerDied<asynqueue.errors.WorkerDied>} if I will never be.
        """


class IRenewable(IWorker):
    """
    I am a worker that is worn out some day, and can be replaced.
    """

    def isWorn(calls: int) -> bool:
        """
        Is asked between calls.

        @param calls: How many I have finished since I began, or began anew.
            Updates are none.
        @return: C{True} if I should be replaced. I can go on as before.
        """

    def successor() -> Any:
        """
        Makes another worker like me, with my qualifications.

        @return: It, not begun.
        """

    def settled() -> "Deferred[None]":
        """
        Waits for what I have, without hurry. I am given nothing more.

        @return: A Deferred that fires when my tasks are done, and the iterators
            that came of them have been read to their ends or closed.
        """


class ICanceller(IWorker):
    """
    I am a worker that can abandon a task in the middle of it.
    """

    def cancel(task: Any) -> None:
        """
        Abandons a task that I have. It ends by other means, and I do not end
        it any more. When I am ready for another task is still for the Deferred
        of C{run} to tell, or for my resignation.
        """


class IConcurrent(ICanceller):
    """
    I am a worker that takes several tasks at a time. I begin to count the time of
    each, by its C{startTimer()}, when I begin it.
    """

    prefetch = Attribute(
        "How many tasks I take beside the first, an integer; -1 if I take none just "
        "now. It changes only if I am an L{IElastic}."
    )

    def begin(task: Any, ready: Callable[[], Any]) -> None:
        """
        Does what C{run} does.

        @param ready: Is called when I am ready for another task, where the Deferred
            of C{run} fires: a Deferred for each task is more than a flood of them
            needs.
        """


class IPrefetcher(IConcurrent):
    """
    I am a worker that takes tasks before I am done with the one that I do. I do one
    after another, so I begin to count the time of each when it is the first.
    """

    tasks = Attribute("A list of the tasks that I have, the one that I do first.")

    def recall() -> list[Any]:
        """
        Lets go of the tasks that I have not begun.

        @return: A list of them, in order. I will neither run nor end them, nor say
            that I am ready for another.
        """


class IElastic(IWorker):
    """
    I am a worker that comes to take more or fewer tasks, or others, by itself.
    """

    def setListener(callableObject: Callable[[], Any]) -> None:
        """
        Registers what I call, without arguments, when I can take more or fewer
        tasks, or tasks of other series, than before: when my C{prefetch} or my
        lists of series have changed. I call it at once, for until then I may be
        given what I can take no more; and I may be given tasks and updates before
        it returns.

        @param callableObject: The callable.
        """


class IUpdatable(IWorker):
    """
    I am a worker that runs tasks on several things, which may come and go, and has
    all of them run an update.
    """

    def update(task: Any, isLasting: bool) -> None:
        """
        Runs a task on all that I run tasks on, before any task that I am given
        later. Ends it once, as C{run} does, and begins to count its time, by its
        C{startTimer()}, when I begin it. L{crash} returns it if I have not done it.

        @param isLasting: C{True} to have it run also on what comes later, before
            anything else there, unless it fails everywhere. I keep it until I
            resign: when I have begun anew I am given it anew.
        """


class IMeasured(Interface):
    """
    I am a worker that tells what it has, what it runs on, and how long calls took.

    I call C{task.measured(here, there)} for each task that I have begun, before I end
    it: with the seconds from sending its call to having its result, and the seconds
    that it ran. That is 0.0 if nobody can tell, as when what ran it has died.
    """

    tasks = Attribute(
        "A list of the tasks that I have, the one that I got first first."
    )

    pid = Attribute("The ID of my process, C{None} if I have none just now.")
    memory = Attribute(
        "The resident set of what I run on, in bytes, at the last look; C{None} if it "
        "is not known."
    )


class IPoller(Interface):
    """
    I am how the near end of a pipe learns of an answer.

    I never block the reactor's thread. The far end answers one packet after another,
    in the order in which it was sent them.
    """

    interval = Attribute("The initial interval between looks, in seconds.")
    backoff = Attribute("What the interval is multiplied by after each look.")

    def connect(
        connection: Any,
        answered: Callable[[list[Any]], Any],
        lost: Callable[[Any, int], Any],
    ) -> None:
        """
        Begins to use a pipe. It is mine from now on: I close it.

        @param connection: The near end, a C{multiprocessing} connection.
        @param answered: Is called with a list of packets that have come, which answer
            the next of those that I was asked, in the same order.
        @param lost: Is called if what I was asked will be answered no more, once for
            all of it, with why, a C{Failure}, and how many of the packets, the last
            ones, were not wholly sent. Why is C{EOFError} if the far end is gone, or
            C{ConnectionResetError} where the system tells that it has left something
            unread; or what was wrong if what came was no answer.
        """

    def ask(packet: Any) -> None:
        """
        Sends a packet that is to be answered.

        I may be asked again before I have answered, but only by packets that are short,
        at most L{AT_ONCE<asynqueue.packets.AT_ONCE>} bytes. What the pipe has no room
        for I keep until there is some. What is asked while I tell of answers I send
        when I have told of all that are there.

        @param packet: A L{packet<asynqueue.packets>}: a list of its parts, which
            I use up.
        @raise EOFError: if I have no pipe.
        @raise ValueError: if it has more than
            L{MOST_PARTS<asynqueue.packets.MOST_PARTS>} parts.
        """

    def hangUp() -> "Deferred[None]":
        """
        Ends the use of the pipe. Answers that are there already are still
        told of; what else was asked is lost, as if the far end were gone.

        @return: A Deferred that fires when I am done with the pipe, and it is
            closed. I may be connected again then.
        """

    def stop() -> "Deferred[None]":
        """
        Hangs up, for good.

        @return: A Deferred that fires when nothing of me is left: no thread,
            no delayed call, no descriptor.
        """
