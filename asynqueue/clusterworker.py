"""
A worker that runs calls on a cluster of dask.
"""

from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.about import aboutCall
from asynqueue.checks import checkInteger
from asynqueue.clusteraddress import checkAddress
from asynqueue.clusterconnection import Connection
from asynqueue.clusterfigures import ClusterFigures
from asynqueue.clusterlife import ClusterLife
from asynqueue.clusterpacker import Packer
from asynqueue.clusterplaces import Elsewhere, Embedded
from asynqueue.deferreds import branch
from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.guard import refuseInBootstrap
from asynqueue.interfaces import (
    IConcurrent,
    IElastic,
    IMeasured,
    IRestartable,
    IUpdatable,
    IWorker,
)
from asynqueue.looper import ThreadLooper
from asynqueue.machine import cores
from asynqueue.messages import Status
from asynqueue.offers import aboutOffers
from asynqueue.picklers import findPickler
from asynqueue.reactors import theReactor
from asynqueue.task import Task


class ClusterState(Enum):
    """
    The stages of a L{ClusterWorker}. Moves: DOWN to UP when it is started; UP to DOWN
    when the connection is lost; both to STOPPING, and then to STOPPED.
    """

    DOWN = "has no connection"
    UP = "has a connection, or is making one"
    STOPPING = "lets the cluster finish what it has"
    STOPPED = "has no connection and will have none"


@implementer(IWorker, IConcurrent, IElastic, IMeasured, IRestartable, IUpdatable)
class ClusterWorker(ClusterFigures):
    """
    I run tasks on a cluster of dask, as many at a time as it has threads, and some more
    that wait there.

    @cvar cQualified: The series that all of my class are qualified for: C{'cluster'},
        which any node runs.
    @ivar iQualified: A list of the further series that I am qualified for: those that I
        was made with, and those that are the names of resources that nodes offer.
    @ivar ID: What my queue knows me by, C{None} without one.
    @ivar death: How the last connection was lost, a
        L{WorkerDied<asynqueue.errors.WorkerDied>}, or C{None}.
    @ivar mayBeginAnew: C{False} if I will make no connection any more.
    @ivar state: A L{ClusterState}.
    """

    cQualified: ClassVar[list[Hashable]] = ["cluster"]

    def __init__(
        self,
        address: str | None = None,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        callStats: bool = False,
        pickler: str = "cloudpickle",
        prefetch: int = 1,
        connectTimeout: float = 10.0,
        reconnect: float = 60.0,
        patience: float = 30.0,
        restart: bool = False,
        security: Any = None,
        trustNetwork: bool = False,
        nodes: int | None = None,
        threads: int = 1,
        processes: bool = True,
        reactor: Any = None,
    ) -> None:
        """
        Constructs me with no connection yet. It is made when I am attached to a queue,
        or am first given a task.

        @param address: The address of the scheduler, as C{"tls://10.0.0.1:8786"}.
            C{None} to have a cluster started in this program, and stopped with me.
        @param series: A list of series that I am qualified for, beside those on offer:
            calls of one that no node offers fail at once. (It is copied.)
        @param raw: C{True} to have iterators come back as the values that they are,
            instead of as L{Deferator<asynqueue.deferator.Deferator>}s. The same keyword
            in a call overrides it.
        @param callStats: C{True} to keep call times, for L{stats}.
        @param pickler: What pickles calls and results: C{"cloudpickle"} or C{"pickle"}.
        @param prefetch: How many further calls may wait at the cluster for each of its
            threads, at least 0.
        @param connectTimeout: For how long it is tried to connect at first, in seconds.
        @param reconnect: For how long it is tried when the connection was lost, in
            seconds. With 0 I resign for good then.
        @param patience: How long a series that no node offers any more counts as on
            offer, in seconds. Then calls of it fail.
        @param restart: C{True} to begin anew the process of a node, which needs a
            nanny, if a call of it was cancelled or has timed out and goes on for a
            second. Other calls of that node are then treated as if it had died.
        @param security: A C{distributed.Security} with TLS certificates.
        @param trustNetwork: C{True} to speak to a scheduler on another machine without
            TLS: everybody on that network can then run code here and there.
        @param nodes: How many nodes a cluster of mine has, as many as there are CPU
            cores if C{None}.
        @param threads: How many calls each of them runs at a time.
        @param processes: C{False} to have them in threads of this process.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise ValueError: if a number is out of range, there is no such pickler, or the
            address is none, or one that must not be used without TLS.
        @raise TypeError: if I{series} is a string, or I{security} is none.
        @raise ImportError: if the pickler is not installed.
        """
        refuseInBootstrap()
        reactor = theReactor(reactor)
        super().__init__(series, prefetch, patience, callStats, reactor)
        self.setListener(self._refuseUnoffered)
        checkInteger("threads", threads, 1)
        nodes = cores() if nodes is None else nodes
        checkInteger("nodes", nodes, 1)
        self._place: Any
        if address is None:
            self._place = Embedded(nodes, threads, processes, security)
        else:
            address = checkAddress(address, security, trustNetwork)
            self._place = Elsewhere(address, security)
        self._reactor = reactor
        self.ID: int | None = None
        self.death: WorkerDied | None = None
        self.mayBeginAnew = True
        self.state = ClusterState.DOWN
        self._connectTimeout = connectTimeout
        self._reconnect = reconnect
        self._looper = ThreadLooper(reactor=self._reactor)
        self._packer = Packer(findPickler(pickler), self._looper)
        self._newConnection = partial(
            Connection, self._place, raw, pickler, restart, self._reactor
        )
        self._life: ClusterLife | None = None
        self._opening: Deferred[list[Any]] = Deferred()
        self._closing: Deferred[None] = succeed(None)
        self._resignators: list[Callable[[], Any]] = []
        self._stopped: Deferred[None] | None = None

    def __repr__(self) -> str:
        return f"<ClusterWorker {self.state.name}, {self._place}>"

    @property
    def place(self) -> str:
        """
        Where the cluster is, as a text.
        """
        return str(self._place)

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have.
        """
        return [] if self._life is None else self._life.tasks

    def setResignator(self, callableObject: Callable[[], Any]) -> None:
        """
        Registers a callable that I call, without arguments, when the connection is lost
        and I cannot run tasks unless I am started anew. The tasks that may still be run
        are for L{crash} to give back.
        """
        self._resignators.append(callableObject)

    def start(self) -> "Deferred[None]":
        """
        Connects to the cluster, unless I am connected.

        @return: A Deferred that fires when I am, or fails with a
            L{StartFailed<asynqueue.errors.StartFailed>}.
        """
        if self.state in (ClusterState.STOPPING, ClusterState.STOPPED):
            return fail(WorkerError("The worker was stopped"))
        if self.state is ClusterState.DOWN:
            timeout = self._connectTimeout if self.death is None else self._reconnect
            self.state = ClusterState.UP
            life = self._life = ClusterLife(
                self._newConnection(),
                self,
                self._looper,
                self._packer,
                self._reactor,
            )
            opening = life.open(timeout).addErrback(self._notOpened, life)
            # As a list, so that it is no error that nobody looks at.
            self._opening = opening.addBoth(lambda result: [result])
        return branch(self._opening).addCallback(lambda results: results[0])

    def run(self, task: Task) -> "Deferred[None]":
        """
        Has a node make a task's call, and ends the task when the result is there.

        @return: A Deferred that fires when I am ready for another task. It never fires
            if the connection is lost: my resignation tells.
        """
        ready: Deferred[None] = Deferred()
        self.begin(task, partial(ready.callback, None))
        return ready

    def begin(self, task: Task, ready: Callable[[], Any]) -> None:
        """
        Does what L{run} does, and calls I{ready} where its Deferred fires.
        """
        if self.state is ClusterState.DOWN:
            self.start().addErrback(lambda _: None)
        if self._life is None or self.state is not ClusterState.UP:
            call = aboutCall(task.callTuple)
            error = WorkerError(f"The worker was stopped before it was given {call}")
            task.callback((Status.ERROR, error))
            ready()
            return
        resource: Any = None if task.series in (None, *self.cQualified) else task.series
        self._life.run(task, resource, ready)
        if self.nodes and resource is not None:
            self._refuseUnoffered()

    def update(self, task: Task, isLasting: bool) -> None:
        """
        Has all nodes make a task's call, before any call that I am given later, and
        ends the task by a C{dict} of what each returned, by address.

        @param isLasting: C{True} if nodes that come later, or begin anew, make it too,
            before any other.
        """
        if self.state is ClusterState.DOWN:
            self.start().addErrback(lambda _: None)
        if self._life is None or self.state is not ClusterState.UP:
            task.callback((Status.ERROR, WorkerError("The worker was stopped")))
        else:
            self._life.update(task, isLasting)

    def cancel(self, task: Task) -> None:
        """
        Abandons a task: what no node has begun none ever will, and what one has begun
        is interrupted, where it next runs Python code. I am ready for another when its
        thread is free.
        """
        if self._life is not None:
            self._life.cancel(task)

    def stop(self) -> "Deferred[None]":
        """
        Stops me for good. Iterators in use may be read to their end; those that nobody
        asks for an item for a second (L{LINGER<asynqueue.openings.LINGER>}) are closed.

        @return: A Deferred that fires when all tasks and Deferators are done, and
            nothing is left of the connection, nor of a cluster of mine.
        """
        if self._stopped is None:
            self.state = ClusterState.STOPPING
            self._stopped = Deferred.fromCoroutine(self._stop())
        return branch(self._stopped)

    def crash(self) -> list[Task]:
        """
        Abandons all tasks, as L{cancel} does.

        @return: A list of those that I had and have not done. I will not end them any
            more.
        """
        return [] if self._life is None else self._life.giveBack()

    # --- What a connection tells.

    def lost(self, life: ClusterLife, why: str) -> None:
        """
        A connection is lost.
        """
        self.death = WorkerDied(f"The connection to {self._place} is lost: {why}")
        self.mayBeginAnew = self._reconnect > 0
        self._isOver(life)
        for resign in self._resignators:
            resign()
        self._failLeft(life, self.death)

    def _notOpened(self, failure: Failure, life: ClusterLife) -> Failure:
        error: Any = failure.value
        if self.death is not None:
            self.mayBeginAnew = False
        # Whoever has started me is told, and nobody needs to be told twice.
        self._isOver(life)
        self._failLeft(life, error)
        return failure

    def _isOver(self, life: ClusterLife) -> None:
        self.nodesChanged([])
        if self.state is ClusterState.UP:
            self.state = ClusterState.DOWN
        closing, before = life.close(), self._closing
        self._closing = closing.addCallback(lambda _: before)

    def _failLeft(self, life: ClusterLife, error: Exception) -> None:
        """
        Fails those tasks that nobody has taken back, because nobody else will end them.
        """
        if self._life is life:
            self._life = None
        for task in life.giveBack():
            task.callback((Status.ERROR, error))

    def _refuseUnoffered(self) -> None:
        offered = self.offered
        if self._life is not None:
            for series in self._life.resources() - {None, *offered}:
                about = aboutOffers(series, str(self._place), offered)
                self._life.refuse(series, WorkerError(about))

    async def _stop(self) -> None:
        if self._life is not None:
            await self._life.finish()
        await self._closing
        await self._looper.stop()
        self._offers.clear()
        self.state = ClusterState.STOPPED
        for resign in self._resignators:
            resign()
