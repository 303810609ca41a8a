"""What the host as a whole needs: images, realms, nights, alerts, the set of specs. Pure."""
