"""`python -m tenant_service` is `tenant-service`."""

import sys

from tenant_service.cli import main

if __name__ == "__main__":
    sys.exit(main())
