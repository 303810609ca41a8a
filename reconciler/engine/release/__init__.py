"""From a tag to something deployable, and what is known about an app's releases."""
