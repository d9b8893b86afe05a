"""Who is measured: each module says how one program is started, with one core and the same work.

Where a choice would cost a peer speed, it is made in the peer's favour: no access log, no metrics, no
request ids, connections to the upstream kept alive without end.
"""
