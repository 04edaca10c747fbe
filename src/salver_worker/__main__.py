"""``python -m salver_worker``: one worker process."""

import sys

from salver_worker.main import main

sys.exit(main(sys.argv[1:]))
