"""Tests on a Swarm of several nodes: engines of our own, joined."""
