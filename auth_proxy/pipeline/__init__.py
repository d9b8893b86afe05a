"""The steps of a decision, in order: admit, screen, authenticate, identify, authorize, vouch.

Each step takes only what the step before it returned, so that none can be skipped.
"""
