"""What the engine needs from outside, as Protocols: only where there are two implementations, or a fake. Pure.

Every `observe_*` or look may raise `ObserveError` (UNKNOWN, act on nothing); every change may raise `ActError`
only if nothing changed or trying again is safe.
"""
