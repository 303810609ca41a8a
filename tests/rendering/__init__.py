"""Our reading of compose documents against `docker stack config`, over generated ones."""
