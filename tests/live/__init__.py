"""Real Keycloak and real Traefik, in images that are built here from what their makers publish."""
