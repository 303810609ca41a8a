"""The long-lived process: on the embedded engine as a real process, and its parts."""
