"""What tests of several packages share."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # virtual_time is imported by name
