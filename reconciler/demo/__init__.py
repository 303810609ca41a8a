"""The demo: real git recipes, real processes or a real Swarm, and a release that fails on purpose."""
