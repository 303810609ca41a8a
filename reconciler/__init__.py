"""ci-warm: a declarative reconciler for Docker Swarm hosts."""

__version__ = "0.1.0"
