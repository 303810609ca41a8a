"""Snapshots and files of volumes, on real folders."""
