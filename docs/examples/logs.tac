"""
A service that counts what is in the access logs put into the directory "incoming",
and keeps "summary.json" up to date. Both are where it is started:

    twistd -ny docs/examples/logs.tac
"""

import sys
from pathlib import Path

from twisted.application.service import Application

# Where the modules are. The worker processes look there too.
sys.path.insert(0, str(Path(__file__).absolute().parent))

from logservice import LogService

application = Application("logs")
LogService(Path("incoming"), Path("summary.json")).setServiceParent(application)
