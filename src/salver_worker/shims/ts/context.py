"""The context's types, for annotations and tests of handlers."""

from salver_worker.runtimes.context import Context as Context
from salver_worker.runtimes.context import RequestProcessor as RequestProcessor
