"""`python -m auth_proxy`."""

import sys

from auth_proxy.cli import main

sys.exit(main())
