"""
What a nanny of a test's cluster loads, so that it tells when it is ready: if its node
dies before it has heard that this has started, it gives up.
"""

import logging

READY = "is ready to start it anew"


def dask_setup(nanny):
    """
    Is called by dask.
    """
    nanny.loop.add_callback(tell, nanny)


async def tell(nanny):
    await nanny
    logging.getLogger("distributed.nanny").info("Nanny of %s %s", nanny.name, READY)
