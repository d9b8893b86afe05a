"""`python -m admin_service` is `admin-service`."""

import sys

from admin_service.cli import main

if __name__ == "__main__":
    sys.exit(main())
