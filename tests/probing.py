"""
What a queue has left on the scheduler and the nodes of a cluster: looks that are taken
there. Standard library only.
"""

import threading


def _ours(*found):
    names = [str(name) for some in found for name in some]
    return [name for name in names if "asynqueue" in name]


def _keys(tasks):
    return [f"the task {key}" for key in tasks]


def atScheduler(dask_scheduler):
    """
    @return: What the scheduler has.
    """
    names = ("handlers", "plugins", "extensions", "worker_plugins", "nanny_plugins")
    found = [getattr(dask_scheduler, name) for name in names]
    return _ours(*found, dask_scheduler.clients) + _keys(dask_scheduler.tasks)


def atNode(dask_worker):
    """
    @return: What a node has.
    """
    names = ("handlers", "stream_handlers", "plugins", "extensions")
    found = [getattr(dask_worker, name) for name in names]
    threads = [thread.name for thread in threading.enumerate()]
    return _ours(*found, threads) + _keys(dask_worker.state.tasks)


async def left(client):
    """
    @return: What all of them have.
    """
    found = await client.run_on_scheduler(atScheduler)
    for names in (await client.run(atNode)).values():
        found += names
    return found
