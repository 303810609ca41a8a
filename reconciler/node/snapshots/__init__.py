"""Volume data, archived and put back with full fidelity. See docs/adr/0005 for the format."""
